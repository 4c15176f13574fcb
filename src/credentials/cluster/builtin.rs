//! Triggers of KEDA's own scalers, with the logins and variables that KEDA would give them, and what KEDA reads for them: for
//! `compare`, which lays our values beside KEDA's.
//!
//! Not for: serving, which knows external triggers alone (`scaled.rs`).

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use serde::Deserialize;

use super::{
    Cluster,
    api::ApiError,
    env::variables,
    path::{Kind, escape, is_name},
    reference::{Id, Reference},
    resolve::{Case, Pod},
    scaled::{AuthName, Scaled, Target},
    visit::Visit,
    wire,
};
use crate::{
    credentials::Binding,
    error::{ReadError, ReadErrorKind, quoted},
    limits,
    object::ObjectRef,
};

/// How long what was read of a workload may be used.
const LIFE: Duration = Duration::from_secs(60);

/// A trigger of one of KEDA's own scalers.
#[derive(Debug, Clone)]
pub struct Builtin {
    /// `ScaledObject` or `ScaledJob`.
    pub kind: &'static str,
    /// Its object.
    pub object: ObjectRef,
    /// Which of the object's triggers.
    pub index: usize,
    /// What it is called.
    pub name: Option<String>,
    /// KEDA's name for the scaler.
    pub scaler_type: String,
    /// As written.
    pub metadata: BTreeMap<String, String>,
    /// How often KEDA reads.
    pub polling_interval: Duration,
    /// KEDA does not scale the object.
    pub paused: bool,
    reference: Option<Reference>,
    target: Arc<Target>,
}

/// Why the cluster says nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Silent(pub String);

/// What the external metrics API answers.
#[derive(Deserialize)]
struct Values {
    items: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    value: String,
}

impl Cluster {
    /// Every trigger in the cluster, or in the namespaces that are read, of a scaler type that is `wanted`.
    pub async fn builtin(&self, wanted: impl Fn(&str) -> bool) -> Result<Vec<Builtin>, Silent> {
        let namespaces = &self.0.references.options.namespaces;
        let places: Vec<Option<&str>> = match namespaces.as_slice() {
            [] => vec![None],
            some => some.iter().map(|namespace| Some(namespace.as_str())).collect(),
        };
        let mut found = Vec::new();
        for kind in [Kind::ScaledObject, Kind::ScaledJob] {
            for place in &places {
                for (meta, object) in self.all(kind, *place).await? {
                    self.triggers_of(kind, &meta, object, &wanted, &mut found);
                }
            }
        }
        Ok(found)
    }

    async fn all(&self, kind: Kind, place: Option<&str>) -> Result<Vec<(wire::Meta, wire::Scaled)>, Silent> {
        let labels = self.0.references.options.labels.as_deref();
        let mut all = Vec::new();
        let selection = kind.selection(place, labels);
        let listed = self.0.api.list(&selection, |item| {
            let meta = serde_json::from_str::<wire::Headed>(item).map(|headed| headed.metadata);
            // One that is not of the form we know is KEDA's to complain about.
            if let (Ok(meta), Ok(object)) = (meta, serde_json::from_str(item)) {
                all.push((meta, object));
            }
        });
        match listed.await {
            Ok(_) => Ok(all),
            Err(ApiError::Missing) => {
                Err(Silent(format!("the cluster has no {}: KEDA is not installed there", kind.plural())))
            }
            Err(error) => {
                let place = place.map(|place| format!(" of namespace `{place}`")).unwrap_or_default();
                Err(Silent(format!("the {}{place} cannot be listed: {error}", kind.plural())))
            }
        }
    }

    fn triggers_of(
        &self,
        kind: Kind,
        meta: &wire::Meta,
        mut object: wire::Scaled,
        wanted: impl Fn(&str) -> bool,
        found: &mut Vec<Builtin>,
    ) {
        let triggers = std::mem::take(&mut object.spec.triggers);
        let Some(scaled) = Scaled::new(kind, meta, object) else { return };
        for (index, trigger) in triggers.into_iter().enumerate().take(limits::KUBERNETES_TRIGGERS) {
            if !wanted(&trigger.kind) {
                continue;
            }
            let auth = AuthName::of(trigger.authentication_ref);
            let reference = auth.named().map(|(kind, name)| {
                // What is scaled is told whether or not it matters: nothing is shared between two that is worth it.
                let (namespace, name) = (meta.namespace.as_str().into(), name.into());
                let id = Id { kind, namespace, name, target: Some(Arc::clone(&scaled.target)) };
                Reference::new(id, &self.0.references)
            });
            found.push(Builtin {
                kind: kind.as_str(),
                object: ObjectRef { namespace: meta.namespace.clone(), name: meta.name.clone() },
                index,
                name: trigger.name.filter(|name| !name.is_empty()),
                scaler_type: trigger.kind,
                metadata: trigger.metadata,
                polling_interval: scaled.settings.polling_interval,
                paused: scaled.settings.paused,
                reference,
                target: Arc::clone(&scaled.target),
            });
        }
    }

    /// The variables of the workload's container, as KEDA finds them.
    pub async fn variables(&self, of: &Builtin) -> Result<HashMap<String, String>, ReadError> {
        let references = &self.0.references;
        let (rules, reach) = (&references.options.rules, references.reach(&of.object.namespace));
        let case = Case {
            kind: Kind::TriggerAuthentication,
            name: "",
            own: &of.object.namespace,
            target: Some(&of.target),
            rules,
            reach: &reach,
        };
        let lacking = |why: String| ReadError::new(ReadErrorKind::Denied, why).of_source();
        let mut visit = Visit::new(&references.reads, LIFE);
        let mut pod = Pod::default();
        let spec = pod.of(case, &mut visit).await?.map_err(lacking)?;
        let wanted = of.target.container.as_deref().unwrap_or_default();
        let container = spec.containers.iter().find(|container| wanted.is_empty() || container.name == wanted);
        let container =
            container.ok_or_else(|| lacking(format!("the scaled workload has no container `{}`", quoted(wanted))))?;
        let found = variables(&mut visit, case.own, container, case.secrets_of_workload()).await?.map_err(lacking)?;
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok();
        Ok(found.into_iter().filter_map(|(name, value)| Some((name, text(&value)?))).collect())
    }

    /// What KEDA answers the HPA for the metric `name` of a ScaledObject: it reads its source for it, or has read it of late.
    pub async fn external_metric(&self, object: ObjectRef<&str>, name: &str) -> Result<f64, Silent> {
        if !is_name(object.namespace) || !is_name(object.name) {
            return Err(Silent("the object's name is none".to_owned()));
        }
        let selector = escape(&format!("scaledobject.keda.sh/name={}", object.name));
        let path = format!(
            "/apis/external.metrics.k8s.io/v1beta1/namespaces/{}/{}?labelSelector={selector}",
            object.namespace,
            escape(name)
        );
        let values: Values = match self.0.api.get(&path).await {
            Ok(values) => values,
            Err(ApiError::Missing) => {
                return Err(Silent(
                    "the cluster does not serve this external metric: does KEDA's metrics adapter run?".into(),
                ));
            }
            Err(error) => return Err(Silent(error.to_string())),
        };
        let first = values.items.first().ok_or_else(|| Silent("KEDA has no value for it".to_owned()))?;
        quantity(&first.value).ok_or_else(|| Silent(format!("`{}` is no number", quoted(&first.value))))
    }
}

impl Builtin {
    /// The login that KEDA would give its scaler.
    #[must_use]
    pub fn binding(&self) -> Binding {
        Binding { reference: self.reference.clone(), ..Binding::default() }
    }
}

/// A Kubernetes quantity: `42`, `1500m`, `2k`, `1e3`, `1Ki`.
fn quantity(text: &str) -> Option<f64> {
    const SUFFIXES: [(&str, f64); 14] = [
        ("Ki", 1024.0),
        ("Mi", 1_048_576.0),
        ("Gi", 1_073_741_824.0),
        ("Ti", 1_099_511_627_776.0),
        ("Pi", 1_125_899_906_842_624.0),
        ("n", 1e-9),
        ("u", 1e-6),
        ("m", 1e-3),
        ("k", 1e3),
        ("M", 1e6),
        ("G", 1e9),
        ("T", 1e12),
        ("P", 1e15),
        ("E", 1e18),
    ];
    let scaled = SUFFIXES.iter().find_map(|(suffix, scale)| Some((text.strip_suffix(suffix)?, *scale)));
    let (digits, scale) = scaled.unwrap_or((text, 1.0));
    digits.parse::<f64>().ok().filter(|number| number.is_finite()).map(|number| number * scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantity_is_a_number_with_its_unit() {
        for (text, number) in
            [("42", 42.0), ("0", 0.0), ("1500m", 1.5), ("2k", 2000.0), ("1e3", 1000.0), ("1Ki", 1024.0), ("-3", -3.0)]
        {
            assert_eq!(quantity(text), Some(number), "{text}");
        }
        for text in ["", "m", "many", "1 2", "NaN", "inf"] {
            assert_eq!(quantity(text), None, "{text}");
        }
    }
}
