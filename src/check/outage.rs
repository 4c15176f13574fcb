//! What KEDA itself does to a workload while its source cannot be read.
//!
//! Not for: a `fallback` that KEDA refuses (`replicas.rs`), or how long work takes (`timing.rs`).

use std::time::Duration;

use super::{finding::Pen, replicas::bounds, rules, timing::Followings};
use crate::{
    manifest::{Node, Scaled, Trigger},
    metadata::parse_duration,
};

/// A cooldown that is over before a broker has been started anew, or another has taken its place.
const SHORT_COOLDOWN: i64 = 60;

/// To zero by a race of KEDA's own: a poll that is under way when the HPA's question fails takes the trigger for idle.
///
/// A cooldown longer than an outage closes the gap, and so does whatever keeps KEDA from hearing of a failure. KEDA's default of
/// five minutes outlasts most, so only who has shortened it is told.
pub fn check(scaled: &Scaled<'_, '_>, triggers: Followings<'_, '_, '_>, pen: &mut Pen<'_>) {
    let cooldown = scaled.field(&["cooldownPeriod"]).and_then(|node| Some((node, node.integer()?)));
    let Some((node, seconds)) = cooldown.filter(|(_, seconds)| (0..SHORT_COOLDOWN).contains(seconds)) else { return };
    let idle = scaled.field(&["idleReplicaCount"]).and_then(Node::integer);
    let to_zero = idle.unwrap_or(bounds(scaled).0) == 0;
    if scaled.is_job() || !to_zero || falls_back_at_once(scaled) {
        return;
    }
    let exposed = |(trigger, _): &&(Trigger<'_, '_>, _)| reads_elsewhere(trigger) && !outlasts(trigger);
    if triggers.iter().find(exposed).is_none() {
        return;
    }
    let what = format!(
        "`cooldownPeriod: {seconds}`: KEDA 2.20 and later may scale to zero while the source cannot be read, by a race between its poll and a question of the HPA that fails; {seconds} s after the last activity nothing holds it back any more"
    );
    let cure = "make it longer than the outages that you expect (KEDA's default is 300), or see docs/troubleshooting.md#goes-to-zero-while-its-source-cannot-be-read";
    pen.say(&rules::ZERO_IN_OUTAGE, node, what, cure);
}

/// From the first failure on KEDA has a number, so that nothing is thrown away.
fn falls_back_at_once(scaled: &Scaled<'_, '_>) -> bool {
    scaled.field(&["fallback", "failureThreshold"]).and_then(Node::integer) == Some(0)
}

/// Whether a look at the source can fail: a schedule is known, and CPU and memory are the HPA's own affair.
fn reads_elsewhere(trigger: &Trigger<'_, '_>) -> bool {
    !matches!(trigger.kind, "cpu" | "memory" | "cron" | "")
}

/// Whether this server answers from its last sample for as long as an outage may last.
fn outlasts(trigger: &Trigger<'_, '_>) -> bool {
    let held = trigger.key("maxStaleness").filter(|_| trigger.is_external()).map(str::trim);
    held.and_then(parse_duration).is_some_and(|held| held >= Duration::from_secs(SHORT_COOLDOWN.unsigned_abs()))
}
