//! A histogram of times, whose buckets remember one trace each: from a slow bucket to what was slow.

use std::time::Duration;

use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeMetric, MetricEncoder},
    metrics::{MetricType, TypedMetric, exemplar::HistogramWithExemplars, family::Family},
};

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

    pub(super) fn observe(&self, took: Duration, exemplar: Option<Exemplar>) {
        self.0.observe(took.as_secs_f64(), exemplar, None);
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
