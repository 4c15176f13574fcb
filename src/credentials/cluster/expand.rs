//! `$(VARIABLE)` in the value of a container's variable, as KEDA expands it: with the kubelet's rules, but that a `$` with
//! fewer than three bytes after it is left alone.
//!
//! Not for: which variables are defined (`env.rs`).

use std::collections::BTreeMap;

use zeroize::Zeroizing;

/// Variables that are defined so far.
pub type Variables = BTreeMap<String, Zeroizing<Vec<u8>>>;

/// The `$` of a `$$` or of a `$(…)` is recognised only with so many bytes after it.
const LOOKS_AHEAD: usize = 3;

/// `text` with the variables that are defined so far in it.
pub fn expand(text: &str, defined: &Variables) -> Zeroizing<Vec<u8>> {
    let mut expanded = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        let (before, from) = rest.split_at(at);
        expanded.extend_from_slice(before.as_bytes());
        let after = from.get(1..).unwrap_or_default();
        let known = after.len() >= LOOKS_AHEAD;
        if let Some(tail) = after.strip_prefix('$').filter(|_| known) {
            expanded.push(b'$');
            rest = tail;
        } else if let Some((name, tail)) = after.strip_prefix('(').filter(|_| known).and_then(|of| of.split_once(')')) {
            match defined.get(name) {
                Some(value) => expanded.extend_from_slice(value),
                None => expanded.extend_from_slice(format!("$({name})").as_bytes()),
            }
            rest = tail;
        } else {
            expanded.push(b'$');
            rest = after;
        }
    }
    expanded.extend_from_slice(rest.as_bytes());
    expanded
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn defined() -> Variables {
        let value = |value: &str| Zeroizing::new(value.as_bytes().to_vec());
        [("A", "1"), ("AB", "22"), ("R", "$(A)")].map(|(name, text)| (name.to_owned(), value(text))).into()
    }

    fn expanded(text: &str) -> String {
        String::from_utf8(expand(text, &defined()).to_vec()).expect("text")
    }

    #[test]
    fn values_expand_as_in_keda() {
        for (text, expected) in [
            ("$(A)$(AB)", "122"),
            ("$(NO)z", "$(NO)z"),
            ("$$(A)", "$(A)"),
            ("$$$(A)", "$1"),
            ("$(R)", "$(A)"),
            ("$($(A))", "$($(A))"),
            ("$()x", "$()x"),
            ("$(A", "$(A"),
            ("100$", "100$"),
            ("a$$b", "a$$b"),
            ("a$$bc", "a$bc"),
            ("pa$$", "pa$$"),
            ("$$$$", "$$$"),
            ("$$$$$", "$$$$"),
            ("$(A)$$", "1$$"),
            // Here we are the kubelet, and KEDA leaves broken text behind.
            ("$éé", "$éé"),
            ("é$(A)é", "é1é"),
            ("", ""),
            ("$", "$"),
            ("$x(A)", "$x(A)"),
        ] {
            assert_eq!(expanded(text), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_has_no_dollar_stays_as_it_is(text in "[^$]*") {
            prop_assert_eq!(expanded(&text), text);
        }

        #[test]
        fn no_text_does_harm(text in "[$()ABR é]{0,12}") {
            prop_assert!(expanded(&text).len() <= 4 * text.len() + 4);
        }
    }
}
