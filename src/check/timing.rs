//! How often somebody looks, and how long a workload stays: what people expect of `pollingInterval` and `cooldownPeriod`, and
//! what these do.
//!
//! Not for: intervals of ours that cannot be followed (`metadata.rs`).

use std::time::Duration;

use super::{
    finding::Pen,
    metadata::{Followed, metadata_of},
    replicas::{bounds, spec_of},
    rules,
    world::World,
};
use crate::{
    credentials::polling_interval,
    manifest::{Node, Scaled, Seen, Trigger},
};

/// Below it, KEDA's operator is busy with asking.
const SHORT_POLLING: i64 = 5;
/// A sample that lives shorter costs more than it tells, where a look is a request of its own.
const SHORT_SAMPLE: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// How long a sample of this server lives where nobody says.
const SAMPLE: i64 = 5;
/// From where on work is long: the HPA's own default window is five minutes, a pod's time to end half a minute.
const LONG_GRACE: i64 = 60;
const LONG_COOLDOWN: i64 = 600;
/// A cooldown that is over before a worker has said that it is done.
const SHORT_COOLDOWN: i64 = 60;

/// A trigger of the object, with what is known of it.
pub type Followings<'f, 'm, 't> = &'f [(Trigger<'m, 't>, Option<Followed>)];

/// All of it.
pub fn check(world: &World<'_, '_>, scaled: &Scaled<'_, '_>, triggers: Followings<'_, '_, '_>, pen: &mut Pen<'_>) {
    sampling(triggers, pen);
    polling(scaled, triggers, pen);
    uncounted(triggers, pen);
    if !scaled.is_job() {
        cooldown(world, scaled, triggers, pen);
        scale_down(world, scaled, pen);
    }
}

/// How often our own look is, where each look is a request that somebody pays for.
fn sampling(triggers: Followings<'_, '_, '_>, pen: &mut Pen<'_>) {
    for (trigger, followed) in triggers.iter().filter(|(trigger, _)| trigger.is_external()) {
        let Some(followed) = followed else { continue };
        let paid = matches!(followed.scaler_type, "aws-sqs-queue" | "prometheus");
        let short = followed.examined.interval.filter(|interval| paid && *interval < SHORT_SAMPLE);
        let key = trigger.metadata.and_then(|metadata| metadata.entry("pollingInterval"));
        if let (Some(interval), Some((key, _))) = (short, key) {
            let what = format!(
                "`pollingInterval` of {interval:?}: each look at `{}` is a request by itself, {} of them a day",
                followed.scaler_type,
                DAY.as_millis() / interval.as_millis().max(1)
            );
            pen.of_trigger(trigger).say(
                &rules::POLLING_TOO_SHORT,
                key,
                what,
                "make it a second or more: neither changes faster",
            );
        }
    }
}

fn number<'m, 't>(scaled: &Scaled<'m, 't>, key: &str) -> Option<(Node<'m, 't>, i64)> {
    scaled.field(&[key]).and_then(|node| Some((node, node.integer()?)))
}

fn polling(scaled: &Scaled<'_, '_>, triggers: Followings<'_, '_, '_>, pen: &mut Pen<'_>) {
    let given = number(scaled, "pollingInterval");
    let cached = triggers.iter().any(|(trigger, _)| {
        trigger.node.get("useCachedMetrics").is_some_and(|node| node.seen() == Seen::Boolean(true))
    });
    let modifiers = scaled.field(&["advanced", "scalingModifiers"]).is_some();
    let polled = scaled.is_job()
        || bounds(scaled).0 == 0
        || scaled.field(&["idleReplicaCount"]).is_some()
        || cached
        || modifiers;
    let Some((node, seconds)) = given else { return };
    if !polled {
        let what = "`pollingInterval` has no effect on scaling here: with `minReplicaCount` above 0 the HPA alone asks, every 15 s";
        pen.say(&rules::POLLING_WITHOUT_EFFECT, node, what, "take it away");
        return;
    }
    let built_in = triggers
        .iter()
        .any(|(trigger, _)| !trigger.is_external() && !matches!(trigger.kind, "cpu" | "memory" | "cron"));
    if (1..SHORT_POLLING).contains(&seconds) && (built_in || scaled.is_job()) {
        let what = format!(
            "`pollingInterval: {seconds}`: KEDA asks the broker anew for each object and poll, from one process for the whole cluster"
        );
        let cure = if scaled.is_job() {
            "make it 5 or more"
        } else {
            "use `external-push`, which wakes the workload at once, and leave the interval at its default"
        };
        pen.say(&rules::POLLING_TOO_SHORT, node, what, cure);
    }
    for (trigger, followed) in triggers.iter().filter(|(trigger, _)| trigger.is_external()) {
        let Some(followed) = followed else { continue };
        let says_itself = followed.examined.interval.is_some() || followed.metadata.contains_key("pollingInterval");
        if says_itself || u64::try_from(seconds) == Ok(polling_interval(None).as_secs()) {
            continue;
        }
        let (what, cure) = if seconds > SAMPLE {
            (
                format!(
                    "`spec.pollingInterval: {seconds}` is how often KEDA asks Plimsoll: the broker is asked for a sample every {SAMPLE} s all the same"
                ),
                format!(
                    "add `pollingInterval: \"{seconds}\"` to the trigger's metadata if the broker is to be asked less often"
                ),
            )
        } else if seconds < SAMPLE {
            (
                format!(
                    "`spec.pollingInterval: {seconds}` is not sent to an external scaler: unless the server reads KEDA's objects, a sample lives {SAMPLE} s"
                ),
                format!("add `pollingInterval: \"{seconds}\"` to the trigger's metadata"),
            )
        } else {
            continue;
        };
        pen.of_trigger(trigger).say(&rules::POLLING_NOT_SENT, metadata_of(trigger), what, cure);
    }
}

/// What a worker has taken and not finished, the source no longer shows: why a workload may end in the middle of it.
fn unseen_work(followed: &Followed) -> Option<(&'static str, &'static str)> {
    let get = |key: &str| followed.metadata.get(key).map_or("", |text| text.trim());
    match followed.scaler_type {
        "rabbitmq" => {
            let host = get("host");
            let amqp = get("protocol") == "amqp" || host.starts_with("amqp");
            let excluded = matches!(get("excludeUnacknowledged"), "true" | "True" | "TRUE" | "1" | "t" | "T");
            (amqp || excluded).then_some((
                "messages that a worker holds unacknowledged are not counted",
                "count them over the management API (`host: http://…`)",
            ))
        }
        "aws-sqs-queue" => {
            let off = matches!(get("scaleOnInFlight"), "false" | "False" | "FALSE" | "0" | "f" | "F");
            off.then_some(("messages in flight are not counted", "leave `scaleOnInFlight` at `true`"))
        }
        "redis" | "redis-cluster" | "redis-sentinel" => Some((
            "what a worker has popped is no longer in the list",
            "use a stream with a consumer group, whose pending entries count",
        )),
        _ => None,
    }
}

fn uncounted(triggers: Followings<'_, '_, '_>, pen: &mut Pen<'_>) {
    for (trigger, followed) in triggers {
        let Some(followed) = followed else { continue };
        let turned_off =
            ["scaleOnInFlight", "excludeUnacknowledged"].iter().find(|key| followed.metadata.contains_key(**key));
        let (Some((why, cure)), Some(key)) = (unseen_work(followed), turned_off) else { continue };
        let node = trigger.metadata.and_then(|metadata| metadata.entry(key)).map_or(trigger.node, |(key, _)| key);
        let what = format!("{why}: the last workers may be stopped while they work");
        pen.of_trigger(trigger).say(&rules::WORK_NOT_COUNTED, node, what, cure);
    }
}

fn grace<'m, 't>(world: &World<'m, 't>, scaled: &Scaled<'m, 't>) -> Option<(Node<'m, 't>, i64)> {
    let node = world.pod(scaled)?.get("terminationGracePeriodSeconds")?;
    Some((node, node.integer()?))
}

fn cooldown(world: &World<'_, '_>, scaled: &Scaled<'_, '_>, triggers: Followings<'_, '_, '_>, pen: &mut Pen<'_>) {
    let Some((node, seconds)) = number(scaled, "cooldownPeriod") else { return };
    let least = bounds(scaled).0;
    if least > 0 && scaled.field(&["idleReplicaCount"]).is_none() {
        let what =
            format!("`cooldownPeriod` has no effect: it is about going to zero, and `minReplicaCount` is {least}");
        let cure =
            "take it away; going down to the least is `advanced.horizontalPodAutoscalerConfig.behavior.scaleDown`";
        pen.say(&rules::COOLDOWN_WITHOUT_EFFECT, node, what, cure);
        return;
    }
    if let Some((_, grace)) = grace(world, scaled).filter(|(_, grace)| *grace > seconds) {
        let what = format!(
            "`cooldownPeriod: {seconds}` is shorter than the {grace} s that the workload's pods have to end (`terminationGracePeriodSeconds`): work that long is stopped at its last message"
        );
        pen.say(&rules::COOLDOWN_TOO_SHORT, node, what, format!("set it to {grace} or more"));
        return;
    }
    let unseen = triggers.iter().filter_map(|(_, followed)| followed.as_ref()).find_map(unseen_work);
    if let Some((why, cure)) = unseen.filter(|_| seconds < SHORT_COOLDOWN) {
        let what = format!(
            "`cooldownPeriod: {seconds}` and {why}: {seconds} s after the last one is taken the workload goes to zero, whether or not it is done"
        );
        pen.say(
            &rules::COOLDOWN_TOO_SHORT,
            node,
            what,
            format!("make it longer than a piece of work takes, or {cure}"),
        );
    }
}

/// `cooldownPeriod` is about 1 → 0 alone; N → 1 is the HPA's, five minutes unless told otherwise.
fn scale_down(world: &World<'_, '_>, scaled: &Scaled<'_, '_>, pen: &mut Pen<'_>) {
    let (least, most) = bounds(scaled);
    if most <= least.max(1) {
        return;
    }
    let behaviour = scaled.field(&["advanced", "horizontalPodAutoscalerConfig", "behavior", "scaleDown"]);
    let long_pods = grace(world, scaled).filter(|(_, seconds)| *seconds > LONG_GRACE);
    let long_cooldown = number(scaled, "cooldownPeriod").filter(|(_, seconds)| *seconds >= LONG_COOLDOWN && least == 0);
    let why = match (long_pods, long_cooldown) {
        (Some((_, seconds)), _) => format!("its pods have {seconds} s to end (`terminationGracePeriodSeconds`)"),
        (None, Some((_, seconds))) => format!("`cooldownPeriod: {seconds}` is about the last replica alone"),
        (None, None) => return,
    };
    let cure = "set `advanced.horizontalPodAutoscalerConfig.behavior.scaleDown`: a `stabilizationWindowSeconds` as long as the work, or `selectPolicy: Disabled`";
    match behaviour {
        None => {
            let what = format!(
                "the work is long ({why}), and the HPA goes from many replicas to fewer five minutes after the load has gone, stopping pods that still work"
            );
            pen.say(&rules::SCALE_DOWN_DEFAULT, spec_of(&scaled.object), what, cure);
        }
        Some(scale_down) => {
            let window = scale_down.get("stabilizationWindowSeconds").and_then(|node| Some((node, node.integer()?)));
            if let Some((node, _)) = window.filter(|(_, seconds)| *seconds == 0) {
                let what = format!(
                    "the work is long ({why}), and with a window of 0 the HPA stops pods the moment the load falls"
                );
                pen.say(&rules::SCALE_DOWN_DEFAULT, node, what, cure);
            }
        }
    }
}
