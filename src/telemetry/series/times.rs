//! What a histogram's buckets say of the times in it: how many there were, and below which time a share of them was.
//!
//! Reckoned as PromQL's `histogram_quantile` does, from the very lines that a scraper reads: pages and dashboards say the same.

use prometheus_client::{encoding::text, registry::Registry};

use super::latency::Latency;

/// How many times there were up to each bound, the bounds ascending and the last one infinite.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Times(Vec<(f64, u64)>);

impl Times {
    pub(super) fn of(latency: &Latency) -> Self {
        let (mut registry, mut lines) = (Registry::default(), String::new());
        registry.register("of", "", latency.clone());
        // Writing into memory does not fail; of half the lines nothing is known.
        text::encode(&mut lines, &registry).map_or_else(|_| Self::default(), |()| Self::read(&lines))
    }

    /// `of_bucket{le="0.5"} 7 # …`
    fn read(lines: &str) -> Self {
        let bucket = |line: &str| {
            let (bound, rest) = line.strip_prefix("of_bucket{le=\"")?.split_once("\"} ")?;
            let bound = if bound == "+Inf" { f64::INFINITY } else { bound.parse().ok()? };
            Some((bound, rest.split(' ').next()?.parse().ok()?))
        };
        Self(lines.lines().filter_map(bucket).collect())
    }

    /// How many there were.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.last().map_or(0, |(_, count)| *count)
    }

    /// The time within which `share` of them were, in seconds. Between two bounds they are taken to be spread evenly; beyond
    /// the last finite one it is that one. None where there were none.
    #[must_use]
    pub fn quantile(&self, share: f64) -> Option<f64> {
        let rank = share * self.0.last().map(|(_, all)| *all).filter(|all| *all > 0)? as f64;
        let mut below = (0.0, 0.0);
        for (bound, count) in self.0.iter().filter(|(bound, _)| bound.is_finite()).map(|(b, count)| (*b, *count as f64))
        {
            if count >= rank && count > below.1 {
                return Some(below.0 + (bound - below.0) * (rank - below.1) / (count - below.1));
            }
            below = (bound, count);
        }
        Some(below.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Exemplar;

    #[test]
    fn quantiles_are_those_of_promql() {
        let latency = Latency::new([0.5, 1.0, 2.0, 4.0]);
        assert_eq!((Times::of(&latency).count(), Times::of(&latency).quantile(0.5)), (0, None));
        let exemplar = || Exemplar { trace_id: "0af7".to_owned(), span_id: "b7ad".to_owned() };
        for took in [0.1, 0.2, 0.7, 0.7, 0.8, 0.9, 1.5, 1.5, 3.0, 99.0] {
            latency.observe(took, Some(exemplar()));
        }
        let times = Times::of(&latency);
        assert_eq!(times.count(), 10, "whatever exemplars stand beside");
        // What `histogram_quantile(…, {le="0.5"} 2, {le="1"} 6, {le="2"} 8, {le="4"} 9, {le="+Inf"} 10)` gives.
        for (share, seconds) in [(0.1, 0.25), (0.5, 0.875), (0.7, 1.5), (0.85, 3.0), (0.99, 4.0)] {
            assert!((times.quantile(share).expect("some") - seconds).abs() < 1e-9, "{share}: {times:?}");
        }
    }
}
