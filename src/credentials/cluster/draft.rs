//! Parameters while they are being collected, source after source: the later one wins, with an empty value too, and what
//! could not be found is known in words.
//!
//! Not for: the sources (`resolve.rs`).

use std::collections::BTreeMap;

use zeroize::Zeroizing;

use super::visit::Value;
use crate::{
    error::clean,
    metadata::{Parameter, Parameters},
};

/// What is collected for one reference.
pub struct Draft {
    /// Who names all of it: ``the TriggerAuthentication `kafka` ``.
    by: String,
    values: BTreeMap<String, (Zeroizing<Vec<u8>>, String)>,
    /// Why a parameter has no value of its own.
    missing: BTreeMap<String, String>,
    warnings: Vec<String>,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    pub parameters: Parameters,
    /// What is missing, in words with the cure; the parameter is empty or absent, as with KEDA.
    pub missing: Vec<String>,
    /// What is legal, and hardly meant.
    pub warnings: Vec<String>,
}

/// Keys that KEDA takes from the same object for its channel to us: they are its own, and nothing of them is read.
const OF_THE_CHANNEL: [&str; 3] = ["caCert", "tlsClientCert", "tlsClientKey"];

impl Draft {
    pub fn new(by: String) -> Self {
        Self { by, values: BTreeMap::new(), missing: BTreeMap::new(), warnings: Vec::new() }
    }

    /// Whether `parameter` is not for us.
    pub fn is_of_the_channel(parameter: &str) -> bool {
        OF_THE_CHANNEL.contains(&parameter)
    }

    pub fn set(&mut self, parameter: &str, value: Zeroizing<Vec<u8>>, origin: impl Into<String>) {
        if let Some(why) = self.missing.remove(parameter) {
            self.warnings.push(why);
        }
        self.values.insert(parameter.to_owned(), (value, origin.into()));
    }

    pub fn set_text(&mut self, parameter: &str, value: &str, origin: impl Into<String>) {
        self.set(parameter, Zeroizing::new(value.as_bytes().to_vec()), origin);
    }

    /// What was found for `parameter`, or an empty value in its place.
    pub fn found(&mut self, parameter: &str, value: Value, origin: impl Into<String>) {
        match value {
            Ok(value) => self.set(parameter, value, origin),
            Err(why) => self.lack(parameter, &why),
        }
    }

    /// `parameter` is empty now, since what should give it does not: `why`.
    pub fn lack(&mut self, parameter: &str, why: &str) {
        self.set(parameter, Zeroizing::default(), why);
        self.missing.insert(parameter.to_owned(), self.named(why));
    }

    /// Nothing was found for `parameter`, and an earlier value stays.
    pub fn pass_by(&mut self, parameter: &str, why: &str) {
        let why = self.named(why);
        if self.values.contains_key(parameter) {
            self.warn(&why);
        } else {
            self.missing.insert(parameter.to_owned(), why);
        }
    }

    pub fn warn(&mut self, text: &str) {
        self.warnings.push(clean(text).into_owned());
    }

    /// `why`, and who wants it.
    pub fn named(&self, why: &str) -> String {
        clean(&format!("{why}: {} names it", self.by)).into_owned()
    }

    /// Everything is missing, since what names it is.
    pub fn nothing(why: String) -> Resolved {
        Resolved { parameters: Parameters::default(), missing: vec![why], warnings: Vec::new() }
    }

    pub fn finish(self) -> Resolved {
        let parameter =
            |(mut value, origin): (Zeroizing<Vec<u8>>, String)| Parameter::new(std::mem::take(&mut *value), origin);
        let parameters = self.values.into_iter().map(|(name, value)| (name, parameter(value))).collect();
        let mut missing: Vec<String> = self.missing.into_values().collect();
        missing.dedup();
        Resolved { parameters, missing, warnings: self.warnings }
    }
}
