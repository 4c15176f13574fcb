//! The variables of a workload's container, as KEDA finds them: what `envFrom` names, then `env` in its order, each later one
//! over the earlier.
//!
//! Not for: what a pod would see besides: `fieldRef`, service links, the image's own variables. KEDA leaves them out too.

use zeroize::Zeroizing;

use super::{
    expand::{Variables, expand},
    items::{Container, EnvFrom, Ref, Variable},
    visit::Visit,
};
use crate::error::{ReadError, quoted};

/// The variables of `container`; in words, why it has none: a reference that is not optional leads nowhere. `secrets`: they
/// may be read in this namespace.
pub async fn variables(
    visit: &mut Visit<'_>,
    namespace: &str,
    container: &Container,
    secrets: bool,
) -> Result<Result<Variables, String>, ReadError> {
    let mut defined = Variables::new();
    for source in &container.env_from {
        if let Err(why) = whole(visit, namespace, source, secrets, &mut defined).await? {
            return Ok(Err(why));
        }
    }
    for variable in &container.env {
        match one(visit, namespace, variable, secrets, &defined).await? {
            Ok(Some(value)) => drop(defined.insert(variable.name.clone(), value)),
            Ok(None) => {}
            Err(why) => return Ok(Err(format!("{why}, which the variable `{}` needs", quoted(&variable.name)))),
        }
    }
    Ok(Ok(defined))
}

/// Every key of a ConfigMap or a Secret.
async fn whole(
    visit: &mut Visit<'_>,
    namespace: &str,
    source: &EnvFrom,
    secrets: bool,
    defined: &mut Variables,
) -> Result<Result<(), String>, ReadError> {
    let named = |key: &str| format!("{}{key}", source.prefix);
    let (found, reference) = match source {
        EnvFrom { config_map_ref: Some(reference), .. } => {
            let map = visit.config_map(namespace, &reference.name).await?;
            let each = |map: std::sync::Arc<super::items::ConfigMap>| {
                let value = |value: &String| Zeroizing::new(value.as_bytes().to_vec());
                map.data.iter().map(|(key, text)| (named(key), value(text))).collect::<Vec<_>>()
            };
            (map.map(each), reference)
        }
        EnvFrom { secret_ref: Some(reference), .. } if secrets => {
            let secret = visit.secret(namespace, &reference.name).await?;
            let each = |secret: std::sync::Arc<super::items::Secret>| {
                secret.data.iter().map(|(key, bytes)| (named(key), bytes.0.clone())).collect::<Vec<_>>()
            };
            (secret.map(each), reference)
        }
        _ => return Ok(Ok(())),
    };
    Ok(match found {
        Ok(pairs) => {
            defined.extend(pairs);
            Ok(())
        }
        Err(_) if reference.optional => Ok(()),
        Err(why) => Err(format!("{why}, which `envFrom` needs")),
    })
}

/// The value of one variable; none where it is left out, so that an earlier one stays.
async fn one(
    visit: &mut Visit<'_>,
    namespace: &str,
    variable: &Variable,
    secrets: bool,
    defined: &Variables,
) -> Result<Result<Option<Zeroizing<Vec<u8>>>, String>, ReadError> {
    let from = match (&variable.value_from, variable.value.is_empty()) {
        (_, false) => return Ok(Ok(Some(expand(&variable.value, defined)))),
        (None, true) => return Ok(Ok(Some(Zeroizing::default()))),
        (Some(from), true) => from,
    };
    // A key that is missing is an empty value, whether or not it is optional.
    let empty = || Some(Zeroizing::default());
    let skipped = |reference: &Ref, why| if reference.optional { Ok(None) } else { Err(why) };
    Ok(match (&from.secret_key_ref, &from.config_map_key_ref) {
        (Some(reference), _) if secrets => match visit.secret(namespace, &reference.name).await? {
            Ok(secret) => Ok(secret.data.get(&reference.key).map(|bytes| bytes.0.clone()).or_else(empty)),
            Err(why) => skipped(reference, why),
        },
        (None, Some(reference)) => match visit.config_map(namespace, &reference.name).await? {
            Ok(map) => {
                let value = map.data.get(&reference.key);
                Ok(value.map(|text| Zeroizing::new(text.as_bytes().to_vec())).or_else(empty))
            }
            Err(why) => skipped(reference, why),
        },
        _ => Ok(None),
    })
}
