//! Files that are followed: read, held against what was read before, and handed over when they have changed.
//!
//! They are compared by content, a few times a minute's worth of kilobytes, so that it does not matter how they change: in
//! place, by a rename, or by the symbolic link that Kubernetes swaps for a Secret or ConfigMap.

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio::{task::spawn_blocking, time::interval};
use tracing::{info, warn};

use super::ConfigError;
use crate::{limits, telemetry::Metrics};

/// Files that make one thing together, each with the option that named it.
#[derive(Debug, Clone)]
pub struct Files {
    named: Arc<Named>,
    more: More,
}

/// Paths, each with the option that named it.
type Named = Vec<(&'static str, PathBuf)>;
/// Which files those that were read name in their turn.
type More = fn(&Contents) -> Result<Named, ConfigError>;

/// The contents of [`Files`], in their order.
pub type Contents = Vec<Vec<u8>>;

/// What is made of files, and who hears of it.
pub trait Followed: Send + Sync + 'static {
    /// What it is in the log and in `plimsoll_stale_files`.
    fn what(&self) -> &'static str;

    /// Takes these contents into use, or says why not and goes on with what it had.
    fn take(&self, contents: &Contents) -> Result<(), ConfigError>;

    /// Called at every look, changed or not: for what changes with time alone.
    fn look(&self) {}
}

impl Files {
    /// These, by the options that name them.
    #[must_use]
    pub fn new(named: Vec<(&'static str, PathBuf)>) -> Self {
        Self::with_more(named, |_| Ok(Vec::new()))
    }

    /// These, and then those that they name.
    #[must_use]
    pub(super) fn with_more(named: Named, more: More) -> Self {
        Self { named: Arc::new(named), more }
    }

    /// Reads all of them.
    pub fn read(&self) -> Result<Contents, ConfigError> {
        let read_all = |files: &Named| -> Result<Contents, ConfigError> {
            files.iter().map(|(option, path)| read(option, path)).collect()
        };
        let mut contents = read_all(&self.named)?;
        let more = (self.more)(&contents)?;
        if more.len() > limits::CONFIG_FILES {
            let (option, most) = (more.first().map_or("", |(option, _)| option), limits::CONFIG_FILES);
            return Err(ConfigError(format!("`{option}`: it names more than {most} files: take some away")));
        }
        contents.extend(read_all(&more)?);
        Ok(contents)
    }
}

fn read(option: &str, path: &Path) -> Result<Vec<u8>, ConfigError> {
    let place = path.display();
    let unread = |error: std::io::Error| ConfigError(format!("`{option}`: `{place}` cannot be read: {}", error.kind()));
    let mut contents = Vec::new();
    File::open(path).map_err(unread)?.take(limits::CONFIG_FILE + 1).read_to_end(&mut contents).map_err(unread)?;
    if contents.len() as u64 > limits::CONFIG_FILE {
        let most = limits::CONFIG_FILE;
        return Err(ConfigError(format!("`{option}`: `{place}` is larger than {most} bytes: is it the right file?")));
    }
    Ok(contents)
}

/// Looks at `files` for as long as it is polled; `known` is what `followed` was made of. What cannot be read or used is
/// one line in the log and a gauge, and changes nothing.
pub async fn follow(files: Files, known: Contents, followed: impl Followed, metrics: Arc<Metrics>) {
    let what = followed.what();
    metrics.stale(what, false);
    let (mut known, mut seen) = (Ok(known), None);
    let mut looks = interval(limits::CONFIG_LOOK);
    loop {
        looks.tick().await;
        followed.look();
        let reading = files.clone();
        let Ok(found) = spawn_blocking(move || reading.read()).await else { continue };
        // Several files change one after the other: they are whole when they have been the same twice.
        if found == known || seen.as_ref() != Some(&found) {
            seen = Some(found);
            continue;
        }
        let taken = found.as_ref().map_err(Clone::clone).and_then(|contents| followed.take(contents));
        match &taken {
            Ok(()) => info!(what, "changed files are in use"),
            Err(error) => {
                warn!(what, %error, "changed files cannot be used: the former contents stay in use, but a new start would fail: correct them")
            }
        }
        metrics.stale(what, taken.is_err());
        known = found;
    }
}
