//! `filePath`: a JSON object of texts in a file below a folder of the server's operator, for a ClusterTriggerAuthentication.
//!
//! Not for: the server's own config, whose connections may take values from files too (`config`).

use std::{collections::BTreeMap, fs::File, io::Read, path::Path};

use zeroize::Zeroizing;

use super::{draft::Draft, path::Kind, resolve::Case};
use crate::{
    error::{ReadError, quoted},
    limits,
};

/// Puts everything that stands in the file into `draft`.
pub fn read(case: Case<'_>, file: &str, draft: &mut Draft) -> Result<(), ReadError> {
    let shown = quoted(file);
    let invalid = |what: &str| case.invalid(&format!("`filePath: {shown}` {what}"));
    if case.kind != Kind::ClusterTriggerAuthentication {
        return Err(invalid("is for a ClusterTriggerAuthentication only, move it there"));
    }
    let Some(root) = &case.rules.file_root else {
        return Err(invalid(
            "is not read, start the server with `--kubernetes-file-root` and the folder that it is in",
        ));
    };
    if Path::new(file).is_absolute() || file.contains("..") {
        return Err(invalid("must be a relative path below the server's folder, without `..`"));
    }
    let mut text = Zeroizing::new(String::new());
    let opened =
        File::open(root.join(file)).and_then(|file| file.take(limits::CONFIG_FILE + 1).read_to_string(&mut text));
    if let Err(error) = opened {
        return Err(invalid(&format!("cannot be read ({}), mount it", error.kind())));
    }
    if text.len() as u64 > limits::CONFIG_FILE {
        return Err(invalid(&format!("is larger than {} KiB, shorten it", limits::CONFIG_FILE >> 10)));
    }
    let Ok(values) = serde_json::from_str::<BTreeMap<String, String>>(&text) else {
        return Err(invalid("must hold one JSON object whose values are texts"));
    };
    for (name, value) in values {
        draft.set(&name, Zeroizing::new(value.into_bytes()), format!("file `{shown}`"));
    }
    Ok(())
}
