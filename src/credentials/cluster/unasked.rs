//! Triggers that the cluster has for a server like this one, and for which nobody has asked: KEDA does not know the object
//! yet, has another address for us, or is away.
//!
//! Not for: which trigger asks (`matching.rs`).

use super::{
    matching::Found,
    scaled::{Entry, Scaled},
    view::View,
};
use crate::{
    credentials::{Asked, Unasked},
    limits,
    object::ObjectRef,
};

/// The first of them, up to [`limits::UNASKED`].
pub fn unasked(view: &View, asked: &Asked) -> Vec<Unasked> {
    let mut found = Vec::new();
    view.each(|namespace, name, kind, scaled: &std::sync::Arc<Scaled>| {
        let object = ObjectRef { namespace, name };
        for (position, entry) in scaled.entries.iter().enumerate() {
            // Other external scalers have no such key.
            let Some(scaler_type) = entry.value_of("scalerType") else { continue };
            if found.len() < limits::UNASKED && !is_asked(asked, object, entry) {
                found.push(Unasked {
                    object: ObjectRef { namespace: namespace.to_owned(), name: name.to_owned() },
                    facts: Found::new(kind, scaled, position).facts(),
                    scaler_type: scaler_type.trim().to_owned(),
                });
            }
        }
    });
    found
}

fn is_asked(asked: &Asked, object: ObjectRef<&str>, entry: &Entry) -> bool {
    let of_object = asked.by_object.get(&(object.namespace.to_owned(), object.name.to_owned()));
    let matches = |metadata: &std::sync::Arc<crate::metadata::Metadata>| entry.matches(metadata);
    of_object.is_some_and(|of| of.is_empty() || of.iter().any(matches)) || asked.by_many.iter().any(matches)
}
