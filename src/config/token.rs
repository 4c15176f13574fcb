//! The bearer token that opens the admin pages, from a file.

use std::{fmt, sync::Arc};

use parking_lot::RwLock;
use subtle::ConstantTimeEq;

use super::{
    ConfigError,
    files::{Contents, Followed},
};

/// The shortest that is taken: below it, it could be guessed.
const SHORTEST: usize = 16;

/// A token that follows its file. Cheap to clone.
#[derive(Clone)]
pub struct Token(Arc<RwLock<Vec<u8>>>);

impl Token {
    /// The token in the first of `contents`; blanks around it do not count.
    pub fn new(contents: &Contents) -> Result<Self, ConfigError> {
        Ok(Self(Arc::new(RwLock::new(read(contents)?))))
    }

    /// Whether `given` is it, in a time that says nothing about how much of it was right.
    #[must_use]
    pub fn is(&self, given: &[u8]) -> bool {
        self.0.read().ct_eq(given).into()
    }
}

impl Followed for Token {
    fn what(&self) -> &'static str {
        "admin-token"
    }

    fn take(&self, contents: &Contents) -> Result<(), ConfigError> {
        *self.0.write() = read(contents)?;
        Ok(())
    }
}

fn read(contents: &Contents) -> Result<Vec<u8>, ConfigError> {
    let token = contents.first().map(|text| text.trim_ascii()).unwrap_or_default();
    if token.len() < SHORTEST || !token.iter().all(u8::is_ascii_graphic) {
        let text = format!(
            "`--admin-token-file`: the token must be one word of at least {SHORTEST} characters: try `openssl rand -hex 32`"
        );
        return Err(ConfigError(text));
    }
    Ok(token.to_vec())
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}
