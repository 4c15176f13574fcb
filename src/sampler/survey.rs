//! A walk over all triggers, for the series: how many fail, how old what they answer is, and each by itself where that is
//! wanted.
//!
//! It never holds the table for long: a question of KEDA's must not wait for a scrape.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{Core, entry::Entry};
use crate::{
    error::clean,
    limits::Limit,
    telemetry::{Survey, TriggerRow},
};

/// Triggers that are taken out of the table at a time.
const STEP: usize = 1000;

impl Core {
    pub(super) fn survey(&self) -> Survey {
        let refused = self.refused.show(self.settings.forget_after, |_| Some(())).len();
        let mut survey = Survey { refused, ..Survey::default() };
        let (mut after, now) = (0, Instant::now());
        loop {
            let step: Vec<Arc<Entry>> = self.table.read().after(after).take(STEP).cloned().collect();
            let Some(last) = step.last() else { return survey };
            after = last.number;
            step.iter().for_each(|entry| self.look_over(entry, now, &mut survey));
        }
    }

    fn look_over(&self, entry: &Entry, now: Instant, survey: &mut Survey) {
        let trigger = &entry.trigger;
        let (sample, failing, answer) = {
            let state = entry.state.borrow();
            (state.sample, state.failure.is_some(), state.younger_than(now, trigger.max_staleness))
        };
        let age = sample.map(|sample| now.saturating_duration_since(sample.at));
        if let Some(expires) = entry.connection.certificate_expires() {
            note(&mut survey.certificates, trigger.scaler_type, expires, u64::min);
        }
        // What nobody asks about is not refreshed, and its age says nothing.
        if entry.is_wanted(self.wanted_for(trigger)) {
            survey.failing += usize::from(failing);
            survey.stale += usize::from(answer.is_none() && (failing || age.is_some()));
            if let Some(age) = age {
                note(&mut survey.oldest, trigger.scaler_type, age, Duration::max);
            }
        }
        if self.settings.trigger_series == 0 {
            return;
        }
        let trigger_name = trigger.metadata.get("triggerName").unwrap_or(&trigger.source.metric().name);
        for object in entry.askers.objects() {
            if survey.rows.len() >= self.settings.trigger_series {
                Limit::TriggerSeries.crossed();
                return;
            }
            survey.rows.push(TriggerRow {
                namespace: object.namespace,
                name: object.name,
                trigger: clean(trigger_name).into_owned(),
                scaler_type: trigger.scaler_type,
                value: answer.map(|sample| sample.reading.value),
                active: answer.map(|sample| sample.reading.active),
                target: trigger.source.metric().target,
                sample_age: age,
                failing,
            });
        }
    }
}

/// Of each scaler type one, the one that `of_two` prefers.
fn note<T: Copy>(all: &mut Vec<(&'static str, T)>, scaler_type: &'static str, new: T, of_two: impl Fn(T, T) -> T) {
    match all.iter_mut().find(|(known, _)| *known == scaler_type) {
        Some((_, known)) => *known = of_two(new, *known),
        None => all.push((scaler_type, new)),
    }
}
