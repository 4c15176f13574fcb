//! A collector: the services of OTLP as its specification generates them, over gRPC and over HTTP, which keep what comes.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, body::Bytes, http::HeaderMap, routing::post};
use opentelemetry_proto::tonic::{
    collector::{
        metrics::v1::{
            ExportMetricsServiceRequest, ExportMetricsServiceResponse,
            metrics_service_server::{MetricsService, MetricsServiceServer},
        },
        trace::v1::{
            ExportTraceServiceRequest, ExportTraceServiceResponse,
            trace_service_server::{TraceService, TraceServiceServer},
        },
    },
    common::v1::{KeyValue, any_value::Value},
    metrics::v1::{Metric, metric::Data},
    resource::v1::Resource,
    trace::v1::Span,
};
use parking_lot::Mutex;
use tokio::{net::TcpListener, time::timeout};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{
    Request, Response, Status,
    codegen::http::header::AUTHORIZATION,
    transport::{Certificate, ServerTlsConfig},
};
use tonic_prost::prost::Message;

use crate::certificates::Identity;

const PATIENCE: Duration = Duration::from_secs(20);

/// What has come. Cheap to clone.
#[derive(Clone, Default)]
pub struct Collector(Arc<Mutex<Taken>>);

#[derive(Default)]
struct Taken {
    spans: Vec<Span>,
    metrics: Vec<Metric>,
    resources: Vec<Resource>,
    logins: Vec<String>,
}

impl Collector {
    /// Listens for gRPC at `address`.
    pub async fn grpc(address: &str) -> (Self, SocketAddr) {
        Self::grpc_with(tonic::transport::Server::builder(), address).await
    }

    /// The same, for who trusts `ca` and has a certificate of its.
    pub async fn grpc_over_tls(identity: &Identity, ca: &str) -> (Self, SocketAddr) {
        let tls = ServerTlsConfig::new()
            .identity(tonic::transport::Identity::from_pem(&identity.cert, &identity.key))
            .client_ca_root(Certificate::from_pem(ca));
        Self::grpc_with(tonic::transport::Server::builder().tls_config(tls).unwrap(), "127.0.0.1:0").await
    }

    async fn grpc_with(mut server: tonic::transport::Server, address: &str) -> (Self, SocketAddr) {
        let (collector, listener) = (Self::default(), TcpListener::bind(address).await.unwrap());
        let address = listener.local_addr().unwrap();
        let server = server
            .add_service(TraceServiceServer::new(collector.clone()))
            .add_service(MetricsServiceServer::new(collector.clone()))
            .serve_with_incoming(TcpListenerStream::new(listener));
        tokio::spawn(server);
        (collector, address)
    }

    /// Listens for HTTP.
    pub async fn http() -> (Self, SocketAddr) {
        let (collector, listener) = (Self::default(), TcpListener::bind("127.0.0.1:0").await.unwrap());
        let address = listener.local_addr().unwrap();
        let (traces, metrics) = (collector.clone(), collector.clone());
        let router = Router::new()
            .route(
                "/v1/traces",
                post(async move |headers: HeaderMap, body: Bytes| {
                    traces.take_spans(login(&headers), ExportTraceServiceRequest::decode(body).unwrap());
                }),
            )
            .route(
                "/v1/metrics",
                post(async move |headers: HeaderMap, body: Bytes| {
                    metrics.take_metrics(login(&headers), ExportMetricsServiceRequest::decode(body).unwrap());
                }),
            );
        tokio::spawn(async move { axum::serve(listener, router).await });
        (collector, address)
    }

    fn take_spans(&self, login: String, request: ExportTraceServiceRequest) {
        let mut taken = self.0.lock();
        taken.logins.push(login);
        for of in request.resource_spans {
            taken.resources.extend(of.resource);
            taken.spans.extend(of.scope_spans.into_iter().flat_map(|scope| scope.spans));
        }
    }

    fn take_metrics(&self, login: String, request: ExportMetricsServiceRequest) {
        let mut taken = self.0.lock();
        taken.logins.push(login);
        for of in request.resource_metrics {
            taken.resources.extend(of.resource);
            taken.metrics = of.scope_metrics.into_iter().flat_map(|scope| scope.metrics).collect();
        }
    }

    /// The first span of which `is` holds, once it is here.
    pub async fn span(&self, what: &str, is: impl Fn(&Span) -> bool) -> Span {
        until(what, || self.0.lock().spans.iter().find(|span| is(span)).cloned()).await
    }

    pub fn spans(&self) -> Vec<Span> {
        self.0.lock().spans.clone()
    }

    /// The metric of this name in what came last, once it is there and `is` holds of it.
    pub async fn metric(&self, name: &str, is: impl Fn(&Metric) -> bool) -> Metric {
        until(name, || self.0.lock().metrics.iter().find(|metric| metric.name == name && is(metric)).cloned()).await
    }

    /// What each request has shown.
    pub fn logins(&self) -> Vec<String> {
        self.0.lock().logins.clone()
    }

    /// What the senders say of themselves under `key`.
    pub fn resource(&self, key: &str) -> Option<String> {
        self.0.lock().resources.iter().find_map(|resource| text(&resource.attributes, key))
    }
}

fn login(headers: &HeaderMap) -> String {
    headers.get(AUTHORIZATION).map(|login| login.to_str().unwrap().to_owned()).unwrap_or_default()
}

/// Waits until `found` finds something.
pub async fn until<T>(what: &str, found: impl Fn() -> Option<T>) -> T {
    let waiting = async {
        loop {
            if let Some(found) = found() {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("never: {what}"))
}

/// An attribute in words.
pub fn text(attributes: &[KeyValue], key: &str) -> Option<String> {
    match attributes.iter().find(|attribute| attribute.key == key)?.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text.clone()),
        Value::IntValue(number) => Some(number.to_string()),
        Value::DoubleValue(number) => Some(number.to_string()),
        Value::BoolValue(flag) => Some(flag.to_string()),
        other => panic!("{other:?}"),
    }
}

/// How often a histogram was added to.
pub fn count(metric: &Metric) -> u64 {
    let Some(Data::Histogram(histogram)) = &metric.data else { panic!("{metric:?}") };
    histogram.data_points.iter().map(|point| point.count).sum()
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let login = login(request.metadata().as_ref());
        self.take_spans(login, request.into_inner());
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl MetricsService for Collector {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        let login = login(request.metadata().as_ref());
        self.take_metrics(login, request.into_inner());
        Ok(Response::new(ExportMetricsServiceResponse::default()))
    }
}
