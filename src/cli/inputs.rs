//! Reads what a command is given: files, folders of YAML, and standard input as `-`.
//!
//! Not for: what is in them (`manifest`).

use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

use super::exit::Unusable;
use crate::{limits, manifest::Source};

/// What standard input is called.
pub const STDIN: &str = "<stdin>";

/// All inputs, in order, and what could not be read.
pub fn read(paths: &[PathBuf]) -> (Vec<Source>, Vec<Unusable>) {
    let (mut sources, mut unusable) = (Vec::new(), Vec::new());
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            let before = files.len();
            if let Err(error) = walk(path, 0, &mut files) {
                unusable.push(Unusable(format!("{}: {error}", path.display())));
            } else if files.len() == before {
                unusable.push(Unusable(format!("{}: there is no .yaml, .yml or .json in this folder", path.display())));
            }
        } else {
            files.push(path.clone());
        }
    }
    let mut left = limits::INPUTS;
    for path in files {
        match one(&path, left) {
            Ok(source) => {
                left = left.saturating_sub(source.text.len());
                sources.push(source);
            }
            Err(error) => unusable.push(error),
        }
    }
    (sources, unusable)
}

/// One input.
pub fn one(path: &Path, most: usize) -> Result<Source, Unusable> {
    let is_stdin = path.as_os_str() == "-";
    let name = if is_stdin { STDIN.to_owned() } else { path.display().to_string() };
    let most = most.min(limits::MANIFEST);
    let bound = most as u64 + 1;
    let mut bytes = Vec::new();
    let read = if is_stdin {
        io::stdin().lock().take(bound).read_to_end(&mut bytes)
    } else {
        fs::File::open(path).and_then(|file| file.take(bound).read_to_end(&mut bytes))
    };
    match read {
        Err(error) => Err(Unusable(format!("{name}: {error}"))),
        Ok(_) if bytes.len() > most => {
            limits::Limit::Request.crossed();
            Err(Unusable(format!("{name}: more than {} MiB: give it in parts", most >> 20)))
        }
        Ok(_) => Source::new(name, bytes).map_err(|error| Unusable(error.to_string())),
    }
}

/// The YAML and JSON below `folder`, in the order of their names.
fn walk(folder: &Path, depth: usize, files: &mut Vec<PathBuf>) -> io::Result<()> {
    let mut entries: Vec<PathBuf> =
        fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<_>>()?;
    entries.sort();
    for entry in entries {
        let hidden = entry.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        // A link could lead back to where it is.
        let is_folder = entry.symlink_metadata().is_ok_and(|metadata| metadata.is_dir());
        if is_folder && !hidden && depth < limits::FOLDERS {
            walk(&entry, depth + 1, files)?;
        } else if entry.is_file()
            && entry
                .extension()
                .is_some_and(|extension| ["yaml", "yml", "json"].iter().any(|known| extension == *known))
        {
            files.push(entry);
        }
    }
    Ok(())
}
