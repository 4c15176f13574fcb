//! A Kafka trigger's metadata as types: KEDA's keys of its scalers `kafka` and `apache-kafka`, which are two
//! dialects of one thing, and a few of ours.
//!
//! Fields are read first, then checked against each other in KEDA's order, so that the first problem is KEDA's
//! first. Not for: who logs in and how (`auth.rs`).

use std::sync::Arc;

use super::{
    auth::{self, Auth},
    client::{Isolation, Query, Topics},
    connection::Connection,
    lag::{ResetPolicy, Settings, as_metric},
    partitions::Partitions,
    servers,
};
use crate::{error::SpecError, metadata::Reader, net::Reach, reading::Metric};

const LAG_THRESHOLD: &str = "lagThreshold";
const ACTIVATION: &str = "activationLagThreshold";
const ALLOW_IDLE: &str = "allowIdleConsumers";
const EVEN: &str = "ensureEvenDistributionOfPartitions";
const LIMIT_TO_LAG: &str = "limitToPartitionsWithLag";
const LIMITATION: &str = "partitionLimitation";
const FULL_METADATA: &str = "fullMetadata";
const VERSION: &str = "version";
const GROUP: &str = "consumerGroup";
const TOPIC: &str = "topic";

/// The target where a trigger names none.
const DEFAULT_LAG: i64 = 10;

/// Which of KEDA's two Kafka scalers a trigger was written for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// `kafka`: one topic, every check.
    Kafka,
    /// `apache-kafka`: a list of topics, fewer keys, fewer checks.
    ApacheKafka,
}

/// A trigger, parsed.
#[derive(Debug, Clone, PartialEq)]
pub struct Spec {
    /// Where, and as whom.
    pub connection: Connection,
    /// What to ask there.
    pub query: Arc<Query>,
    /// How to count the answer.
    pub settings: Settings,
    /// What the HPA sees.
    pub metric: Metric,
}

impl Dialect {
    /// The dialect of a `scalerType`.
    #[must_use]
    pub fn of(scaler_type: &str) -> Self {
        if scaler_type == "apache-kafka" { Self::ApacheKafka } else { Self::Kafka }
    }
}

impl Spec {
    /// Reads a trigger's metadata.
    pub fn read(dialect: Dialect, keys: &mut Reader<'_>, reach: &Reach) -> Result<Self, SpecError> {
        let fields = Fields::read(dialect, keys, reach);
        let auth = Auth::read(dialect, keys);
        fields.check_thresholds(keys);
        let partitions = fields.partitions(dialect, keys);
        fields.check_together(dialect, keys);
        let (tls, sasl) = auth.check(keys, reach);
        auth::check_identity(sasl.as_ref(), tls.as_ref(), &fields.servers, keys, reach);
        if dialect == Dialect::Kafka {
            check_version(keys);
        }
        keys.finish()?;

        let metric = metric(&fields.group, fields.topic.as_deref(), fields.settings.lag_threshold);
        let Fields { servers, group, topics, isolation, settings, .. } = fields;
        let query = Query {
            group: group.into(),
            topics: if topics.is_empty() { Topics::All } else { Topics::Named(topics.into()) },
            partitions,
            isolation,
            start_offsets: settings.reset_policy == ResetPolicy::Earliest,
        };
        Ok(Self {
            connection: Connection { servers, tls, sasl, reach: reach.clone() },
            query: Arc::new(query),
            settings,
            metric,
        })
    }
}

/// The metric of a trigger whatever else is wrong with it.
pub(super) fn metric_alone(dialect: Dialect, keys: &mut Reader<'_>) -> Option<Metric> {
    let group = keys.required(GROUP);
    let (topic, _) = topics(dialect, keys);
    let lag_threshold = keys.int(LAG_THRESHOLD, DEFAULT_LAG);
    keys.check_target(LAG_THRESHOLD, as_metric(lag_threshold.into()));
    keys.finish().is_ok().then(|| metric(group, topic.as_deref(), lag_threshold))
}

fn metric(group: &str, topic: Option<&str>, lag_threshold: i64) -> Metric {
    let name = topic.map_or_else(|| format!("kafka-{group}-topics"), |topic| format!("kafka-{topic}"));
    Metric::new(&name, as_metric(lag_threshold.into()))
}

/// What stands in the metadata, each field by itself.
#[derive(Debug)]
struct Fields {
    servers: Vec<String>,
    group: String,
    /// As it stands in the metric's name.
    topic: Option<String>,
    topics: Vec<String>,
    limitation: Option<String>,
    full_metadata: bool,
    isolation: Isolation,
    settings: Settings,
}

impl Fields {
    fn read(dialect: Dialect, keys: &mut Reader<'_>, reach: &Reach) -> Self {
        let servers = servers::read(keys, reach);
        let group = keys.required(GROUP).to_owned();
        let (topic, topics) = topics(dialect, keys);
        let limitation = keys.text(LIMITATION).map(str::to_owned);
        let settings = settings(keys);
        let words = [("read_uncommitted", Isolation::ReadUncommitted), ("read_committed", Isolation::ReadCommitted)];
        let isolation = keys.choice("isolationLevel", &words, Isolation::ReadUncommitted);
        // Only the topics in use are ever asked for, so the flag changes nothing but what KEDA refuses.
        let full_metadata = dialect == Dialect::ApacheKafka || keys.boolean(FULL_METADATA, true);
        Self { servers, group, topic, topics, limitation, full_metadata, isolation, settings }
    }

    fn check_thresholds(&self, keys: &mut Reader<'_>) {
        keys.check_target(LAG_THRESHOLD, as_metric(self.settings.lag_threshold.into()));
        if self.settings.activation_lag_threshold < 0 {
            keys.problem(ACTIVATION, format!("`{ACTIVATION}` must be 0 or greater"));
        }
    }

    /// Checked in any case, but of use with a topic only: KEDA's way.
    fn partitions(&self, dialect: Dialect, keys: &mut Reader<'_>) -> Option<Partitions> {
        let partitions = match Partitions::parse(self.limitation.as_deref()?, dialect) {
            Ok(partitions) => partitions,
            Err(piece) => {
                let text =
                    format!("`{LIMITATION}` must be numbers and ranges such as `1,2,10-12`: look at piece {piece}");
                keys.problem(LIMITATION, text);
                return None;
            }
        };
        self.topic.as_ref()?;
        match (partitions.matches_nothing(), dialect) {
            (false, _) => Some(partitions),
            (true, Dialect::ApacheKafka) => None,
            (true, Dialect::Kafka) => {
                keys.problem(
                    LIMITATION,
                    format!("`{LIMITATION}` matches no partition: a range runs upwards, as `2-5`"),
                );
                None
            }
        }
    }

    fn check_together(&self, dialect: Dialect, keys: &mut Reader<'_>) {
        let Settings { allow_idle_consumers, limit_to_partitions_with_lag, even_distribution, .. } = self.settings;
        let (kafka, no_topic) = (dialect == Dialect::Kafka, self.topic.is_none());
        let exclusive = |one: &str, other: &str| format!("`{one}` and `{other}` exclude each other: drop one");
        let needs_topic = |key: &str| format!("`{key}` needs a `{TOPIC}`");
        if allow_idle_consumers && limit_to_partitions_with_lag {
            keys.problem(LIMIT_TO_LAG, exclusive(ALLOW_IDLE, LIMIT_TO_LAG));
        }
        if limit_to_partitions_with_lag && no_topic {
            keys.problem(LIMIT_TO_LAG, needs_topic(LIMIT_TO_LAG));
        }
        if kafka && limit_to_partitions_with_lag && even_distribution {
            keys.problem(EVEN, exclusive(LIMIT_TO_LAG, EVEN));
        }
        if kafka && even_distribution && no_topic {
            keys.problem(EVEN, needs_topic(EVEN));
        }
        if !self.full_metadata && no_topic {
            keys.problem(FULL_METADATA, needs_topic(&format!("{FULL_METADATA}: false")));
        }
    }
}

/// The topics as the metric's name has them, and as we ask for them.
fn topics(dialect: Dialect, keys: &mut Reader<'_>) -> (Option<String>, Vec<String>) {
    if dialect == Dialect::Kafka {
        // One literal name: a comma is part of it.
        let topic = keys.text(TOPIC).map(str::to_owned);
        return (topic.clone(), topic.into_iter().collect());
    }
    let Some(given) = keys.list(TOPIC) else { return (None, Vec::new()) };
    let mut topics: Vec<String> = Vec::new();
    for topic in given.iter().filter(|topic| !topic.is_empty()) {
        if !topics.iter().any(|known| known == topic) {
            topics.push((*topic).to_owned());
        }
    }
    if topics.is_empty() {
        keys.problem(TOPIC, format!("`{TOPIC}` names no topic: leave it out to measure all topics of the group"));
    }
    (Some(given.join(",")), topics)
}

fn settings(keys: &mut Reader<'_>) -> Settings {
    let policies = [("latest", ResetPolicy::Latest), ("earliest", ResetPolicy::Earliest)];
    let lag_threshold = keys.int(LAG_THRESHOLD, DEFAULT_LAG);
    let activation_lag_threshold = keys.int(ACTIVATION, 0);
    let reset_policy = keys.choice("offsetResetPolicy", &policies, ResetPolicy::Latest);
    let allow_idle_consumers = keys.boolean(ALLOW_IDLE, false);
    let exclude = keys.boolean("excludePersistentLag", false);
    // As KEDA: at the second look, of which there is one per refresh whoever asks.
    let after = keys.duration("persistentLagAfter").unwrap_or_default();
    Settings {
        lag_threshold,
        activation_lag_threshold,
        reset_policy,
        zero_without_commit: keys.boolean("scaleToZeroOnInvalidOffset", false),
        allow_idle_consumers,
        limit_to_partitions_with_lag: keys.boolean(LIMIT_TO_LAG, false),
        even_distribution: keys.boolean(EVEN, false),
        exclude_persistent_after: exclude.then_some(after),
    }
}

/// Checked as KEDA does, then of no use: versions are negotiated with each broker.
fn check_version(keys: &mut Reader<'_>) {
    let Some(version) = keys.text(VERSION) else { return };
    let numbers = |text: &str, count| {
        let parts: Vec<&str> = text.split('.').collect();
        parts.len() == count && parts.iter().all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()))
    };
    let legal = match version.strip_prefix('0') {
        Some(rest) => rest.strip_prefix('.').is_some_and(|rest| numbers(rest, 3)),
        None => numbers(version, 3),
    };
    if !legal {
        let text = format!(
            "`{VERSION}` must be three numbers such as `3.6.0`, or four that begin with 0: leave it out, it is negotiated"
        );
        keys.problem(VERSION, text);
    }
}
