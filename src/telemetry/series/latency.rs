//! A histogram of times, whose buckets remember one trace each: from a slow bucket to what was slow.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

#[cfg(feature = "otlp")]
use opentelemetry::{KeyValue, global, metrics::Histogram};
use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeMetric, MetricEncoder},
    metrics::{MetricType, TypedMetric, exemplar::HistogramWithExemplars, family::Family},
};

use super::times::Times;

/// What our instruments are called together.
pub const METER: &str = "plimsoll";

/// The span that a measured time is of.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Exemplar {
    /// Its trace, in hex.
    pub trace_id: String,
    /// Itself, in hex.
    pub span_id: String,
}

/// See the head of this file. Clones count together.
#[derive(Debug, Clone)]
pub(super) struct Latency(HistogramWithExemplars<Exemplar>);

/// One for each set of labels.
pub(super) type Latencies<L> = Family<L, Latency, fn() -> Latency>;

impl Latency {
    pub(super) fn new(buckets: impl IntoIterator<Item = f64>) -> Self {
        Self(HistogramWithExemplars::new(buckets.into_iter()))
    }

    pub(super) fn observe(&self, seconds: f64, exemplar: Option<Exemplar>) {
        self.0.observe(seconds, exemplar, None);
    }
}

static PUSHED: AtomicBool = AtomicBool::new(false);

/// Histograms that are made from now on go out by OTLP as well: all else can be read from `/metrics` for that.
pub fn push_latencies() {
    PUSHED.store(true, Ordering::Relaxed);
}

/// One of them, whose labels are known.
#[derive(Debug)]
pub(super) struct Timed {
    latency: Latency,
    #[cfg(feature = "otlp")]
    pushed: Option<(Histogram<f64>, Vec<KeyValue>)>,
}

impl Timed {
    /// `latency` as it is called in full and what it is, with its labels and buckets.
    pub(super) fn new(
        (name, help): (&'static str, &'static str),
        labels: &[(&'static str, &'static str)],
        buckets: &[f64],
        latency: Latency,
    ) -> Self {
        #[cfg(feature = "otlp")]
        let pushed = PUSHED.load(Ordering::Relaxed).then(|| {
            let meter = global::meter(METER);
            let histogram = meter.f64_histogram(name).with_description(format!("{help}.")).with_unit("s");
            let histogram = histogram.with_boundaries(buckets.to_vec());
            (histogram.build(), labels.iter().map(|(key, value)| KeyValue::new(*key, *value)).collect())
        });
        #[cfg(not(feature = "otlp"))]
        let _ = (name, help, labels, buckets, PUSHED.load(Ordering::Relaxed));
        Self {
            latency,
            #[cfg(feature = "otlp")]
            pushed,
        }
    }

    pub(super) fn observe(&self, took: Duration, exemplar: Option<Exemplar>) {
        #[cfg(feature = "otlp")]
        if let Some((histogram, labels)) = &self.pushed {
            histogram.record(took.as_secs_f64(), labels);
        }
        self.latency.observe(took.as_secs_f64(), exemplar);
    }

    /// What was observed so far.
    pub(super) fn times(&self) -> Times {
        Times::of(&self.latency)
    }
}

impl TypedMetric for Latency {
    const TYPE: MetricType = MetricType::Histogram;
}

impl EncodeMetric for Latency {
    fn encode(&self, encoder: MetricEncoder<'_>) -> Result<(), std::fmt::Error> {
        self.0.encode(encoder)
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}
