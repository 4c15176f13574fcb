//! Traces and series to an OpenTelemetry collector, when the standard `OTEL_…` variables say so (docs/tracing.md).
//!
//! A collector that is away harms nothing: what does not fit into the bounded queue is dropped, and the log says so once.
//! Not for: what a span is about, or what a series counts (`telemetry`).

mod http;
mod metrics;
mod settings;
mod watched;

use std::{env, fs, time::Duration};

use opentelemetry::{KeyValue, global, trace::TracerProvider};
use opentelemetry_otlp::{
    ExporterBuildError, MetricExporter, Protocol, SpanExporter, WithHttpConfig, WithTonicConfig,
    tonic_types::transport::{Certificate, ClientTlsConfig, Identity},
};
use opentelemetry_sdk::{
    Resource,
    metrics::{PeriodicReader, SdkMeterProvider},
    trace::SdkTracerProvider,
};
use tracing::info;
use tracing_subscriber::{Layer, filter::filter_fn};

pub use self::metrics::Page;
use self::{
    http::Client,
    settings::{Settings, Target},
    watched::Watched,
};
use crate::{
    error::ReadError,
    metadata::Secret,
    net::{Reach, http::Http, tls::Tls},
    task::{self, Task},
    telemetry::{METER, Spans, push_latencies, spans},
};

/// The end of the server waits no longer for the last spans.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// The SDK's own default.
const EXPORT_INTERVAL: Duration = Duration::from_secs(60);

/// A variable of the environment, or a file that one names, that cannot be used; the text says what would be right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unusable(pub String);

/// What is sent, until the end.
#[derive(Debug)]
pub struct Export {
    traces: Option<SdkTracerProvider>,
    metrics: Option<SdkMeterProvider>,
    every: Duration,
    pages: Option<Task>,
    places: Vec<(&'static str, String)>,
}

/// TLS material.
struct Pem {
    ca: Option<String>,
    identity: Option<(String, String)>,
}

impl Export {
    /// Begins to send what the environment says, if it says anything. Before the log and the series are made.
    pub async fn of_environment() -> Result<Option<Self>, Unusable> {
        let settings = Settings::of(|name| env::var(name).ok()).map_err(Unusable)?;
        if settings == Settings::default() {
            return Ok(None);
        }
        let pem = Pem::read(&settings.files)?;
        let resource = resource(settings.unnamed);
        let (mut traces, mut metrics, mut places) = (None, None, Vec::new());
        if let Some(to) = settings.traces {
            let exporter = match to.protocol {
                Protocol::Grpc => SpanExporter::builder().with_tonic().with_tls_config(pem.of_tonic()).build(),
                _ => SpanExporter::builder().with_http().with_http_client(pem.client().await?).build(),
            };
            let exporter = Watched::new(exporter.map_err(built)?, "traces", to.place.clone());
            let provider = SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource.clone());
            traces = Some(provider.build());
            spans::want();
            places.push(("traces", to));
        }
        if let Some(to) = settings.metrics {
            let exporter = match to.protocol {
                Protocol::Grpc => MetricExporter::builder().with_tonic().with_tls_config(pem.of_tonic()).build(),
                _ => MetricExporter::builder().with_http().with_http_client(pem.client().await?).build(),
            };
            let exporter = Watched::new(exporter.map_err(built)?, "metrics", to.place.clone());
            let reader = PeriodicReader::builder(exporter).build();
            let provider = SdkMeterProvider::builder().with_reader(reader).with_resource(resource).build();
            global::set_meter_provider(provider.clone());
            push_latencies();
            metrics = Some(provider);
            places.push(("metrics", to));
        }
        let interval = env::var("OTEL_METRIC_EXPORT_INTERVAL").ok().and_then(|value| value.trim().parse().ok());
        let every = interval.map_or(EXPORT_INTERVAL, Duration::from_millis);
        let places = places.into_iter().map(|(signal, Target { place, .. })| (signal, place)).collect();
        Ok(Some(Self { traces, metrics, every, pages: None, places }))
    }

    /// What makes our spans a trace, beside the log.
    #[must_use]
    pub fn layer(&self) -> Option<Spans> {
        let tracer = self.traces.as_ref()?.tracer(METER);
        let layer = tracing_opentelemetry::layer()
            .with_tracer(tracer)
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false);
        Some(layer.with_filter(filter_fn(|metadata| metadata.is_span() && metadata.target() == spans::TARGET)).boxed())
    }

    /// Says where everything goes, now that there is a log.
    pub fn announce(&self) {
        for (signal, collector) in &self.places {
            info!(signal, collector, "sends to an OpenTelemetry collector");
        }
    }

    /// From now on the series are those of `page`.
    pub fn show(&mut self, page: Page) {
        if self.metrics.is_some() {
            let every = (self.every / 2).clamp(Duration::from_millis(100), Duration::from_secs(30));
            self.pages = Some(metrics::follow(page, every));
        }
    }

    /// Sends what is left, for a moment.
    pub async fn end(self) {
        let Self { traces, metrics, .. } = self;
        task::blocking(move || {
            // Where the collector is away, its exporter has said so.
            traces.map(|traces| traces.shutdown_with_timeout(LAST_WORDS));
            metrics.map(|metrics| metrics.shutdown_with_timeout(LAST_WORDS));
        })
        .await;
    }
}

impl Pem {
    fn read(files: &settings::Files) -> Result<Self, Unusable> {
        let read = |variable: &str, path: &String| {
            fs::read_to_string(path).map_err(|error| {
                Unusable(format!(
                    "`OTEL_EXPORTER_OTLP_{variable}` names a file that cannot be read: {error}: correct the path"
                ))
            })
        };
        let ca = files.ca.as_ref().map(|path| read("CERTIFICATE", path)).transpose()?;
        let identity = match (&files.certificate, &files.key) {
            (Some(certificate), Some(key)) => {
                Some((read("CLIENT_CERTIFICATE", certificate)?, read("CLIENT_KEY", key)?))
            }
            _ => None,
        };
        Ok(Self { ca, identity })
    }

    fn of_tonic(&self) -> ClientTlsConfig {
        let mut tls = ClientTlsConfig::new().with_native_roots();
        if let Some(ca) = &self.ca {
            tls = tls.ca_certificate(Certificate::from_pem(ca));
        }
        if let Some((certificate, key)) = &self.identity {
            tls = tls.identity(Identity::from_pem(certificate, key));
        }
        tls
    }

    async fn client(&self) -> Result<Client, Unusable> {
        let (cert, key) = self.identity.as_ref().map(|(cert, key)| (Secret::new(cert), Secret::new(key))).unzip();
        let tls = Tls { ca: self.ca.as_ref().map(Secret::new), cert, key, ..Tls::default() };
        let unusable = |error: ReadError| {
            Unusable(format!("the files of `OTEL_EXPORTER_OTLP_CERTIFICATE` and `_CLIENT_…` cannot be used: {error}"))
        };
        Http::new(&tls, Reach::open()).await.map(Client::new).map_err(unusable)
    }
}

/// What sends: our name unless another is given, our version, and the pod.
fn resource(unnamed: bool) -> Resource {
    let mut attributes = vec![KeyValue::new("service.version", env!("CARGO_PKG_VERSION"))];
    if let Ok(host) = env::var("HOSTNAME") {
        attributes.push(KeyValue::new("service.instance.id", host));
    }
    let resource = Resource::builder().with_attributes(attributes);
    if unnamed { resource.with_service_name(METER).build() } else { resource.build() }
}

/// Nothing of its words is shown: they may be those of a variable's value.
fn built(_: ExporterBuildError) -> Unusable {
    Unusable(
        "the `OTEL_EXPORTER_OTLP_…` variables do not fit together: check endpoint, headers and certificates".to_owned(),
    )
}
