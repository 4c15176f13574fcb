//! Hostile and careless callers of the gRPC port, frame by frame: what they cost, and that nobody else notices.

use std::time::Duration;

use prost::Message;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    time::{Instant, timeout},
};

use crate::{emulator::Keda, grpc::Pipe, scripted::Act};

const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// HTTP/2, spoken by hand.
struct Raw {
    pipe: DuplexStream,
    stream: u32,
}

impl Raw {
    async fn new(server: &Pipe, settings: &[u8]) -> Self {
        let mut raw = Self { pipe: server.raw(), stream: 1 };
        raw.pipe.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
        raw.pipe.write_all(&frame(SETTINGS, 0, 0, settings)).await.unwrap();
        raw
    }

    /// The frames of one whole call of `method`.
    fn call(&mut self, method: &str, body: &[u8]) -> Vec<u8> {
        let mut frames = self.head(method);
        let mut data = vec![0];
        data.extend(u32::try_from(body.len()).unwrap().to_be_bytes());
        data.extend(body);
        frames.extend(frame(0, END_STREAM, self.stream - 2, &data));
        frames
    }

    /// The frame that begins a call.
    fn head(&mut self, method: &str) -> Vec<u8> {
        let path = format!("/externalscaler.ExternalScaler/{method}");
        let mut block = Vec::new();
        for (name, value) in [
            (":method", "POST"),
            (":scheme", "http"),
            (":path", path.as_str()),
            (":authority", "plimsoll"),
            ("content-type", "application/grpc"),
            ("te", "trailers"),
        ] {
            // A literal that is not indexed (RFC 7541 §6.2.2).
            block.extend([0, u8::try_from(name.len()).unwrap()]);
            block.extend(name.as_bytes());
            block.push(u8::try_from(value.len()).unwrap());
            block.extend(value.as_bytes());
        }
        let stream = self.stream;
        self.stream += 2;
        frame(HEADERS, END_HEADERS, stream, &block)
    }

    /// Reads frames until `last`, or the connection ends; how many of each type. Pings are answered.
    async fn read_until(&mut self, mut last: impl FnMut(u8, u8) -> bool) -> [usize; 10] {
        let mut seen = [0; 10];
        let mut head = [0; 9];
        while self.pipe.read_exact(&mut head).await.is_ok() {
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
            let mut payload = vec![0; length];
            self.pipe.read_exact(&mut payload).await.unwrap();
            if head[3] == PING && head[4] & ACK == 0 {
                self.pipe.write_all(&frame(PING, ACK, 0, &payload)).await.unwrap();
            }
            seen[head[3] as usize] += 1;
            if last(head[3], head[4]) {
                break;
            }
        }
        seen
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = u32::try_from(payload.len()).unwrap().to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

fn question() -> Vec<u8> {
    let scaler_metadata = [("scalerType", "scripted"), ("queue", "a")];
    plimsoll::grpc::externalscaler::ScaledObjectRef {
        name: "orders".to_owned(),
        namespace: "shop".to_owned(),
        scaler_metadata: scaler_metadata.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
    }
    .encode_to_vec()
}

async fn others_are_answered(server: &Pipe) {
    let mut other = Keda::new(server.channel().await, "other", &[("scalerType", "scripted"), ("queue", "b")]);
    other.poll().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn who_reads_no_answers_is_heard_no_more_and_cut() {
    let server = Pipe::new().await;
    let mut raw = Raw::new(&server, &[]).await;
    let (question, mut sent) = (question(), 0);
    while sent < 80_000 {
        let call = raw.call("IsActive", &question);
        if timeout(Duration::from_secs(1), raw.pipe.write_all(&call)).await.is_err() {
            break;
        }
        sent += 1;
    }
    // What fits into the two pipes and into one round of reading.
    assert!(sent < 5_000, "{sent} calls were heard");
    others_are_answered(&server).await;
    let began = Instant::now();
    let cut = async { while raw.pipe.write_all(&[0]).await.is_ok() {} };
    timeout(Duration::from_secs(60), cut).await.unwrap();
    assert!(began.elapsed() <= plimsoll::limits::ANSWERS_UNREAD, "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn who_gives_answers_no_room_is_refused_beyond_a_bound_and_cut() {
    let server = Pipe::new().await;
    // SETTINGS_INITIAL_WINDOW_SIZE 0: heads come through, bodies do not.
    let mut raw = Raw::new(&server, &[0, 4, 0, 0, 0, 0]).await;
    let (question, most) = (question(), plimsoll::limits::CALLS_OF_ONE);
    let calls: Vec<_> = (0..most + 500).map(|_| raw.call("IsActive", &question)).collect();
    let Raw { pipe, .. } = raw;
    let (read, mut write) = tokio::io::split(pipe);
    let writing = async {
        for call in calls {
            write.write_all(&call).await.unwrap();
        }
        std::future::pending::<()>().await;
    };
    let mut reading = Reading(read);
    let (mut answered, mut refused) = (0, 0);
    let counting = async {
        while answered + refused < most + 500 {
            match reading.next().await {
                Some((HEADERS, flags)) if flags & END_STREAM != 0 => refused += 1,
                Some((HEADERS, _)) => answered += 1,
                Some(_) => {}
                None => panic!("cut too early"),
            }
        }
    };
    tokio::select! {
        () = writing => {}
        () = counting => {}
    }
    assert_eq!((answered, refused), (most, 500));
    others_are_answered(&server).await;
    let began = Instant::now();
    while reading.next().await.is_some() {}
    assert!(began.elapsed() < Duration::from_secs(300), "{:?}", began.elapsed());
}

struct Reading(tokio::io::ReadHalf<DuplexStream>);

impl Reading {
    async fn next(&mut self) -> Option<(u8, u8)> {
        let mut head = [0; 9];
        self.0.read_exact(&mut head).await.ok()?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        self.0.read_exact(&mut vec![0; length]).await.ok()?;
        Some((head[3], head[4]))
    }
}

#[tokio::test(start_paused = true)]
async fn half_requests_are_bounded_in_bytes_and_in_time() {
    let server = Pipe::new().await;
    let mut raw = Raw::new(&server, &[]).await;
    let head = raw.head("IsActive");
    raw.pipe.write_all(&head).await.unwrap();
    raw.pipe.write_all(&frame(0, 0, 1, &[0, 0, 1, 0, 0])).await.unwrap();
    let began = Instant::now();
    let seen = raw.read_until(|kind, flags| kind == HEADERS && flags & END_STREAM != 0).await;
    assert_eq!((seen[HEADERS as usize], began.elapsed()), (1, plimsoll::limits::CALL));
}

#[tokio::test(start_paused = true)]
async fn a_burst_of_cancelled_calls_leaves_the_connection_and_its_streams_alone() {
    let server = Pipe::new().await;
    let mut raw = Raw::new(&server, &[]).await;
    let question = question();
    let stream = raw.call("StreamIsActive", &question);
    raw.pipe.write_all(&stream).await.unwrap();
    raw.read_until(|kind, _| kind == HEADERS).await;
    // All in one go, as of an operator that lost its lease: none is looked at before it is cancelled.
    let mut burst = Vec::new();
    for _ in 0..200 {
        burst.extend(raw.head("IsActive"));
        burst.extend(frame(RST_STREAM, 0, raw.stream - 2, &8_u32.to_be_bytes()));
    }
    burst.extend(raw.call("IsActive", &question));
    raw.pipe.write_all(&burst).await.unwrap();
    let seen = raw.read_until(|kind, flags| kind == GOAWAY || (kind == HEADERS && flags & END_STREAM != 0)).await;
    assert_eq!(seen[GOAWAY as usize], 0, "the connection was told to go away");
    server.world.queue("a").set(Act::Value(1.0));
    server.world.queue("a").signal();
    let seen = raw.read_until(|kind, _| kind == 0 || kind == GOAWAY).await;
    assert_eq!((seen[0], seen[GOAWAY as usize]), (1, 0), "the stream is pushed");
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_will_not_go_is_cut_some_time_after_it_was_told_to() {
    let age = Duration::from_secs(60);
    let server =
        Pipe::with(plimsoll::grpc::Transport { connection_age: Some(age), stream_age: None, encrypted: false }).await;
    let mut raw = Raw::new(&server, &[]).await;
    let (question, began) = (question(), Instant::now());
    let stream = raw.call("StreamIsActive", &question);
    raw.pipe.write_all(&stream).await.unwrap();
    let (mut went, mut ended_well) = (None, false);
    raw.read_until(|kind, flags| {
        if kind == GOAWAY {
            went.get_or_insert(began.elapsed());
        }
        ended_well |= kind == HEADERS && flags & END_STREAM != 0;
        false
    })
    .await;
    let (went, cut) = (went.expect("told to go"), began.elapsed());
    assert!(went <= age.mul_f64(1.3), "{went:?}");
    assert!(ended_well, "its stream ends with OK before");
    let given = plimsoll::limits::AFTER_GOAWAY + plimsoll::limits::LAST_WORDS;
    assert!(cut >= went + plimsoll::limits::AFTER_GOAWAY && cut <= went + given, "{went:?} {cut:?}");
}
