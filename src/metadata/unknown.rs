//! What is said of a trigger's keys once it has been read: those that nobody asked for, with what was probably meant, and what
//! is legal and hardly meant.
//!
//! Not for: the problems for which a trigger is refused (`reader.rs`).

use super::Reader;
use crate::{
    error::{quoted, similar},
    limits,
};

/// A key that a scaler does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unknown {
    /// As written.
    pub key: String,
    /// What was probably meant.
    pub near: Option<&'static str>,
}

impl Reader<'_> {
    /// What [`warn`](Self::warn) was told.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The keys that nobody asked for, each with the nearest known name where one is close.
    #[must_use]
    pub fn unknown(&self) -> Vec<Unknown> {
        let unknown = self.unasked();
        unknown.map(|key| Unknown { key: key.to_owned(), near: self.nearest(key) }).collect()
    }

    fn unasked(&self) -> impl Iterator<Item = &str> {
        self.metadata.keys().filter(|key| !self.knows(key))
    }

    /// All warnings: those of [`warn`](Self::warn), and one for each key that nobody asked for, up to
    /// [`limits::WARNINGS`], with the nearest known name where one is close.
    #[must_use]
    pub fn unknown_keys(&self) -> Vec<String> {
        let mut unknown = self.unasked();
        let named = unknown.by_ref().take(limits::WARNINGS).map(|key| match self.nearest(key) {
            Some(near) => format!("`{}` is not a key of this scaler, did you mean `{near}`?", quoted(key)),
            None => format!("`{}` is not a key of this scaler and is ignored", quoted(key)),
        });
        let mut warnings: Vec<String> = self.warnings.iter().cloned().chain(named).collect();
        match unknown.count() {
            0 => {}
            1 => warnings.push("1 more key is not of this scaler and is ignored".to_owned()),
            more => warnings.push(format!("{more} more keys are not of this scaler and are ignored")),
        }
        warnings
    }

    fn nearest(&self, key: &str) -> Option<&'static str> {
        similar(key, self.asked.iter().copied())
    }
}
