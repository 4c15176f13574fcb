//! An SQS trigger's metadata as types: KEDA's keys of `aws-sqs-queue`, and one of ours.
//!
//! Not for: credentials (`identity::aws`), what a queue's URL may look like (`address.rs`).

use std::{sync::Arc, time::Duration};

use super::{address::Address, connection::Connection, count::Attribute};
use crate::{
    error::SpecError,
    identity::aws::{Credentials, read_region},
    metadata::Reader,
    net::{Reach, http::Url},
    reading::Metric,
};

const QUEUE: &str = "queueURL";
const TARGET: &str = "queueLength";
const REGION: &str = "awsRegion";
const ENDPOINT: &str = "awsEndpoint";
const IDLE: &str = "idlePollingInterval";

/// How often an idle queue is looked at: what KEDA's own default poll asks six times less often.
const IDLE_EVERY: Duration = Duration::from_secs(5);
/// Below it a request costs more than SQS's own eventual consistency lets one know.
const SHORTEST_IDLE: Duration = Duration::from_millis(200);

/// A trigger, parsed.
#[derive(Debug, Clone, PartialEq)]
pub struct Spec {
    /// Where, and as whom.
    pub connection: Connection,
    /// Which queue.
    pub queue: Arc<Address>,
    /// What of it is added up, in KEDA's order.
    pub attributes: Vec<Attribute>,
    /// Active above it.
    pub activation: i64,
    /// What the HPA sees.
    pub metric: Metric,
    /// How often to look while idle.
    pub idle_every: Duration,
}

impl Spec {
    /// Reads a trigger's metadata.
    pub fn read(keys: &mut Reader<'_>, reach: &Reach) -> Result<Self, SpecError> {
        let queue = queue(keys);
        let target = target(keys);
        let activation = keys.int("activationQueueLength", 0);
        let attributes = attributes(keys);
        keys.required(REGION);
        let region = read_region(keys, REGION).unwrap_or_default();
        let endpoint = endpoint(keys, reach);
        let credentials = Credentials::read(keys);
        own_identity(keys, &credentials, &region, endpoint.as_deref(), reach);
        let idle_every = idle(keys);
        if let Some(of_url) = queue.region().filter(|of_url| *of_url != region && endpoint.is_none()) {
            let text = format!("`{QUEUE}` is of region `{of_url}`, `{REGION}` is `{region}`: make them equal");
            keys.warn(text);
        }
        keys.finish()?;

        let metric = metric(&queue, target);
        let connection = Connection { region, endpoint, credentials, reach: reach.clone() };
        Ok(Self { connection, queue: Arc::new(queue), attributes, activation, metric, idle_every })
    }
}

/// The metric of a trigger whatever else is wrong with it.
pub(super) fn metric_alone(keys: &mut Reader<'_>) -> Option<Metric> {
    let (queue, target) = (queue(keys), target(keys));
    keys.finish().is_ok().then(|| metric(&queue, target))
}

fn metric(queue: &Address, target: i64) -> Metric {
    Metric::new(&format!("aws-sqs-{}", queue.name), target as f64)
}

fn queue(keys: &mut Reader<'_>) -> Address {
    let given = keys.required(QUEUE);
    Address::parse(given).unwrap_or_else(|| {
        if !keys.has_problem(QUEUE) {
            let text = format!(
                "`{QUEUE}` must be a URL that ends in `/<account>/<queue>`, or the name of a queue: correct it"
            );
            keys.problem(QUEUE, text);
        }
        Address { given: String::new(), name: String::new(), account: None }
    })
}

fn target(keys: &mut Reader<'_>) -> i64 {
    let target = keys.int(TARGET, 5);
    keys.check_target(TARGET, target as f64);
    target
}

fn attributes(keys: &mut Reader<'_>) -> Vec<Attribute> {
    let in_flight = keys.boolean("scaleOnInFlight", true);
    let delayed = keys.boolean("scaleOnDelayed", false);
    let wanted = [(Attribute::Visible, true), (Attribute::InFlight, in_flight), (Attribute::Delayed, delayed)];
    wanted.into_iter().filter_map(|(attribute, wanted)| wanted.then_some(attribute)).collect()
}

fn endpoint(keys: &mut Reader<'_>, reach: &Reach) -> Option<String> {
    let endpoint = keys.text(ENDPOINT)?;
    let url = Url::parse(endpoint).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    let Some(mut url) = url else {
        let text = format!("`{ENDPOINT}` must be a URL such as `https://sqs-fips.us-east-1.amazonaws.com`");
        keys.problem(ENDPOINT, text);
        return Some(endpoint.to_owned());
    };
    if let Err(refusal) = reach.check_host(url.host_str().unwrap_or_default()) {
        keys.problem(ENDPOINT, format!("`{ENDPOINT}`: {refusal}"));
    }
    if url.username().is_empty() && url.password().is_none() {
        return Some(endpoint.to_owned());
    }
    // SQS takes no login in a URL, and the SDK's log would show it. With a host, both can be taken away.
    let (name, password) = (url.set_username(""), url.set_password(None));
    name.and(password).ok().map(|()| url.into())
}

/// The server's own identity goes to SQS itself, or to whom the operator has named.
fn own_identity(keys: &mut Reader<'_>, credentials: &Credentials, region: &str, endpoint: Option<&str>, reach: &Reach) {
    let (key, host, verified) = match endpoint.map(Url::parse) {
        Some(Ok(url)) => (ENDPOINT, url.host_str().unwrap_or_default().to_owned(), url.scheme() == "https"),
        Some(Err(_)) => return,
        None if region.starts_with("cn-") => (REGION, format!("sqs.{region}.amazonaws.com.cn"), true),
        None => (REGION, format!("sqs.{region}.amazonaws.com"), true),
    };
    if keys.has_problem(key) {
        return;
    }
    if let Err(refusal) = credentials.check(reach, &host, verified) {
        keys.problem(key, format!("`{key}`: {refusal}"));
    }
}

fn idle(keys: &mut Reader<'_>) -> Duration {
    let every = keys.duration(IDLE).unwrap_or(IDLE_EVERY);
    if every < SHORTEST_IDLE {
        keys.problem(IDLE, format!("`{IDLE}` must be at least `{SHORTEST_IDLE:?}`: each look is a request that costs"));
    }
    every
}
