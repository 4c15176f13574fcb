//! Parameters that a trigger has besides its metadata: from a named connection of the server's, or from what its
//! `authenticationRef` names.
//!
//! Not for: where they come from, or how long they are good (`credentials`).

use std::{collections::BTreeMap, fmt, sync::Arc};

use zeroize::Zeroizing;

/// In which order a key is looked for, and whether a reference may give it at all: KEDA has these orders, by scaler and key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// The reference, then the metadata, then the environment.
    ReferenceFirst,
    /// The metadata, then the reference, then the environment.
    MetadataFirst,
    /// The metadata, then the environment, then the reference.
    ReferenceLast,
    /// The metadata or the reference: both is an error.
    Either,
    /// A named connection may say it, a reference never.
    NeverOfReference,
}

/// Which keys of a scaler type may come from elsewhere than its metadata. What is not in the table is of the metadata alone.
pub type Orders = &'static [(Order, &'static [&'static str])];

/// One value, and where it is from.
#[derive(Clone)]
pub struct Parameter {
    value: Zeroizing<Vec<u8>>,
    /// For people: ``Secret `shop/kafka`, key `password` ``.
    origin: Arc<str>,
}

/// Values by the names that scalers have for them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parameters {
    values: BTreeMap<String, Parameter>,
}

/// What a trigger may use at one time.
#[derive(Debug, Clone, Default)]
pub struct Login {
    /// Of the named connection, with its name.
    pub connection: Option<(Arc<str>, Arc<Parameters>)>,
    /// Of the reference.
    pub reference: Option<Arc<Parameters>>,
}

impl Parameter {
    /// `value` as it was found at `origin`.
    #[must_use]
    pub fn new(value: impl Into<Vec<u8>>, origin: impl Into<Arc<str>>) -> Self {
        Self { value: Zeroizing::new(value.into()), origin: origin.into() }
    }

    /// The value as text, untrimmed. `None` where it is none.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        std::str::from_utf8(&self.value).ok()
    }

    /// The value as it is.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.value
    }

    /// Where it is from, for people.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }
}

impl PartialEq for Parameter {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value && self.origin == other.origin
    }
}

impl Eq for Parameter {}

impl fmt::Debug for Parameter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "••• ({})", self.origin)
    }
}

impl Parameters {
    /// Sets `name`, in place of what it was.
    pub fn set(&mut self, name: impl Into<String>, parameter: Parameter) {
        self.values.insert(name.into(), parameter);
    }

    /// Takes `name` out.
    pub fn remove(&mut self, name: &str) {
        self.values.remove(name);
    }

    /// The value of `name`, blank ones too.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Parameter> {
        self.values.get(name)
    }

    /// All names with their values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Parameter)> {
        self.values.iter().map(|(name, parameter)| (name.as_str(), parameter))
    }
}

impl<K: Into<String>> FromIterator<(K, Parameter)> for Parameters {
    fn from_iter<I: IntoIterator<Item = (K, Parameter)>>(pairs: I) -> Self {
        Self { values: pairs.into_iter().map(|(name, parameter)| (name.into(), parameter)).collect() }
    }
}

/// The same values are handed out as the same allocation for as long as they are the same.
impl PartialEq for Login {
    fn eq(&self, other: &Self) -> bool {
        let same = |a: Option<&Arc<Parameters>>, b: Option<&Arc<Parameters>>| match (a, b) {
            (None, None) => true,
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            _ => false,
        };
        let of_connection = |login: &Self| login.connection.as_ref().map(|(_, parameters)| Arc::clone(parameters));
        same(of_connection(self).as_ref(), of_connection(other).as_ref())
            && same(self.reference.as_ref(), other.reference.as_ref())
    }
}
