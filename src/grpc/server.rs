//! The gRPC server around the service: health, reflection, keep-alive, connection age and an orderly end.

use std::{error::Error, future::Future, sync::Arc, time::Duration};

use futures::Stream;
use rand::RngExt;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;
use tonic::transport::server::{Connected, Router};
use tonic_health::{ServingStatus, server::HealthReporter};

use super::{
    externalscaler::{self, external_scaler_server::ExternalScalerServer},
    service::Scaler,
};
use crate::{limits, sampler::Sampler, telemetry::Metrics};

/// KEDA's client sends no pings of its own, so ours find the operator that vanished.
const PING_EVERY: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// The services that `grpc.health.v1` knows besides the empty one.
const READINESS: &str = "readiness";
const LIVENESS: &str = "liveness";

/// How connections and streams behave.
#[derive(Debug, Clone)]
pub struct Transport {
    /// After about this long a connection is told to go away, so that KEDA finds new replicas. Never with a grace
    /// period: tonic 0.14 then cuts the socket without a GOAWAY.
    pub connection_age: Option<Duration>,
    /// After about this long a stream ends with OK, so that streams spread over replicas.
    pub stream_age: Option<Duration>,
}

impl Default for Transport {
    fn default() -> Self {
        Self { connection_age: Some(Duration::from_secs(450)), stream_age: Some(Duration::from_secs(1200)) }
    }
}

/// KEDA's service, ready to serve.
#[derive(Debug)]
pub struct Server {
    router: Router,
    health: HealthReporter,
    end_streams: CancellationToken,
}

impl Server {
    /// A server that answers from `sampler`.
    pub async fn new(
        sampler: Sampler,
        metrics: Arc<Metrics>,
        transport: Transport,
    ) -> Result<Self, tonic_reflection::server::Error> {
        let end_streams = CancellationToken::new();
        let scaler = Scaler { sampler, metrics, end_streams: end_streams.clone(), stream_age: transport.stream_age };
        let (health, health_service) = tonic_health::server::health_reporter();
        for service in ["", READINESS, LIVENESS] {
            health.set_service_status(service, ServingStatus::Serving).await;
        }
        let reflection = tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(externalscaler::DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            .build_v1()?;
        // No limit on concurrent streams: all ScaledObjects of an operator share one connection and park on it.
        let mut server = tonic::transport::Server::builder()
            .http2_keepalive_interval(Some(PING_EVERY))
            .http2_keepalive_timeout(Some(PING_TIMEOUT));
        if let Some(age) = transport.connection_age {
            server = server.max_connection_age(age.mul_f64(rand::rng().random_range(0.75..1.25)));
        }
        let router = server
            .add_service(ExternalScalerServer::new(scaler).max_decoding_message_size(limits::REQUEST))
            .add_service(health_service)
            .add_service(reflection);
        Ok(Self { router, health, end_streams })
    }

    /// A handle to take the server out of service step by step.
    #[must_use]
    pub fn drain(&self) -> Drain {
        Drain { health: self.health.clone(), end_streams: self.end_streams.clone() }
    }

    /// Serves until `stop` resolves, then until the last call has its answer.
    pub async fn serve<I, IO, E>(
        self,
        incoming: I,
        stop: impl Future<Output = ()>,
    ) -> Result<(), tonic::transport::Error>
    where
        I: Stream<Item = Result<IO, E>>,
        IO: AsyncRead + AsyncWrite + Connected + Unpin + Send + 'static,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        self.router.serve_with_incoming_shutdown(incoming, stop).await
    }
}

/// Takes a server out of service.
#[derive(Debug, Clone)]
pub struct Drain {
    health: HealthReporter,
    end_streams: CancellationToken,
}

impl Drain {
    /// No new callers, please: the health service says so.
    pub async fn not_ready(&self) {
        for service in ["", READINESS] {
            self.health.set_service_status(service, ServingStatus::NotServing).await;
        }
    }

    /// Ends every stream with OK, and each one opened from now on at once.
    pub fn end_streams(&self) {
        self.end_streams.cancel();
    }
}
