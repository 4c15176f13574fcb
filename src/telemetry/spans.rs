//! The spans of traces: one for each call, one for each look, one for each batch of questions, one for each request to a
//! broker; and how they find each other. A call is mostly answered from memory, so it *links* to the look that its answer
//! came from; looks that share a batch link to it, and the requests are the batch's children.
//!
//! While nobody wants traces nothing here costs more than the load of a flag. No field may hold a secret. Not for: where
//! traces go (`otlp`).

use std::sync::atomic::{AtomicBool, Ordering};

#[cfg(feature = "otlp")]
use opentelemetry::{
    propagation::{Extractor, TextMapPropagator},
    trace::{SpanContext, TraceContextExt},
};
#[cfg(feature = "otlp")]
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::{Span, field::Empty, trace_span};
#[cfg(feature = "otlp")]
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::series::{Exemplar, Method};

/// What tells our spans from those of libraries.
pub const TARGET: &str = "plimsoll::spans";

/// What a server is to blame for, of gRPC's codes: the others are the caller's affair, or its trigger's.
const FAULTS: [usize; 6] = [2, 4, 12, 13, 14, 15];

static WANTED: AtomicBool = AtomicBool::new(false);

/// From now on spans are made.
pub fn want() {
    WANTED.store(true, Ordering::Relaxed);
}

/// Whether spans are made.
#[must_use]
pub fn wanted() -> bool {
    WANTED.load(Ordering::Relaxed)
}

/// A span that is kept for a while, in the room of a pointer.
#[derive(Debug, Default)]
pub struct Kept(Option<Box<Span>>);

impl Kept {
    /// The one that runs now.
    #[must_use]
    pub fn here() -> Self {
        Self(wanted().then(|| Box::new(Span::current())))
    }

    /// A call; `header` gives what its caller says of its own trace.
    #[must_use]
    pub fn call(method: Method, header: impl Fn(&str) -> Option<String>) -> Self {
        if !wanted() {
            return Self(None);
        }
        let (service, name) = method.names();
        let span = trace_span!(
            target: TARGET, parent: None, "call",
            otel.name = format!("{service}/{name}"), otel.kind = "server",
            rpc.system = "grpc", rpc.service = service, rpc.method = name, rpc.grpc.status_code = Empty,
            k8s.namespace.name = Empty, plimsoll.object = Empty, plimsoll.answer = Empty, otel.status_code = Empty,
        );
        continues(&span, header);
        Self(Some(Box::new(span)))
    }

    /// Itself; nothing if there is none.
    #[must_use]
    pub fn span(&self) -> Span {
        self.0.as_ref().map_or_else(Span::none, |span| Span::clone(span))
    }

    /// The call has ended.
    pub fn ended(&self, code: usize) -> Option<Exemplar> {
        let span = self.0.as_ref()?;
        span.record("rpc.grpc.status_code", code);
        if FAULTS.contains(&code) {
            span.record("otel.status_code", "ERROR");
        }
        Seen::of(span).exemplar()
    }
}

/// The call that runs now is about an object.
pub fn asks(namespace: &str, name: &str) {
    if wanted() {
        let span = Span::current();
        span.record("k8s.namespace.name", namespace);
        span.record("plimsoll.object", name);
    }
}

/// A look at a source, and why it is made.
#[must_use]
pub fn look(scaler_type: &'static str, cause: &'static str) -> Span {
    if !wanted() {
        return Span::none();
    }
    trace_span!(
        target: TARGET, parent: None, "look",
        otel.name = format!("look {scaler_type}"), plimsoll.scaler_type = scaler_type, plimsoll.cause = cause,
        plimsoll.source = Empty, plimsoll.connection = Empty, plimsoll.value = Empty, plimsoll.active = Empty,
        plimsoll.error = Empty, otel.status_code = Empty, otel.status_description = Empty,
    )
}

/// The questions of these spans become one. It is a part of the first that is sampled, and the others link to it.
#[must_use]
pub fn batch<'s>(questions: impl Iterator<Item = &'s Span> + Clone) -> Span {
    if !wanted() {
        return Span::none();
    }
    let sampled = |span: &&Span| Seen::of(span).exemplar().is_some();
    let parent = questions.clone().find(sampled).or(questions.clone().next());
    let span = trace_span!(
        target: TARGET, parent: parent.and_then(Span::id), "batch", plimsoll.questions = questions.clone().count()
    );
    for question in questions.filter(|question| question.id() != parent.and_then(Span::id)) {
        question.follows_from(&span);
    }
    span
}

/// The span of whoever asks now.
#[must_use]
pub fn here() -> Span {
    if wanted() { Span::current() } else { Span::none() }
}

/// A request to `place`, as a part of what runs now.
#[must_use]
pub fn request(protocol: &'static str, name: &str, place: &str) -> Span {
    // What nobody asks for, such as a request that is parked until something happens, has no place in a trace.
    if !wanted() || Span::current().is_none() {
        return Span::none();
    }
    let (address, port) = address(place);
    trace_span!(
        target: TARGET, "request", otel.name = format!("{protocol} {name}"), otel.kind = "client",
        network.protocol.name = protocol, server.address = address, server.port = port
    )
}

/// Host and port of a place as people see it: `` `http://host:80` ``, `host:6379`, `[::1]:9092`; several hosts are one text.
fn address(place: &str) -> (&str, Option<u16>) {
    let place = place.trim_matches('`');
    let place = place.split_once("://").map_or(place, |(_, rest)| rest);
    let place = place.split('/').next().unwrap_or(place);
    match place.rsplit_once(':') {
        Some((host, port)) if !place.contains(',') && (!host.contains(':') || host.ends_with(']')) => {
            (host.trim_start_matches('[').trim_end_matches(']'), port.parse().ok())
        }
        _ => (place, None),
    }
}

/// A span that has ended, to be linked to; nothing of one that nobody sees.
#[derive(Debug, Clone, Default)]
pub struct Seen(#[cfg(feature = "otlp")] Option<Box<SpanContext>>);

#[cfg(feature = "otlp")]
impl Seen {
    /// Of a span that is sampled.
    #[must_use]
    pub fn of(span: &Span) -> Self {
        if span.is_disabled() {
            return Self(None);
        }
        let context = span.context().span().span_context().clone();
        Self((context.is_valid() && context.is_sampled()).then(|| Box::new(context)))
    }

    /// The call that runs now has its answer from there.
    pub fn answers(&self, how: &'static str) {
        if wanted() {
            let span = Span::current();
            span.record("plimsoll.answer", how);
            self.link_to(&span);
        }
    }

    /// `span` is a consequence of it.
    pub fn link_to(&self, span: &Span) {
        if let Some(context) = &self.0 {
            span.add_link(SpanContext::clone(context));
        }
    }

    /// For a bucket of a histogram.
    #[must_use]
    pub fn exemplar(&self) -> Option<Exemplar> {
        let context = self.0.as_ref()?;
        Some(Exemplar { trace_id: context.trace_id().to_string(), span_id: context.span_id().to_string() })
    }
}

#[cfg(not(feature = "otlp"))]
#[allow(missing_docs, clippy::unused_self, reason = "as above, of nothing")]
impl Seen {
    pub fn of(_: &Span) -> Self {
        Self()
    }

    pub fn answers(&self, _: &'static str) {}

    pub fn link_to(&self, _: &Span) {}

    pub fn exemplar(&self) -> Option<Exemplar> {
        None
    }
}

/// `span` goes on with the trace that its caller says (W3C's `traceparent`).
#[cfg(feature = "otlp")]
fn continues(span: &Span, header: impl Fn(&str) -> Option<String>) {
    struct Headers([Option<String>; 2]);

    impl Extractor for Headers {
        fn get(&self, key: &str) -> Option<&str> {
            let Self([parent, state]) = self;
            match key {
                "traceparent" => parent.as_deref(),
                "tracestate" => state.as_deref(),
                _ => None,
            }
        }

        fn keys(&self) -> Vec<&str> {
            vec!["traceparent", "tracestate"]
        }
    }

    let headers = Headers([header("traceparent"), header("tracestate")]);
    if headers.0.first().is_some_and(Option::is_some) {
        // It has just been made: nothing is in the way.
        span.set_parent(TraceContextPropagator::new().extract(&headers)).ok();
    }
}

#[cfg(not(feature = "otlp"))]
fn continues(_: &Span, _: impl Fn(&str) -> Option<String>) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_host_and_a_port() {
        for (place, host, port) in [
            ("`http://prometheus:9090/api`", "prometheus", Some(9090)),
            ("https://sqs.eu-west-1.amazonaws.com", "sqs.eu-west-1.amazonaws.com", None),
            ("redis:6379", "redis", Some(6379)),
            ("[::1]:9092", "::1", Some(9092)),
            ("a:1,b:2", "a:1,b:2", None),
            ("amqps://rabbit:5671", "rabbit", Some(5671)),
            ("", "", None),
        ] {
            assert_eq!(address(place), (host, port), "{place}");
        }
    }
}
