//! Examines a trigger some of whose values are not known, such as those of a Secret that is not in the input: with values
//! that would do in their place, so that nothing is said to be wrong that may be right.
//!
//! Not for: the values' own mistakes, which only a look with them shows (`live.rs`).

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::login::Supply;
use crate::{
    backend::Registry,
    metadata::{Login, Metadata, Order, Parameter, Parameters},
    net::Reach,
    trigger::{Examined, examine},
};

/// How many sets of values are tried.
const TRIES: usize = 6;
/// How often keys that an open reference may give are added.
const ROUNDS: usize = 8;

/// A trigger with all that is known of its values.
#[derive(Debug)]
pub struct Known<'k> {
    /// What stands in the metadata, but for what is unknown.
    pub metadata: BTreeMap<String, String>,
    /// Keys of the metadata whose values are unknown.
    pub unknown: BTreeSet<String>,
    /// What references give.
    pub supply: &'k Supply,
    /// What the named connection gives, where it is known; `Some(None)` where there is one that is not.
    pub connection: Option<Option<(Arc<str>, Arc<Parameters>)>>,
}

/// What is known of it, and what had to be guessed for that.
pub fn examine_known(registry: &Registry, scaler_type: &str, known: &Known<'_>) -> (Examined, BTreeSet<String>) {
    let mut guessed: BTreeSet<String> = known.supply.given.clone();
    let mut best = attempt(registry, scaler_type, known, &guessed, 0);
    let open = known.supply.open || matches!(known.connection, Some(None));
    if open {
        let orders = registry.find(scaler_type).map(|backend| backend.orders(scaler_type)).unwrap_or_default();
        let any = matches!(known.connection, Some(None));
        let may_give = |key: &str| {
            orders.iter().any(|(order, keys)| (any || *order != Order::NeverOfReference) && keys.contains(&key))
        };
        for _ in 0..ROUNDS {
            let missing = |key: &str| !known.metadata.contains_key(key) && may_give(key);
            let more = best.problems.iter().find(|problem| missing(&problem.key) && !guessed.contains(&problem.key));
            let Some(problem) = more else { break };
            guessed.insert(problem.key.clone());
            best = attempt(registry, scaler_type, known, &guessed, 0);
        }
    }
    let forgiven = |examined: &mut Examined, guessed: &BTreeSet<String>| {
        examined.problems.retain(|problem| !guessed.contains(&problem.key) && !known.unknown.contains(&problem.key));
    };
    forgiven(&mut best, &guessed);
    for index in 1..TRIES {
        if best.problems.is_empty() || (guessed.is_empty() && known.unknown.is_empty()) {
            break;
        }
        let mut other = attempt(registry, scaler_type, known, &guessed, index);
        forgiven(&mut other, &guessed);
        if other.problems.len() < best.problems.len() {
            best = other;
        }
    }
    // What is hardly meant with one value may be just right with another.
    if !guessed.is_empty() || !known.unknown.is_empty() {
        for index in 1..TRIES {
            if best.warnings.is_empty() {
                break;
            }
            let mut other = attempt(registry, scaler_type, known, &guessed, index);
            forgiven(&mut other, &guessed);
            if other.problems.len() <= best.problems.len() {
                best.warnings.retain(|warning| other.warnings.contains(warning));
            }
        }
    }
    guessed.extend(known.unknown.iter().cloned());
    (best, guessed)
}

fn attempt(
    registry: &Registry,
    scaler_type: &str,
    known: &Known<'_>,
    guessed: &BTreeSet<String>,
    index: usize,
) -> Examined {
    let mut metadata = known.metadata.clone();
    for key in &known.unknown {
        // The plain key comes before the variable.
        metadata.entry(key.clone()).or_insert_with(|| stand_in(scaler_type, key, index).to_owned());
    }
    let metadata = Metadata::from(metadata);
    let mut reference = known.supply.known.clone();
    for key in guessed {
        reference.set(key.clone(), Parameter::new(stand_in(scaler_type, key, index), "the reference"));
    }
    let nothing = reference.iter().next().is_none();
    let login =
        Login { connection: known.connection.clone().flatten(), reference: (!nothing).then(|| Arc::new(reference)) };
    examine(registry, &metadata, &Reach::open(), &login)
}

/// A value for `key` that would do, the one with this index where several would.
fn stand_in(scaler_type: &str, key: &str, index: usize) -> &'static str {
    let several: &[&'static str] = match key {
        "host" if scaler_type == "rabbitmq" => {
            &["amqp://host:5672/", "http://host:15672/", "amqps://host:5671/", "https://host:15671/"]
        }
        "host" | "hosts" => &["host"],
        "port" | "ports" => &["6379"],
        "address" | "addresses" => &["host:6379"],
        "bootstrapServers" => &["host:9092"],
        "serverAddress" => &["https://host:9090"],
        "queueURL" => &["https://sqs.eu-west-1.amazonaws.com/123456789012/queue"],
        "awsEndpoint" | "oauthTokenURI" | "oauthTokenEndpointUri" => &["https://host/path"],
        "awsRegion" => &["eu-west-1"],
        "awsRoleArn" => &["arn:aws:iam::123456789012:role/role"],
        "workloadIdentityResource" => &["api://application"],
        "tls" => &["disable", "disable", "enable", "enable"],
        "sasl" => &["plaintext", "none", "scram_sha512", "oauthbearer", "aws_msk_iam", "gssapi"],
        "saslTokenProvider" => &["bearer", "aws_msk_iam"],
        "authModes" | "authMode" => &["basic", "bearer", "tls", "custom", "oauth", "apiKey"],
        "podIdentity" => &["aws", "azure-workload", "gcp"],
        "protocol" => &["auto"],
        "mode" => &["QueueLength"],
        _ => &["10", "true"],
    };
    several.get(index % several.len().max(1)).copied().unwrap_or_default()
}
