//! Paths of the API: which kinds we read, and that nothing but a name gets into one.
//!
//! Names come from objects that users write, and KEDA's schema lets `../x` pass as the name of a Secret. Not for: asking.

use std::fmt::Write;

use crate::limits;

/// KEDA's own kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    ScaledObject,
    ScaledJob,
    TriggerAuthentication,
    ClusterTriggerAuthentication,
}

impl Kind {
    pub const ALL: [Self; 4] =
        [Self::ScaledObject, Self::ScaledJob, Self::TriggerAuthentication, Self::ClusterTriggerAuthentication];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::ScaledObject => "ScaledObject",
            Self::ScaledJob => "ScaledJob",
            Self::TriggerAuthentication => "TriggerAuthentication",
            Self::ClusterTriggerAuthentication => "ClusterTriggerAuthentication",
        }
    }

    /// Its name in paths and rights.
    pub fn plural(self) -> &'static str {
        match self {
            Self::ScaledObject => "scaledobjects",
            Self::ScaledJob => "scaledjobs",
            Self::TriggerAuthentication => "triggerauthentications",
            Self::ClusterTriggerAuthentication => "clustertriggerauthentications",
        }
    }

    /// All of it in one namespace, or in the whole cluster.
    pub fn collection(self, namespace: Option<&str>) -> String {
        let plural = self.plural();
        match namespace.filter(|_| self != Self::ClusterTriggerAuthentication) {
            Some(namespace) => format!("/apis/keda.sh/v1alpha1/namespaces/{namespace}/{plural}"),
            None => format!("/apis/keda.sh/v1alpha1/{plural}"),
        }
    }

    /// Those with these labels alone: a path with the beginning of its query, to which other parameters are added.
    pub fn selection(self, namespace: Option<&str>, labels: Option<&str>) -> String {
        let labels = labels.map(|labels| format!("labelSelector={}&", escape(labels))).unwrap_or_default();
        format!("{}?{labels}", self.collection(namespace))
    }

    /// One of them; `None` where a name is none.
    pub fn one(self, namespace: &str, name: &str) -> Option<String> {
        let namespaced = self != Self::ClusterTriggerAuthentication;
        let legal = is_name(name) && (!namespaced || is_name(namespace));
        legal.then(|| format!("{}/{name}", self.collection(Some(namespace))))
    }
}

/// An object of the core group: `secrets`, `configmaps`, `serviceaccounts`.
pub fn core(plural: &str, namespace: &str, name: &str) -> Option<String> {
    (is_name(namespace) && is_name(name)).then(|| format!("/api/v1/namespaces/{namespace}/{plural}/{name}"))
}

/// An object of any group.
pub fn any(group: &str, version: &str, plural: &str, namespace: &str, name: &str) -> Option<String> {
    let legal = [version, plural, namespace, name].into_iter().all(is_name) && (group.is_empty() || is_name(group));
    let root = if group.is_empty() { "/api".to_owned() } else { format!("/apis/{group}") };
    legal.then(|| format!("{root}/{version}/namespaces/{namespace}/{plural}/{name}"))
}

/// Whether it is a name as Kubernetes has them (RFC 1123): nothing that a path could be bent with.
pub fn is_name(text: &str) -> bool {
    let edge = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let label = |label: &str| {
        let inside = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        edge(label.as_bytes().first()) && edge(label.as_bytes().last()) && label.bytes().all(inside)
    };
    text.len() <= limits::NAME && text.split('.').all(label)
}

/// `value` escaped for a query.
pub fn escape(value: &str) -> String {
    let mut escaped = String::with_capacity(value.len());
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            escaped.push(char::from(byte));
        } else {
            // Writing to a text does not fail.
            write!(escaped, "%{byte:02X}").ok();
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_a_name_gets_into_a_path() {
        for name in ["db", "a.b-c.d", "0", "keda"] {
            assert!(core("secrets", "a", name).is_some(), "{name}");
        }
        for name in ["", ".", "..", "a/../b", "a?x=1", "A", "a_b", "-a", "a-", "a..b", "a%2f", "ä", &"a".repeat(254)] {
            assert_eq!(core("secrets", "a", name), None, "{name}");
            assert_eq!(core("secrets", name, "a"), None, "{name}");
            assert_eq!(Kind::ScaledObject.one(name, "a"), None, "{name}");
            assert_eq!(any("apps", "v1", "deployments", "a", name), None, "{name}");
        }
        assert_eq!(any("", "v1", "pods", "a", "b").as_deref(), Some("/api/v1/namespaces/a/pods/b"));
        let cluster = Kind::ClusterTriggerAuthentication.one("", "x");
        assert_eq!(cluster.as_deref(), Some("/apis/keda.sh/v1alpha1/clustertriggerauthentications/x"));
    }
}
