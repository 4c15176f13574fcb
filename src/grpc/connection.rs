//! One connection of KEDA's: HTTP/2, its age, and its end.
//!
//! tonic's own server is not used: it has no bound on what is unanswered, and cuts a connection either never or without
//! a word (0.14).

use std::{convert::Infallible, net::IpAddr, pin::pin, sync::Arc, time::Duration};

use hyper::{Request, Response, body::Incoming, server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rand::RngExt;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tonic::{Status, body::Body, codegen::Service, service::Routes};
use tracing::{Instrument, debug};

use super::{
    calls::{Calls, Counted, Holds, Shared},
    handled::Handled,
};
use crate::{
    door::{Caller, Guest},
    limits,
    telemetry::Metrics,
};

/// KEDA's client sends no pings of its own, so ours find the operator that vanished.
const PING_EVERY: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// What one stream may have waiting to be sent.
const STREAM_BUFFER: usize = 64 << 10;

/// Streams that stay open and cost next to nothing: they are parked, not unanswered.
const PARKED: [&str; 3] = [
    "/externalscaler.ExternalScaler/StreamIsActive",
    "/externalscaler.ExternalScaler/StreamMetricSpec",
    "/grpc.health.v1.Health/Watch",
];

/// What all connections have in common.
#[derive(Debug, Clone)]
pub(super) struct Common {
    pub(super) routes: Routes,
    pub(super) metrics: Arc<Metrics>,
    pub(super) open: Arc<Shared>,
    pub(super) age: Option<Duration>,
    /// Says that connections are to go away.
    pub(super) stop: CancellationToken,
    /// Ends every stream with OK.
    pub(super) end_streams: CancellationToken,
}

/// Ends the streams of one connection with OK: in the extensions of each request for one.
#[derive(Debug, Clone)]
pub(super) struct EndStreams(pub(super) CancellationToken);

/// Where a call comes from: in the extensions of each request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer(pub(super) Option<IpAddr>);

/// What happens next to a connection, unless it ends before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    GoAway,
    EndStreams,
    Cut,
}

/// Serves a connection to its end.
pub(super) async fn serve(guest: Guest, common: Common) {
    let Guest { socket, caller } = guest;
    let caller = Arc::new(caller);
    let calls = Calls::new(common.open);
    let end_streams = common.end_streams.child_token();
    let service = {
        let (caller, calls, end_streams) = (Arc::clone(&caller), Arc::clone(&calls), end_streams.clone());
        // Boxed: its place in the connection is kept while the answer is sent, which for a parked stream is hours.
        service_fn(move |request: Request<Incoming>| {
            let handled = Handled::begin(&common.metrics, request.uri().path(), request.headers());
            Box::pin(answer(request, handled, common.routes.clone(), &caller, &calls, &end_streams))
        })
    };
    let mut connection = pin!(settings().serve_connection(TokioIo::new(socket), service));
    let (mut next, mut due) = match common.age {
        Some(age) => (Next::GoAway, Some(Instant::now() + age.mul_f64(rand::rng().random_range(0.75..1.25)))),
        None => (Next::GoAway, None),
    };
    let mut stopping = false;
    let mut looks = tokio::time::interval(limits::ANSWERS_UNREAD);
    loop {
        tokio::select! {
            ended = &mut connection => {
                if let Err(error) = ended {
                    debug!(%error, "a connection has ended");
                }
                return;
            }
            () = caller.must_leave() => return,
            () = common.stop.cancelled(), if !stopping => {
                stopping = true;
                connection.as_mut().graceful_shutdown();
            }
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => match next {
                Next::GoAway => {
                    connection.as_mut().graceful_shutdown();
                    (next, due) = (Next::EndStreams, Some(Instant::now() + limits::AFTER_GOAWAY));
                }
                Next::EndStreams => {
                    end_streams.cancel();
                    (next, due) = (Next::Cut, Some(Instant::now() + limits::LAST_WORDS));
                }
                Next::Cut => return,
            },
            _ = looks.tick() => if calls.are_forgotten() { return },
        }
    }
}

fn settings() -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_TIMEOUT)
        // All ScaledObjects of an operator share one connection and park on it: what is open has its own bounds (`calls.rs`).
        .max_concurrent_streams(None)
        .max_pending_accept_reset_streams(limits::CANCELLED)
        .max_send_buf_size(STREAM_BUFFER);
    builder
}

/// One call, from its head to the head of its answer.
fn answer(
    mut request: Request<Incoming>,
    mut handled: Handled,
    mut routes: Routes,
    caller: &Caller,
    calls: &Arc<Calls>,
    end_streams: &CancellationToken,
) -> impl Future<Output = Result<Response<Counted<Body>>, Infallible>> + use<> {
    let parks = PARKED.contains(&request.uri().path());
    if parks {
        request.extensions_mut().insert(EndStreams(end_streams.clone()));
    }
    request.extensions_mut().insert(Peer(caller.address()));
    let begun = calls.begin(caller.working()).and_then(|call| {
        let parked = parks.then(|| calls.park(caller.working())).transpose()?;
        Ok((call, parked))
    });
    async move {
        let (call, parked) = match begun {
            Ok(begun) => begun,
            Err(status) => {
                handled.ends(status.code());
                return Ok(status.into_http().map(|body| Counted::new(body, Holds::Nothing(handled))));
            }
        };
        let request = request.map(|body| Body::new(Counted::new(body, Holds::Request(Arc::clone(&call)))));
        // Routes are always ready.
        let answered = routes.call(request).instrument(handled.span.span());
        let answer = match timeout(limits::CALL, answered).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(never)) => match never {},
            Err(_) => Status::deadline_exceeded("the call took too long: send the whole request").into_http(),
        };
        handled.look(answer.headers());
        let holds = match parked {
            None => Holds::Answer(call, handled),
            Some(parked) => Holds::Parked(parked, handled),
        };
        Ok(answer.map(|body| Counted::new(body, holds)))
    }
}
