//! What is different once a trigger has been moved, and why: said for each trigger of what it has, not of all that may be.
//!
//! Not for: what is refused (`plan.rs`).

use serde::Serialize;

use crate::{
    check::World,
    keda,
    manifest::{Node, Scaled, Seen, Trigger},
};

/// How much a difference matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Weight {
    /// Another way to say the same.
    Written,
    /// It works otherwise than before.
    Differs,
    /// Something has to be done before it is applied.
    Do,
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Note {
    /// How much it matters.
    pub weight: Weight,
    /// In words.
    pub text: String,
}

impl Note {
    fn new(weight: Weight, text: impl Into<String>) -> Self {
        Self { weight, text: text.into() }
    }

    /// A key has another name.
    pub(super) fn renamed(from: &str, to: &str, value: Option<&str>, why: &str) -> Self {
        let to = value.map_or_else(|| format!("`{to}`"), |value| format!("`{to}: {value}`"));
        Self::new(Weight::Written, format!("`{from}` is now {to}: {why}"))
    }

    /// A value that was no text.
    pub(super) fn in_quotes(name: &str) -> Self {
        Self::new(Weight::Written, format!("the value of `{name}` is in quotes now: Kubernetes takes texts only here"))
    }

    /// A key went.
    pub(super) fn dropped(kind: &str, name: &str, why: &str) -> Self {
        let text = format!(
            "`{name}` was taken away: KEDA's `{kind}` does not read it, and {}",
            why.replacen("KEDA takes it", "now would take it", 1)
        );
        Self::new(Weight::Differs, text)
    }

    /// A key that had no effect has one.
    pub(super) fn awakened(kind: &str, name: &str) -> Self {
        let reads = keda::keys(kind).and_then(|keys| keys.get(keda::base(name).0)).is_some_and(|from| from.reference);
        let before = if reads { "KEDA reads it from an `authenticationRef` only" } else { "KEDA does not know it" };
        Self::new(
            Weight::Differs,
            format!("`{name}` counts from now on: before, {before}; take it away if that is not meant"),
        )
    }

    /// Pushes are off.
    pub(super) fn silent() -> Self {
        let text = "`push: \"false\"` was added: a push would go past `scalingModifiers.activationTarget`; now polls decide, as before";
        Self::new(Weight::Written, text)
    }
}

/// Keys, and what is different where they are set: scaler types, key, its value (any if empty), what differs.
const BY_KEY: [(&[&str], &str, &str, &str); 10] = [
    (
        &["kafka", "apache-kafka"],
        "excludePersistentLag",
        "true",
        "persistent lag is judged once per sample, not at each evaluation: a slow consumer is not taken for a dead one (`persistentLagAfter` adds a time)",
    ),
    (
        &["kafka", "apache-kafka"],
        "offsetResetPolicy",
        "earliest",
        "without a commit the lag is end − start of the log, not the end offset: deleted records are no work",
    ),
    (
        &["kafka", "apache-kafka"],
        "ensureEvenDistributionOfPartitions",
        "true",
        "even distribution of no lag is 0, where KEDA asks for one replica",
    ),
    (&["rabbitmq"], "useRegex", "true", "a pattern takes in all pages of queues, where KEDA fails beyond the first"),
    (&["rabbitmq"], "unsafeSsl", "", "`skipTlsVerify` holds for `amqps` too, and without `tls: enable`"),
    (
        &["prometheus"],
        "unsafeSsl",
        "",
        "`skipTlsVerify` holds in every mode, where KEDA drops `unsafeSsl` beside `ca`, AWS and Azure",
    ),
    (
        &["prometheus"],
        "ignoreNullValues",
        "",
        "an empty answer with warnings, a range and `status: error` are errors, not 0",
    ),
    (
        &["redis-streams", "redis-cluster-streams", "redis-sentinel-streams"],
        "lagCount",
        "",
        "a lag that Redis does not know is counted, where KEDA takes it for 0",
    ),
    (
        &["aws-sqs-queue", "kafka", "apache-kafka", "prometheus"],
        "identityOwner",
        "operator",
        "the operator's identity is Plimsoll's own now",
    ),
    (
        &["aws-sqs-queue", "kafka", "apache-kafka", "prometheus"],
        "identityOwner",
        "keda",
        "KEDA's identity is Plimsoll's own now",
    ),
];

/// What differs for `trigger`, besides its keys' names.
pub(super) fn of(world: &World<'_, '_>, scaled: &Scaled<'_, '_>, trigger: &Trigger<'_, '_>) -> Vec<Note> {
    let mut notes = Vec::new();
    login(world, scaled, trigger, &mut notes);
    for (kinds, key, value, text) in BY_KEY {
        let given = trigger.key(key).is_some_and(|given| value.is_empty() || given.trim().eq_ignore_ascii_case(value));
        if kinds.contains(&trigger.kind) && given {
            notes.push(Note::new(Weight::Differs, text));
        }
    }
    if matches!(trigger.kind, "kafka" | "apache-kafka")
        && trigger.key("topic").is_none_or(|topic| topic.trim().is_empty())
        && trigger.key("topicFromEnv").is_none()
    {
        notes.push(Note::new(Weight::Differs, "without a `topic`, a group without commits measures nothing, where KEDA measures every topic of the cluster"));
    }
    if trigger.kind == "aws-sqs-queue"
        && trigger.node.get("authenticationRef").is_none()
        && trigger.key("awsAccessKeyIDFromEnv").is_none()
    {
        let text = "the rights at AWS are those of Plimsoll's own identity: let its role read the queue's attributes";
        notes.push(Note::new(Weight::Do, text));
    }
    if scaled.is_job() {
        let text = "the type is `external`: KEDA makes no job for a push, so its polls decide as before";
        notes.push(Note::new(Weight::Written, text));
    }
    polling(scaled, trigger, &mut notes);
    let cached = trigger.node.get("useCachedMetrics").is_some_and(|node| node.seen() == Seen::Boolean(true));
    if cached {
        let text = "`useCachedMetrics` now makes values older and saves nothing: one sample is shared by all who ask; take it away";
        notes.push(Note::new(Weight::Differs, text));
    }
    notes
}

fn login(world: &World<'_, '_>, scaled: &Scaled<'_, '_>, trigger: &Trigger<'_, '_>, notes: &mut Vec<Note>) {
    let Some(reference) = trigger.node.get("authenticationRef").filter(|node| node.seen() == Seen::Mapping) else {
        return;
    };
    let name = reference.get("name").and_then(Node::written).unwrap_or_default();
    let text = "`authenticationRef` stays: KEDA does not pass it on, Plimsoll reads it itself (start it with `--kubernetes`; docs/credentials.md)";
    notes.push(Note::new(Weight::Do, text));
    let here = world
        .authentications
        .iter()
        .find(|object| object.name == name && (object.kind.starts_with("Cluster") || object.is_beside(&scaled.object)));
    let provider =
        here.and_then(|object| object.node.at_path(&["spec", "podIdentity", "provider"])).and_then(Node::written);
    if let Some(provider) = provider.filter(|provider| !matches!(*provider, "none" | "")) {
        let text = format!(
            "`podIdentity: {provider}`: the rights are those of Plimsoll's ServiceAccount, so roles must trust it instead of KEDA's"
        );
        notes.push(Note::new(Weight::Do, text));
    }
}

fn polling(scaled: &Scaled<'_, '_>, trigger: &Trigger<'_, '_>, notes: &mut Vec<Note>) {
    if trigger.key("pollingInterval").is_some() {
        return;
    }
    let given = scaled.field(&["pollingInterval"]).and_then(Node::integer);
    let text = match given {
        Some(seconds) => format!(
            "the broker is asked every 5 s, whatever `spec.pollingInterval: {seconds}` says (KEDA does not send it): for another pace add `pollingInterval: \"{seconds}\"` to the metadata"
        ),
        None => "the broker is asked every 5 s, once for all who ask, where KEDA asks every 30 s and for each HPA's question: `pollingInterval` in the metadata changes it".to_owned(),
    };
    notes.push(Note::new(Weight::Differs, text));
}
