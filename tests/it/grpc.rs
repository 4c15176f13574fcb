//! The server over an in-memory pipe, and what it offers besides KEDA's calls.

use std::{io, sync::Arc, time::SystemTime};

use futures::StreamExt;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use plimsoll::{
    door::{Caller, Guest, Socket},
    grpc::{Drain, Server, Transport},
    sampler::{Sampler, Settings},
    telemetry::Metrics,
};
use tokio::{
    io::DuplexStream,
    sync::{mpsc, oneshot},
    time::{Duration, sleep},
};
use tokio_stream::wrappers::UnboundedReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{
    Code,
    transport::{Channel, Endpoint},
};
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};
use tonic_reflection::pb::{v1, v1alpha};

use crate::{
    emulator::Keda,
    scripted::{Bench, WALL, World},
};

/// A caller that came through no port.
fn guest(pipe: DuplexStream) -> Guest {
    Guest { socket: Socket::new(pipe), caller: Caller::uncounted() }
}

/// A whole server on a pipe.
pub struct Pipe {
    pub world: Arc<World>,
    pub sampler: Sampler,
    pub metrics: Arc<Metrics>,
    pub drain: Drain,
    pub stop: CancellationToken,
    connect: mpsc::UnboundedSender<Guest>,
    ended: Mutex<Option<oneshot::Receiver<()>>>,
}

impl Pipe {
    pub async fn new() -> Self {
        Self::with(Transport::default()).await
    }

    pub async fn with(transport: Transport) -> Self {
        Self::of(Settings::default(), transport).await
    }

    pub async fn over(settings: Settings) -> Self {
        Self::of(settings, Transport::default()).await
    }

    async fn of(settings: Settings, transport: Transport) -> Self {
        let bench = Bench::with(settings, SystemTime::UNIX_EPOCH + WALL);
        let metrics = Arc::clone(&bench.metrics);
        let server = Server::new(bench.sampler.clone(), bench.metrics, transport).await.unwrap();
        let (drain, stop) = (server.drain(), CancellationToken::new());
        let (connect, incoming) = mpsc::unbounded_channel();
        let (end, ended) = oneshot::channel();
        let stopped = stop.clone().cancelled_owned();
        plimsoll::task::detach(async move {
            server.serve(UnboundedReceiverStream::new(incoming), stopped).await;
            end.send(()).ok();
        });
        let ended = Mutex::new(Some(ended));
        Self { world: bench.world, sampler: bench.sampler, metrics, drain, stop, connect, ended }
    }

    /// A connection of its own.
    pub async fn channel(&self) -> Channel {
        let connect = self.connect.clone();
        let connector = tower::service_fn(move |_| {
            let (ours, theirs) = tokio::io::duplex(1 << 16);
            let sent = connect.send(guest(theirs));
            async move { sent.map(|()| TokioIo::new(ours)).map_err(|_| io::Error::other("the server has ended")) }
        });
        Endpoint::from_static("http://plimsoll").connect_with_connector(connector).await.unwrap()
    }

    /// A connection on which a test says what it likes.
    pub fn raw(&self) -> DuplexStream {
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        self.connect.send(guest(theirs)).unwrap();
        ours
    }

    /// Waits until the server has ended.
    pub async fn ended(&self) {
        let ended = self.ended.lock().take().unwrap();
        ended.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn health_follows_the_drain_but_for_liveness() {
    let pipe = Pipe::new().await;
    let mut health = HealthClient::new(pipe.channel().await);
    let mut status = async |service: &str| {
        let request = HealthCheckRequest { service: service.to_owned() };
        health.check(request).await.map(|answer| answer.into_inner().status()).map_err(|status| status.code())
    };
    for service in ["", "readiness", "liveness"] {
        assert_eq!(status(service).await, Ok(ServingStatus::Serving), "{service:?}");
    }
    assert_eq!(status("other").await, Err(Code::NotFound));
    pipe.drain.not_ready().await;
    assert_eq!(status("").await, Ok(ServingStatus::NotServing));
    assert_eq!(status("readiness").await, Ok(ServingStatus::NotServing));
    assert_eq!(status("liveness").await, Ok(ServingStatus::Serving));
}

/// Asks one version of the reflection service for the names of all services.
macro_rules! services {
    ($version:ident, $pipe:expr) => {{
        use $version::{
            ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
            server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
        };
        let list = MessageRequest::ListServices(String::new());
        let request = ServerReflectionRequest { host: String::new(), message_request: Some(list) };
        let mut client = ServerReflectionClient::new($pipe.channel().await);
        let mut answers = client.server_reflection_info(futures::stream::iter([request])).await.unwrap().into_inner();
        let answer = answers.next().await.unwrap().unwrap().message_response.unwrap();
        let MessageResponse::ListServicesResponse(list) = answer else { panic!("{answer:?}") };
        list.service.into_iter().map(|service| service.name).collect::<Vec<_>>()
    }};
}

#[tokio::test(start_paused = true)]
async fn reflection_lists_kedas_service_in_the_version_of_today_and_in_that_of_older_clients() {
    let pipe = Pipe::new().await;
    for names in [services!(v1, pipe), services!(v1alpha, pipe)] {
        assert!(names.contains(&"externalscaler.ExternalScaler".to_owned()), "{names:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn bad_metadata_is_invalid_argument_wherever_there_is_a_value_and_harms_no_other() {
    let pipe = Pipe::new().await;
    let channel = pipe.channel().await;
    let mut bad = Keda::new(channel.clone(), "bad", &[("scalerType", "scripted"), ("threshold", "s3cret")]);
    let mut good = Keda::new(channel, "good", &[("scalerType", "scripted"), ("queue", "a")]);
    let answers = [
        bad.poll().await.unwrap_err(),
        bad.value("scripted-a", None).await.unwrap_err(),
        bad.active().await.unwrap_err(),
    ];
    for status in answers {
        assert_eq!(status.code(), Code::InvalidArgument);
        assert!(status.message().contains("`queue` is required"), "{status}");
        assert!(status.message().contains("`threshold` must be a whole number"), "{status}");
        assert!(!status.message().contains("s3cret"), "{status}");
    }
    assert!(good.poll().await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_request_beyond_the_size_limit_is_refused() {
    let pipe = Pipe::new().await;
    let huge = "x".repeat(300_000);
    let mut keda = Keda::new(pipe.channel().await, "orders", &[("scalerType", "scripted"), ("queue", &huge)]);
    assert_eq!(keda.spec().await.unwrap_err().code(), Code::OutOfRange);
}

#[tokio::test(start_paused = true)]
async fn an_old_connection_is_told_to_go_away_while_its_stream_lives_on() {
    let transport = Transport { connection_age: Some(Duration::from_secs(60)), stream_age: None, encrypted: false };
    let pipe = Pipe::with(transport).await;
    let mut keda = Keda::new(pipe.channel().await, "orders", &[("scalerType", "scripted"), ("queue", "a")]);
    let mut stream = keda.stream().await.unwrap();
    for _ in 0..20 {
        sleep(Duration::from_secs(15)).await;
        keda.poll().await.unwrap();
    }
    pipe.world.queue("a").set(crate::scripted::Act::Value(1.0));
    pipe.world.queue("a").signal();
    assert!(stream.next().await.unwrap().unwrap().result);
}
