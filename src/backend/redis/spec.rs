//! A Redis trigger's metadata as types: the keys of KEDA's six Redis scalers, which differ in two ways only,
//! what is counted and how the server is found.
//!
//! Not for: the list of addresses (`address.rs`) and the TLS material (`net/tls.rs`).

use std::{sync::Arc, time::Duration};

use super::{
    address::{self, Given},
    connection::{Connection, Login, Topology},
    measure::Measure,
    url::Extras,
};
use crate::{
    error::SpecError,
    metadata::{Reader, Secret},
    net::{Reach, tls::Tls},
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
    pub fn read(scaler_type: &str, keys: &mut Reader<'_>, reach: &Reach) -> Result<Self, SpecError> {
        let counted = Counted::read(scaler_type, keys);
        let connection = connection(scaler_type, keys, reach);
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

fn connection(scaler_type: &str, keys: &mut Reader<'_>, reach: &Reach) -> Connection {
    let Given { addresses, key: url, extras } = address::read(keys, reach);
    warn_of_url(keys, url, &extras);
    let login = login(keys, ("username", "password"), (extras.username, extras.password), url);
    let sentinels = login_of_sentinels(keys);
    let database = database(keys, extras.database, url).max(0);
    let tls = tls(keys, extras.tls, url);
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
    Connection { topology, addresses, login, database, tls, reach: reach.clone() }
}

/// What stands in a URL counts as the keys that are made for it.
fn warn_of_url(keys: &mut Reader<'_>, url: &str, extras: &Extras) {
    let taken = [
        extras.tls.map(|_| "`tls`"),
        extras.username.as_ref().map(|_| "`username`"),
        extras.password.as_ref().map(|_| "`password`"),
        extras.database.map(|_| "`databaseIndex`"),
    ];
    let taken: Vec<&str> = taken.into_iter().flatten().collect();
    if !taken.is_empty() {
        keys.warn(format!("`{url}` is a URL: what it says of {} is taken", taken.join(", ")));
    }
}

/// A key must not say another thing than the URL.
fn agree<T: PartialEq>(keys: &mut Reader<'_>, key: &str, given: Option<&T>, url: (Option<&T>, &str)) {
    if let (Some(given), Some(other)) = (given, url.0)
        && given != other
    {
        keys.problem(key, format!("`{key}` says another thing than the URL in `{}`: keep one of the two", url.1));
    }
}

fn login_of_sentinels(keys: &mut Reader<'_>) -> (Option<String>, Option<Login>) {
    let master = keys.text(MASTER).map(str::to_owned);
    (master, login(keys, ("sentinelUsername", "sentinelPassword"), (None, None), ""))
}

/// A user name without a password logs nobody in: KEDA's client does the same.
fn login(
    keys: &mut Reader<'_>,
    (username, password): (&'static str, &'static str),
    in_url: (Option<String>, Option<Secret>),
    url: &str,
) -> Option<Login> {
    let given = (keys.text(username).map(str::to_owned), keys.secret(password));
    agree(keys, username, given.0.as_ref(), (in_url.0.as_ref(), url));
    agree(keys, password, given.1.as_ref(), (in_url.1.as_ref(), url));
    let (user, secret) = (given.0.or(in_url.0), given.1.or(in_url.1));
    if user.is_some() && secret.is_none() {
        keys.warn(format!("`{username}` has no effect without `{password}`"));
    }
    Some(Login { username: user, password: secret? })
}

fn database(keys: &mut Reader<'_>, in_url: Option<i64>, url: &str) -> i64 {
    let given = keys.text(DATABASE).is_some();
    let database = keys.int(DATABASE, in_url.unwrap_or(0));
    agree(keys, DATABASE, Some(&database).filter(|_| given), (in_url.as_ref(), url));
    database
}

fn tls(keys: &mut Reader<'_>, in_url: Option<bool>, url: &str) -> Option<Tls> {
    let given = keys.text("tls").is_some();
    let on = keys.choice("tls", &[("enable", true), ("disable", false)], in_url.unwrap_or(false));
    agree(keys, "tls", Some(&on).filter(|_| given), (in_url.as_ref(), url));
    let tls = Tls::read(keys);
    if on {
        return Some(tls);
    }
    if tls != Tls::default() {
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
