//! The gRPC server around the service: health, reflection and an orderly end.

use std::{convert::Infallible, future::Future, pin::pin, sync::Arc, time::Duration};

use futures::{Stream, StreamExt};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic_health::{ServingStatus, server::HealthReporter};

use super::{
    calls::Shared,
    connection::{self, Common},
    externalscaler::{self, external_scaler_server::ExternalScalerServer},
    secrets::Secrets,
    service::Scaler,
};
use crate::{door::Guest, limits, sampler::Sampler, task, telemetry::Metrics};

/// The services that `grpc.health.v1` knows besides the empty one.
const READINESS: &str = "readiness";
const LIVENESS: &str = "liveness";

/// How connections and streams behave.
#[derive(Debug, Clone)]
pub struct Transport {
    /// After about this long a connection is told to go away, so that KEDA finds new replicas.
    pub connection_age: Option<Duration>,
    /// After about this long a stream ends with OK, so that streams spread over replicas.
    pub stream_age: Option<Duration>,
    /// Whether callers speak TLS: if not, a secret that comes this way is worth a warning.
    pub encrypted: bool,
}

impl Default for Transport {
    fn default() -> Self {
        Self {
            connection_age: Some(Duration::from_secs(450)),
            stream_age: Some(Duration::from_secs(1200)),
            encrypted: false,
        }
    }
}

/// KEDA's service, ready to serve.
#[derive(Debug)]
pub struct Server {
    common: Common,
    health: HealthReporter,
}

impl Server {
    /// A server that answers from `sampler`.
    pub async fn new(
        sampler: Sampler,
        metrics: Arc<Metrics>,
        transport: Transport,
    ) -> Result<Self, tonic_reflection::server::Error> {
        let (end_streams, open) = (CancellationToken::new(), Shared::of(sampler.room_for_triggers()));
        let scaler = Scaler { sampler, stream_age: transport.stream_age, secrets: Secrets::new(transport.encrypted) };
        let (health, health_service) = tonic_health::server::health_reporter();
        for service in ["", READINESS, LIVENESS] {
            health.set_service_status(service, ServingStatus::Serving).await;
        }
        let reflection = || {
            tonic_reflection::server::Builder::configure()
                .register_encoded_file_descriptor_set(externalscaler::DESCRIPTORS)
                .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        };
        let routes = Routes::new(ExternalScalerServer::new(scaler).max_decoding_message_size(limits::REQUEST))
            .add_service(health_service)
            .add_service(reflection().build_v1()?)
            // What Postman, grpcui and older grpcurl ask by.
            .add_service(reflection().build_v1alpha()?)
            .prepare();
        let common = Common {
            routes,
            metrics,
            open,
            age: transport.connection_age,
            stop: CancellationToken::new(),
            end_streams,
        };
        Ok(Self { common, health })
    }

    /// A handle to take the server out of service step by step.
    #[must_use]
    pub fn drain(&self) -> Drain {
        Drain { health: self.health.clone(), end_streams: self.common.end_streams.clone() }
    }

    /// Serves those who come in until `stop` resolves, then lets nobody in and ends when the last call has its answer.
    pub async fn serve(self, incoming: impl Stream<Item = Guest>, stop: impl Future<Output = ()>) {
        let Self { common, health: _health } = self;
        let (alive, mut last) = mpsc::channel::<Infallible>(1);
        {
            let (mut incoming, mut stop) = (pin!(incoming), pin!(stop));
            loop {
                let guest = tokio::select! {
                    () = &mut stop => break,
                    guest = incoming.next() => guest,
                };
                let Some(guest) = guest else { break };
                let (common, alive) = (common.clone(), alive.clone());
                task::detach(async move {
                    connection::serve(guest, common).await;
                    drop(alive);
                });
            }
        }
        common.stop.cancel();
        drop(alive);
        // Nothing is ever sent: it ends when the last connection has.
        last.recv().await;
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
