//! The name of what asks: KEDA says it with every call.
//!
//! Not for: what the object holds (`credentials`).

/// The name of a ScaledObject or ScaledJob.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectRef<S = String> {
    /// Its namespace.
    pub namespace: S,
    /// Its name.
    pub name: S,
}

impl ObjectRef {
    /// The same, borrowed.
    #[must_use]
    pub fn borrowed(&self) -> ObjectRef<&str> {
        ObjectRef { namespace: &self.namespace, name: &self.name }
    }
}
