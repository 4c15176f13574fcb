//! A Redis trigger's metadata as types: the keys of KEDA's six Redis scalers, which differ in two ways only,
//! what is counted and how the server is found.
//!
//! Not for: the list of addresses (`address.rs`) and the TLS material (`backend/tls.rs`).

use std::{sync::Arc, time::Duration};

use super::{
    address,
    connection::{Connection, Login, Topology},
    measure::Measure,
};
use crate::{
    error::SpecError,
    metadata::{Reader, Secret},
    net::tls::Tls,
    reading::Metric,
};

const LIST_LENGTH: &str = "listLength";
const STREAM_LENGTH: &str = "streamLength";
const PENDING: &str = "pendingEntriesCount";
const LAG: &str = "lagCount";
const GROUP: &str = "consumerGroup";
const DATABASE: &str = "databaseIndex";
const MASTER: &str = "sentinelMaster";
const IDLE: &str = "idlePollingInterval";

/// What the targets are without a word in the trigger.
const DEFAULT_TARGET: i64 = 5;
/// Looking more often costs Redis more than it gains.
const SHORTEST_IDLE: Duration = Duration::from_millis(10);

/// A trigger, parsed.
#[derive(Debug, Clone, PartialEq)]
pub struct Spec {
    /// Where, and as whom.
    pub connection: Connection,
    /// The key of the list or stream.
    pub key: Arc<str>,
    /// What to count there.
    pub measure: Measure,
    /// Active above this.
    pub activation: i64,
    /// What the HPA sees.
    pub metric: Metric,
    /// How often to look while idle where Redis does not tell us.
    pub idle: Option<Duration>,
}

/// Every `scalerType` of this backend.
pub const SCALER_TYPES: &[&str] =
    &["redis", "redis-cluster", "redis-sentinel", "redis-streams", "redis-cluster-streams", "redis-sentinel-streams"];

impl Spec {
    /// Reads a trigger's metadata.
    pub fn read(scaler_type: &str, keys: &mut Reader<'_>) -> Result<Self, SpecError> {
        let counted = Counted::read(scaler_type, keys);
        let connection = connection(scaler_type, keys);
        let idle = idle(keys);
        keys.finish()?;
        let metric = counted.metric();
        let Counted { key, measure, activation, .. } = counted;
        Ok(Self { connection, key: key.into(), measure, activation, metric, idle })
    }
}

/// The half of a trigger that says what to count.
struct Counted {
    key: String,
    measure: Measure,
    activation: i64,
    base: &'static str,
    target: i64,
}

impl Counted {
    fn read(scaler_type: &str, keys: &mut Reader<'_>) -> Self {
        if scaler_type.ends_with("streams") { stream(keys) } else { list(keys) }
    }

    fn metric(&self) -> Metric {
        Metric::new(&format!("{}-{}", self.base, self.key), self.target as f64)
    }
}

/// The metric of a trigger whatever else is wrong with it.
pub(super) fn metric_alone(scaler_type: &str, keys: &mut Reader<'_>) -> Option<Metric> {
    let counted = Counted::read(scaler_type, keys);
    // Of all that is counted only the activation is no part of it.
    let readable =
        ["listName", "stream", LIST_LENGTH, STREAM_LENGTH, PENDING, LAG].iter().all(|key| !keys.has_problem(key));
    readable.then(|| counted.metric())
}

fn list(keys: &mut Reader<'_>) -> Counted {
    Counted {
        key: keys.required("listName").to_owned(),
        measure: Measure::Length,
        target: target(keys, LIST_LENGTH, true),
        activation: keys.int("activationListLength", 0),
        base: "redis",
    }
}

/// The mode follows from what is set: no group, the stream's length; a group with `lagCount`, its lag; a group
/// without, its pending entries. Numbers of the other modes must still be numbers.
fn stream(keys: &mut Reader<'_>) -> Counted {
    let key = keys.required("stream").to_owned();
    let group = keys.text(GROUP).map(Arc::from);
    let by_lag = keys.int(LAG, 0);
    let length = target(keys, STREAM_LENGTH, group.is_none());
    let pending = target(keys, PENDING, group.is_some() && by_lag == 0);
    if group.is_some() && by_lag != 0 {
        keys.check_target(LAG, by_lag as f64);
    }
    let activation = keys.int("activationLagCount", 0);
    let (measure, target) = match group {
        None => {
            warn_of_missing_group(keys);
            (Measure::StreamLength, length)
        }
        Some(group) if by_lag != 0 => (Measure::Lag { group }, by_lag),
        Some(group) => (Measure::Pending { group }, pending),
    };
    Counted { key, measure, activation, base: "redis-streams", target }
}

/// A group that a template left empty changes what is measured without a word.
fn warn_of_missing_group(keys: &mut Reader<'_>) {
    if let Some(key) = [PENDING, LAG].into_iter().find(|key| keys.is_set(key)) {
        keys.warn(format!("`{key}` has no effect without `{GROUP}`: the length of the stream is measured"));
    }
}

fn target(keys: &mut Reader<'_>, key: &'static str, counts: bool) -> i64 {
    let target = keys.int(key, DEFAULT_TARGET);
    if counts {
        keys.check_target(key, target as f64);
    }
    target
}

fn connection(scaler_type: &str, keys: &mut Reader<'_>) -> Connection {
    let addresses = address::read(keys);
    let login = login(keys, "username", "password");
    let sentinels = login_of_sentinels(keys);
    let database = keys.int(DATABASE, 0).max(0);
    let tls = tls(keys);
    let topology = match scaler_type {
        "redis" | "redis-streams" => Topology::Single,
        "redis-cluster" | "redis-cluster-streams" => {
            if database > 0 {
                keys.warn(format!("`{DATABASE}` has no effect in a Redis Cluster, which has one database only"));
            }
            Topology::Cluster
        }
        _ => {
            if sentinels.0.is_none() {
                keys.warn(format!("`{MASTER}` is missing: without the master's name nothing can be read"));
            }
            Topology::Sentinel { master: sentinels.0, login: sentinels.1 }
        }
    };
    let database = if topology == Topology::Cluster { 0 } else { database };
    Connection { topology, addresses, login, database, tls }
}

fn login_of_sentinels(keys: &mut Reader<'_>) -> (Option<String>, Option<Login>) {
    let master = keys.text(MASTER).map(str::to_owned);
    (master, login(keys, "sentinelUsername", "sentinelPassword"))
}

/// A user name without a password logs nobody in: KEDA's client does the same.
fn login(keys: &mut Reader<'_>, username: &'static str, password: &'static str) -> Option<Login> {
    let username_given = keys.text(username).map(str::to_owned);
    let Some(password_given) = keys.text(password) else {
        if username_given.is_some() {
            keys.warn(format!("`{username}` has no effect without `{password}`"));
        }
        return None;
    };
    Some(Login { username: username_given, password: Secret::new(password_given) })
}

/// `enableTLS` and `unsafeSsl` mean KEDA's channel to us, whatever they meant before the trigger was moved here.
fn tls(keys: &mut Reader<'_>) -> Option<Tls> {
    let on = keys.choice("tls", &[("enable", true), ("disable", false)], false);
    let tls = Tls::read(keys);
    if on {
        return Some(tls);
    }
    if keys.is_set("enableTLS") && !keys.is_set("tls") {
        keys.warn("`enableTLS` is about KEDA's channel to this server: for TLS towards Redis set `tls: enable`");
    } else if tls != Tls::default() {
        keys.warn("`ca`, `cert`, `key` and `skipTlsVerify` have no effect without `tls: enable`");
    }
    None
}

fn idle(keys: &mut Reader<'_>) -> Option<Duration> {
    let idle = keys.duration(IDLE)?;
    if idle < SHORTEST_IDLE {
        keys.problem(IDLE, format!("`{IDLE}` must be at least `{SHORTEST_IDLE:?}`"));
    }
    Some(idle)
}
