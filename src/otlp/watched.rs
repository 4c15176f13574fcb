//! Exporters that say when they stop getting through, and when they do again: once each, whatever happens in between.
//! What cannot be sent is dropped: nothing waits for a collector.

use std::{fmt, time::Duration};

use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    metrics::{Temporality, data::ResourceMetrics, exporter::PushMetricExporter},
    trace::{SpanData, SpanExporter},
};
use parking_lot::Mutex;
use tokio::time::Instant;
use tracing::{info, warn};

use crate::{error::clean_within, limits};

/// While it lasts, a failure is told again this often.
const TELL_AGAIN: Duration = Duration::from_secs(3600);

/// `exporter`, watched over.
pub(super) struct Watched<E> {
    exporter: E,
    signal: &'static str,
    /// For people.
    place: String,
    trouble: Mutex<Option<Trouble>>,
}

#[derive(Clone, Copy)]
struct Trouble {
    since: Instant,
    told: Instant,
}

impl<E> Watched<E> {
    pub(super) fn new(exporter: E, signal: &'static str, place: String) -> Self {
        Self { exporter, signal, place, trouble: Mutex::default() }
    }

    fn note(&self, outcome: &OTelSdkResult) {
        let (now, signal, collector) = (Instant::now(), self.signal, self.place.as_str());
        let mut trouble = self.trouble.lock();
        match (outcome, *trouble) {
            (Ok(()), None) => {}
            (Ok(()), Some(Trouble { since, .. })) => {
                *trouble = None;
                info!(signal, collector, lasted = ?(now - since), "the OpenTelemetry collector takes what we send again");
            }
            (Err(_), Some(known)) if now < known.told + TELL_AGAIN => {}
            (Err(error), known) => {
                *trouble = Some(Trouble { since: known.map_or(now, |known| known.since), told: now });
                let error = error.to_string();
                let error = clean_within(&error, limits::TEXT);
                warn!(
                    signal,
                    collector,
                    %error,
                    "the OpenTelemetry collector does not take what we send, which is dropped: check `OTEL_EXPORTER_OTLP_ENDPOINT`, \
                     `_PROTOCOL` and `_HEADERS`, and whether it is up"
                );
            }
        }
    }
}

impl<E> fmt::Debug for Watched<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The exporter has headers in it.
        write!(f, "Watched({} to {})", self.signal, self.place)
    }
}

impl<E: SpanExporter> SpanExporter for Watched<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let outcome = self.exporter.export(batch).await;
        self.note(&outcome);
        outcome
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

impl<E: PushMetricExporter> PushMetricExporter for Watched<E> {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        let outcome = self.exporter.export(metrics).await;
        self.note(&outcome);
        outcome
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn temporality(&self) -> Temporality {
        self.exporter.temporality()
    }
}
