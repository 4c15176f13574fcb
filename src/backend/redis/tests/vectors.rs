//! KEDA's own view, case by case: what its Redis scalers make of the same metadata and the same answers. Where we
//! differ, the case stands in [`DIFFERENCES`] with the reason.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::counting::{Scripted, count, is_active};
use crate::{
    backend::redis::{
        connection::{Login, Topology},
        measure::Measure,
        spec::Spec,
    },
    metadata::{Metadata, Reader, Secret},
    net::Reach,
};

const NO_TARGET: &str = "a target of 0 or less is refused at once: the HPA would refuse it later";
const CHANNEL: &str = "`enableTLS` and `unsafeSsl` are KEDA's own for its channel to us, and never mean Redis";
const ANY_KEY: &str = "what KEDA reads from the TriggerAuthentication or the environment alone, we read everywhere";
const PLAIN_FIRST: &str = "a plain key comes before its `…FromEnv` form, wherever it came from";

/// Where we differ from KEDA, and why. A case here that does not differ fails the test, too.
const DIFFERENCES: &[(&str, &str)] = &[
    ("redis/TestRedisParseMetadata/10", NO_TARGET),
    ("redis/TestRedisParseMetadata/16", NO_TARGET),
    // Both set is KEDA's complaint; ours is the target.
    ("redis/TestRedisParseMetadata/17", CHANNEL),
    ("redis-sentinel/TestParseRedisSentinelMetadata/20", CHANNEL),
    ("redis-sentinel/TestParseRedisSentinelMetadata/21", CHANNEL),
    ("redis-streams/TestParseRedisStreamsMetadata/00", CHANNEL),
    ("redis-streams/TestParseRedisStreamsMetadata/02", CHANNEL),
    ("redis-streams/TestParseRedisStreamsMetadataForInvalidCases/08", CHANNEL),
    ("redis-streams/TestRedisStreamsGetMetricSpecForScaling/00", CHANNEL),
    ("redis-cluster-streams/TestParseRedisClusterStreamsMetadata/22", CHANNEL),
    ("redis-sentinel-streams/TestParseRedisSentinelStreamsMetadata/35", CHANNEL),
    ("redis-x-host-prec-env-over-auth", PLAIN_FIRST),
    ("redis-x-len-zero", NO_TARGET),
    ("redis-x-len-neg", NO_TARGET),
    ("redis-x-tls-md-false-auth", CHANNEL),
    ("redis-x-unsafessl-bad", CHANNEL),
    ("redis-x-listname-auth", ANY_KEY),
    ("redis-streams-x-pending-zero", NO_TARGET),
    ("redis-streams-x-streamlength-zero", NO_TARGET),
];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Vectors {
    #[serde(rename = "about")]
    _about: String,
    parse: Vec<Parse>,
    stream_value: Vec<StreamValue>,
    stream_activity: Vec<Activity>,
    list_value: Vec<ListValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Parse {
    id: String,
    scaler_type: String,
    metadata: BTreeMap<String, String>,
    /// The key at fault.
    refused: Option<String>,
    spec: Option<Expected>,
}

#[derive(Deserialize, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Expected {
    key: String,
    addresses: Vec<String>,
    database: i64,
    metric: String,
    target: f64,
    activation: i64,
    tls: bool,
    skip_verify: bool,
    measure: String,
    group: Option<String>,
    username: Option<String>,
    password: Option<String>,
    sentinel_master: Option<String>,
    sentinel_username: Option<String>,
    sentinel_password: Option<String>,
    ca: Option<String>,
    cert: Option<String>,
    client_key: Option<String>,
    key_password: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct StreamValue {
    id: String,
    scaler_type: String,
    metadata: BTreeMap<String, String>,
    server: Scripted,
    #[serde(default)]
    fails: bool,
    value: Option<f64>,
    active: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Activity {
    id: String,
    count: i64,
    activation: i64,
    active: bool,
    value: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListValue {
    id: String,
    r#type: String,
    counter: Option<String>,
    #[serde(default)]
    fails: bool,
}

impl Expected {
    /// What KEDA's client does with the fields: no login without a password, no database below 0 or in a cluster,
    /// no TLS material without TLS, sentinels for one topology only.
    fn in_effect(mut self, scaler_type: &str) -> Self {
        if self.password.is_none() {
            self.username = None;
        }
        if self.sentinel_password.is_none() {
            self.sentinel_username = None;
        }
        self.database = if scaler_type.contains("cluster") { 0 } else { self.database.max(0) };
        if !self.tls {
            (self.skip_verify, self.ca, self.cert, self.client_key, self.key_password) =
                (false, None, None, None, None);
        }
        if !scaler_type.contains("sentinel") {
            (self.sentinel_master, self.sentinel_username, self.sentinel_password) = (None, None, None);
        }
        self
    }

    fn of(spec: Spec) -> Self {
        let group = match &spec.measure {
            Measure::Pending { group } | Measure::Lag { group } => Some(group.to_string()),
            _ => None,
        };
        let measure = match spec.measure {
            Measure::Length => "length",
            Measure::StreamLength => "length of the stream",
            Measure::Pending { .. } => "pending entries",
            Measure::Lag { .. } => "lag",
        };
        let connection = spec.connection;
        let (username, password) = login(connection.login);
        let (sentinel_master, sentinels) = match connection.topology {
            Topology::Sentinel { master, login } => (master, login),
            _ => (None, None),
        };
        let (sentinel_username, sentinel_password) = login(sentinels);
        let tls = connection.tls.is_some();
        let material = connection.tls.unwrap_or_default();
        let text = |secret: Option<Secret>| secret.map(|secret| secret.expose().to_owned());
        Self {
            key: spec.key.to_string(),
            addresses: connection.addresses,
            database: connection.database,
            metric: spec.metric.name,
            target: spec.metric.target,
            activation: spec.activation,
            tls,
            skip_verify: material.skip_verify,
            measure: measure.to_owned(),
            group,
            username,
            password,
            sentinel_master,
            sentinel_username,
            sentinel_password,
            ca: text(material.ca),
            cert: text(material.cert),
            client_key: text(material.key),
            key_password: text(material.key_password),
        }
    }
}

fn login(login: Option<Login>) -> (Option<String>, Option<String>) {
    login.map_or((None, None), |login| (login.username, Some(login.password.expose().to_owned())))
}

fn parse(scaler_type: &str, metadata: BTreeMap<String, String>) -> Result<Spec, crate::error::SpecError> {
    let metadata = Metadata::from(metadata);
    Spec::read(scaler_type, &mut Reader::new(&metadata), &Reach::open())
}

/// What is different from KEDA in this case, if anything is.
fn difference(case: Parse) -> Option<String> {
    match (parse(&case.scaler_type, case.metadata), case.refused, case.spec) {
        (Ok(ours), None, Some(theirs)) => {
            let (ours, theirs) = (Expected::of(ours), theirs.in_effect(&case.scaler_type));
            (ours != theirs).then(|| format!("{ours:?} instead of {theirs:?}"))
        }
        (Err(error), Some(key), None) => {
            let names_it = error.problems.iter().any(|problem| problem.key == key && problem.text.contains(&key));
            (!names_it).then(|| format!("`{key}` is not to blame: {error}"))
        }
        (Err(error), _, _) => Some(format!("refused: {error}")),
        (Ok(_), _, _) => Some("accepted".to_owned()),
    }
}

fn difference_in_value(case: StreamValue) -> Option<String> {
    let spec = parse(&case.scaler_type, case.metadata).expect("legal metadata");
    match count(spec.measure, &case.server) {
        Ok(value) if case.fails => Some(format!("counts {value}")),
        Ok(value) => {
            let ours = (Some(value), Some(is_active(value, spec.activation)));
            (ours != (case.value, case.active)).then(|| format!("{ours:?}"))
        }
        Err(error) => (!case.fails).then(|| format!("fails: {error}")),
    }
}

#[test]
fn every_vector_is_as_in_keda_or_a_listed_difference() {
    let text = include_str!("../../../../tests/vectors/redis.json");
    let vectors: Vectors = serde_json::from_str(text).expect("legal vectors");
    let counts =
        [vectors.parse.len(), vectors.stream_value.len(), vectors.stream_activity.len(), vectors.list_value.len()];
    assert_eq!(counts, [98, 6, 2, 3], "cases got lost");

    let mut outcomes: Vec<(String, Option<String>)> = Vec::new();
    for case in vectors.parse {
        outcomes.push((case.id.clone(), difference(case)));
    }
    for case in vectors.stream_value {
        outcomes.push((case.id.clone(), difference_in_value(case)));
    }
    for case in vectors.stream_activity {
        let server = Scripted::stream_of_length(case.count);
        let value = count(Measure::StreamLength, &server).expect("a length");
        let same = (value, is_active(value, case.activation)) == (case.value, case.active);
        outcomes.push((case.id, (!same).then(|| format!("{value}"))));
    }
    for case in vectors.list_value {
        let server = Scripted::key_of_type(&case.r#type, 7);
        let outcome = count(Measure::Length, &server);
        let asked = server.counted_with();
        let same = if case.fails { outcome.is_err() } else { outcome == Ok(7.0) && asked == case.counter };
        outcomes.push((case.id, (!same).then(|| format!("{outcome:?} by {asked:?}"))));
    }

    let listed: BTreeMap<&str, &str> = DIFFERENCES.iter().copied().collect();
    assert_eq!(listed.len(), DIFFERENCES.len(), "a difference is listed twice");
    let unlisted: Vec<_> =
        outcomes.iter().filter(|(id, difference)| difference.is_some() && !listed.contains_key(id.as_str())).collect();
    assert!(unlisted.is_empty(), "differences that are not listed: {unlisted:#?}");
    let settled: Vec<_> = outcomes.iter().filter(|(id, d)| d.is_none() && listed.contains_key(id.as_str())).collect();
    assert!(settled.is_empty(), "listed differences that are none: {settled:#?}");
    let known = |id: &&str| outcomes.iter().any(|(case, _)| case == id);
    assert!(listed.keys().all(known), "a listed difference is of no case");
    show(&outcomes, &listed);
}

#[expect(clippy::print_stdout, reason = "shown with --nocapture")]
fn show(outcomes: &[(String, Option<String>)], listed: &BTreeMap<&str, &str>) {
    println!(
        "redis vectors: {} of {} as in KEDA, {} listed differences",
        outcomes.len() - listed.len(),
        outcomes.len(),
        listed.len()
    );
    for (id, reason) in listed {
        println!("  {id}: {reason}");
    }
}
