//! Series of single triggers, for who wants them: they come with their trigger and go with it.
//!
//! Not for: which triggers, and how many at most (the sampler knows).

use std::{collections::HashMap, fmt, sync::Arc};

use parking_lot::Mutex;
use prometheus_client::{collector::Collector, encoding::DescriptorEncoder, metrics::MetricType, registry::Unit};

use super::observed::TriggerRow;

/// The triggers of the last look around.
#[derive(Debug, Clone, Default)]
pub(super) struct Triggers(Arc<Mutex<Arc<[TriggerRow]>>>);

impl Triggers {
    /// Takes the place of all there were. Two triggers of one object that have the same name are told apart by their order.
    pub(super) fn replace(&self, mut rows: Vec<TriggerRow>) {
        let mut seen: HashMap<(String, String, String), usize> = HashMap::new();
        for row in &mut rows {
            let count = seen.entry((row.namespace.clone(), row.name.clone(), row.trigger.clone())).or_default();
            *count += 1;
            if *count > 1 {
                row.trigger = format!("{}#{count}", row.trigger);
            }
        }
        *self.0.lock() = rows.into();
    }
}

impl Collector for Triggers {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let rows = Arc::clone(&self.0.lock());
        let flag = |set: bool| if set { 1.0 } else { 0.0 };
        let mut series = |name, help, unit: Option<&Unit>, of: &dyn Fn(&TriggerRow) -> Option<f64>| {
            if rows.is_empty() {
                return Ok(());
            }
            let mut family = encoder.encode_descriptor(name, help, unit, MetricType::Gauge)?;
            for row in rows.iter() {
                let Some(value) = of(row) else { continue };
                let labels = [
                    ("namespace", row.namespace.as_str()),
                    ("name", row.name.as_str()),
                    ("trigger", row.trigger.as_str()),
                    ("scaler_type", row.scaler_type),
                ];
                family.encode_family(&labels)?.encode_gauge(&value)?;
            }
            Ok(())
        };
        series("trigger_value", "The value that KEDA is answered; absent while it is an error", None, &|row| {
            row.value
        })?;
        let help = "Whether the workload should run; absent while that is unknown";
        series("trigger_active", help, None, &|row| row.active.map(flag))?;
        series("trigger_target", "The value that one replica can carry", None, &|row| Some(row.target))?;
        let help = "How old the last value read is";
        let age = |row: &TriggerRow| row.sample_age.map(|age| age.as_secs_f64());
        series("trigger_sample_age", help, Some(&Unit::Seconds), &age)?;
        series("trigger_failing", "Whether the last look failed", None, &|row| Some(flag(row.failing)))
    }
}
