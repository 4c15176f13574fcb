//! A Prometheus trigger's metadata as types: KEDA's keys of its scaler `prometheus` and a few of ours.
//!
//! Not for: who asks (`auth.rs` for `authModes`, `identity.rs` for clouds).

use std::{sync::Arc, time::Duration};

use super::{auth, client::Question, connection::Connection, identity};
use crate::{
    error::SpecError,
    metadata::{Reader, Secret},
    net::{
        Reach,
        http::{
            Url,
            header::{HeaderName, HeaderValue},
        },
    },
    reading::Metric,
};

const SERVER: &str = "serverAddress";
const THRESHOLD: &str = "threshold";
const HEADERS: &str = "customHeaders";
const PARAMETERS: &str = "queryParameters";
const IGNORE_NULLS: &str = "ignoreNullValues";
const TIMEOUT: &str = "timeout";
const IDLE: &str = "idlePollingInterval";

/// KEDA's default, its `KEDA_HTTP_DEFAULT_TIMEOUT`.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(3);
/// Prometheus knows nothing newer than its last scrape.
const DEFAULT_IDLE: Duration = Duration::from_secs(5);
const SHORTEST_IDLE: Duration = Duration::from_millis(500);

/// A trigger, parsed.
#[derive(Debug, Clone, PartialEq)]
pub struct Spec {
    /// Where, and as whom.
    pub connection: Connection,
    /// What to ask there.
    pub question: Arc<Question>,
    /// Active above this.
    pub activation: f64,
    /// No number counts as 0.
    pub ignore_nulls: bool,
    /// Refuse an answer that may be incomplete.
    pub strict: bool,
    /// What the HPA sees.
    pub metric: Metric,
    /// How long a read may take, if the trigger says so.
    pub deadline: Option<Duration>,
    /// How often to look while idle.
    pub idle: Duration,
}

impl Spec {
    /// Reads a trigger's metadata.
    pub fn read(keys: &mut Reader<'_>, reach: &Reach) -> Result<Self, SpecError> {
        let server = server(keys, reach);
        let query = keys.required("query").to_owned();
        let threshold = threshold(keys);
        let activation = keys.float("activationThreshold").unwrap_or(0.0);
        let parameters = parameters(keys);
        let headers = headers(keys);
        let (strict, ignore_nulls) = nulls(keys);
        let timeout = keys.timeout(TIMEOUT);
        let (auth, tls) = auth::read(keys, reach);
        if let Some(server) = &server {
            identity::check(keys, SERVER, &auth.authorization, server, &tls, reach);
        }
        let idle = idle(keys);
        // Gone from KEDA, which says nothing about it and shows another tenant's series.
        if keys.text("cortexOrgID").is_some() {
            let text = format!("`cortexOrgID` is no more: set `{HEADERS}: X-Scope-OrgID=…` in its place");
            keys.problem("cortexOrgID", text);
        }
        if keys.text("metricName").is_some() {
            keys.warn("`metricName` has no effect, the metric is `prometheus`: KEDA dropped it in 2.12");
        }
        keys.finish()?;

        let Some(server) = server else { unreachable!("a missing server is a problem") };
        let question = Question { query, parameters, timeout: timeout.unwrap_or(DEFAULT_TIMEOUT) };
        Ok(Self {
            connection: Connection { server, headers, auth, tls, reach: reach.clone() },
            question: Arc::new(question),
            activation,
            ignore_nulls,
            strict,
            metric: metric(threshold),
            // A question may wait for its turn as long as for its answer.
            deadline: timeout.map(|timeout| timeout * 2),
            idle,
        })
    }
}

fn server(keys: &mut Reader<'_>, reach: &Reach) -> Option<Url> {
    let text = keys.required(SERVER);
    if text.is_empty() {
        return None;
    }
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    let Some(url) = url else {
        keys.problem(SERVER, format!("`{SERVER}` must be a URL such as `http://prometheus.monitoring:9090`"));
        return None;
    };
    if url.query().is_some() || url.fragment().is_some() {
        keys.problem(SERVER, format!("`{SERVER}` must end with its path: parameters belong into `{PARAMETERS}`"));
        return None;
    }
    if let Err(refusal) = reach.check_host(url.host_str().unwrap_or_default()) {
        keys.problem(SERVER, format!("`{SERVER}`: {refusal}"));
        return None;
    }
    Some(url)
}

/// The metric of a trigger whatever else is wrong with it.
pub(super) fn metric_alone(keys: &mut Reader<'_>) -> Option<Metric> {
    let threshold = threshold(keys);
    keys.finish().is_ok().then(|| metric(threshold))
}

fn metric(threshold: f64) -> Metric {
    Metric::new("prometheus", threshold)
}

fn threshold(keys: &mut Reader<'_>) -> f64 {
    if keys.required(THRESHOLD).is_empty() {
        return 0.0;
    }
    let threshold = keys.float(THRESHOLD);
    if let Some(threshold) = threshold {
        keys.check_target(THRESHOLD, threshold);
    }
    threshold.unwrap_or_default()
}

/// Those of the request besides `query` and `time`, in the order of sending.
fn parameters(keys: &mut Reader<'_>) -> Vec<(String, Secret)> {
    let namespace = keys.text("namespace").map(|namespace| ("namespace".to_owned(), namespace.to_owned()));
    let more = keys.map(PARAMETERS).unwrap_or_default();
    namespace.into_iter().chain(more).map(|(name, value)| (name, Secret::new(value))).collect()
}

fn headers(keys: &mut Reader<'_>) -> Vec<(String, Secret)> {
    let given = keys.map(HEADERS).unwrap_or_default();
    let legal = |(name, value): (&String, &String)| {
        HeaderName::from_bytes(name.as_bytes()).is_ok() && HeaderValue::from_str(value).is_ok()
    };
    if !given.iter().all(legal) {
        keys.problem(HEADERS, format!("`{HEADERS}` must be legal HTTP headers: letters, digits and `-` in a name"));
    }
    // As in KEDA: the host is that of the address.
    given
        .into_iter()
        .filter(|(name, _)| !name.eq_ignore_ascii_case("host"))
        .map(|(name, value)| (name, Secret::new(value)))
        .collect()
}

/// `strict`, and whether no number counts as 0.
fn nulls(keys: &mut Reader<'_>) -> (bool, bool) {
    let strict = keys.boolean("strict", false);
    let ignore = keys.boolean(IGNORE_NULLS, !strict);
    if strict && ignore && !keys.has_problem(IGNORE_NULLS) {
        keys.problem(IGNORE_NULLS, format!("`{IGNORE_NULLS}: true` and `strict: true` exclude each other: drop one"));
    }
    (strict, ignore)
}

fn idle(keys: &mut Reader<'_>) -> Duration {
    let idle = keys.duration(IDLE).unwrap_or(DEFAULT_IDLE);
    if idle < SHORTEST_IDLE {
        keys.problem(IDLE, format!("`{IDLE}` must be at least `{SHORTEST_IDLE:?}`"));
    }
    idle
}
