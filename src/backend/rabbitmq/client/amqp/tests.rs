//! Brokers that say what no broker should: each costs its own answer, and nothing of it is kept.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{
    io::AsyncReadExt,
    net::{TcpListener, TcpStream},
    sync::mpsc,
    time::timeout,
};

use super::{
    AmqpClient,
    frame::{Broken, Frame, Frames, Stream},
    method::tests::{bare, declare_ok, declared, goodbye, start, tune},
};
use crate::{
    backend::{
        Account, Backend,
        rabbitmq::{
            RabbitMq,
            connection::{Amqp, Login},
            question::{Askers, Found, Question},
        },
    },
    error::{ReadError, ReadErrorKind},
    metadata::{Metadata, Reader, Secret},
    net::{Reach, TwoAddresses, tls::Tls},
    task::{self, Task, sabotage::panic_in},
};

/// Far longer than anything takes that is waited for.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a broker says at each step. The default is an honest one, where every queue has seven messages.
#[derive(Clone)]
struct Play {
    start: Vec<u8>,
    tune: Vec<u8>,
    /// Instead of `connection.open-ok`.
    opened: Vec<u8>,
    answer: fn(&mut Frames, u16, &str),
    /// Said between questions, once.
    idle: Vec<u8>,
    /// Whether it gives signs of life.
    beats: bool,
}

impl Default for Play {
    fn default() -> Self {
        Self {
            start: start(&[], "AMQPLAIN PLAIN"),
            tune: tune(2047, 131_072, 60),
            opened: bare(10, 41),
            answer: |frames, channel, queue| frames.say(channel, &declare_ok(queue, 7)),
            idle: Vec::new(),
            beats: true,
        }
    }
}

/// What a broker has noticed of us.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Noticed {
    /// What we agree to.
    TuneOk(Vec<u8>),
    Heartbeat,
    HungUp,
}

struct Rogue {
    port: u16,
    noticed: mpsc::UnboundedReceiver<Noticed>,
    _task: Task,
}

impl Rogue {
    async fn new<F>(play: Play, secure: impl Fn(TcpStream) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Box<dyn Stream>> + Send,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (tell, noticed) = mpsc::unbounded_channel();
        let task = task::spawn(async move {
            loop {
                let stream = secure(listener.accept().await.unwrap().0).await;
                perform(stream, &play, &tell).await.ok();
                tell.send(Noticed::HungUp).ok();
            }
        });
        Self { port, noticed, _task: task }
    }

    async fn plain(play: Play) -> Self {
        Self::new(play, |stream| async { Box::new(stream) as Box<dyn Stream> }).await
    }

    async fn notices(&mut self, wanted: &Noticed) {
        let all = async { while self.noticed.recv().await.unwrap() != *wanted {} };
        timeout(PATIENCE, all).await.unwrap_or_else(|_| panic!("never noticed: {wanted:?}"));
    }

    fn client(&self, tls: Option<Tls>) -> AmqpClient {
        self.client_at("127.0.0.1", tls)
    }

    fn client_at(&self, host: &str, tls: Option<Tls>) -> AmqpClient {
        let to = Amqp {
            host: host.to_owned(),
            port: self.port,
            tls,
            server_name: None,
            vhost: "/".to_owned(),
            login: Login::Password { username: "user".to_owned(), password: Secret::new("S3CRET") },
            heartbeat: None,
            connect_timeout: None,
            reach: Reach::open(),
        };
        AmqpClient::new(to, Account::default())
    }
}

async fn perform(
    mut stream: Box<dyn Stream>,
    play: &Play,
    tell: &mpsc::UnboundedSender<Noticed>,
) -> Result<(), Broken> {
    stream.read_exact(&mut [0; 8]).await.map_err(|_| Broken::Lost)?;
    let mut frames = Frames::new(stream);
    frames.allow(usize::MAX);
    frames.say(0, &play.start);
    loop {
        let Frame::Method { channel, payload } = frames.next().await? else {
            tell.send(Noticed::Heartbeat).ok();
            if play.beats {
                frames.say_heartbeat();
            }
            continue;
        };
        match payload.first_chunk() {
            Some([0, 10, 0, 11]) => frames.say(0, &play.tune),
            Some([0, 10, 0, 31]) => drop(tell.send(Noticed::TuneOk(payload.to_vec()))),
            Some([0, 10, 0, 40]) => frames.say(0, &play.opened),
            Some([0, 10, 0, 50]) => frames.say(0, &bare(10, 51)),
            Some([0, 20, 0, 10]) => frames.say(channel, &bare(20, 11)),
            Some([0, 50, 0, 10]) => {
                (play.answer)(&mut frames, channel, &declared(&payload).unwrap());
                frames.say_raw(&play.idle);
            }
            _ => {}
        }
    }
}

/// Who asks, and what was heard.
#[derive(Default)]
struct Asker(Mutex<Option<Result<Found, ReadError>>>);

impl Askers for Asker {
    fn tell(&self, _question: &Question, found: Result<Found, ReadError>) {
        *self.0.lock() = Some(found);
    }

    fn wait_for(&self, _question: &Question) -> bool {
        true
    }
}

async fn ask(client: &AmqpClient) -> Result<Option<i64>, ReadError> {
    let asker = Asker::default();
    let looked = client.look(vec![Question::Queue { name: "q".into(), rates: false }], &asker);
    timeout(PATIENCE, looked).await.unwrap();
    let told = asker.0.lock().take().unwrap();
    told.map(|found| found[0].messages)
}

/// So many arrays, each in the one before: a value of a field.
fn nested(arrays: usize) -> Vec<u8> {
    let mut table = b"\x01x".to_vec();
    for depth in 0..arrays {
        table.push(b'A');
        table.extend(u32::try_from(5 * (arrays - depth - 1)).unwrap().to_be_bytes());
    }
    table
}

#[tokio::test]
async fn what_a_broker_may_say_is_taken_whatever_it_claims() {
    for (what, play) in [
        ("an honest broker", Play::default()),
        ("arrays in arrays", Play { start: start(&nested(3000), "PLAIN"), ..Play::default() }),
        ("frames without bounds", Play { tune: tune(0, u32::MAX, 0), ..Play::default() }),
        ("one channel, frames of a byte", Play { tune: tune(1, 1, u16::MAX), ..Play::default() }),
        (
            "blocked",
            Play {
                answer: |frames, channel, queue| {
                    frames.say(0, &bare(10, 60));
                    frames.say(channel, &declare_ok(queue, 7));
                },
                ..Play::default()
            },
        ),
    ] {
        let mut broker = Rogue::plain(play).await;
        assert_eq!(ask(&broker.client(None)).await, Ok(Some(7)), "{what}");
        let Some(Noticed::TuneOk(agreed)) = broker.noticed.recv().await else { panic!("{what}: nothing agreed") };
        assert_eq!(agreed[6..10], 4096_u32.to_be_bytes(), "{what}");
    }
}

#[tokio::test]
async fn what_no_broker_says_is_an_error_that_says_so() {
    const NOT_AMQP: &str = "does not speak AMQP 0-9-1: give the address of RabbitMQ's AMQP port";
    const NOT_THERE: &str = "says what AMQP 0-9-1 does not have there: check that it is RabbitMQ";
    let answering = |answer| Play { answer, ..Play::default() };
    for (play, text) in [
        (Play { start: start(&nested(20_000), "PLAIN"), ..Play::default() }, NOT_AMQP),
        (Play { start: bare(10, 41), ..Play::default() }, NOT_AMQP),
        (
            Play { start: start(&[], "EXTERNAL"), ..Play::default() },
            "does not offer the login mechanism PLAIN: enable it there, or choose another by `auth_mechanism` in `host`",
        ),
        (Play { tune: vec![0, 10, 0, 30, 1], ..Play::default() }, NOT_THERE),
        (Play { opened: bare(20, 11), ..Play::default() }, NOT_THERE),
        (
            Play { opened: goodbye(10, 541, &"a\nb ".repeat(60)), ..Play::default() },
            "has closed the connection with 541, a b a b",
        ),
        (
            answering(|frames, _, _| frames.say_raw(&[1, 0, 1, 0xff, 0xff, 0xff, 0xff])),
            "sends a frame larger than may be: check that it is RabbitMQ",
        ),
        (answering(|frames, _, _| frames.say_raw(&[3, 0, 1, 0, 0, 0, 1, 0, 0xce])), NOT_THERE),
        (answering(|frames, _, queue| frames.say(77, &declare_ok(queue, 7))), NOT_THERE),
        (answering(|frames, channel, _| frames.say(channel, &declare_ok("other", 7))), NOT_THERE),
        (answering(|frames, channel, _| frames.say(channel, &bare(60, 60))), NOT_THERE),
        (
            answering(|frames, _, _| (0..40_000).for_each(|_| frames.say_heartbeat())),
            "sends more than was asked for: check that it is RabbitMQ",
        ),
    ] {
        let broker = Rogue::plain(play).await;
        let error = ask(&broker.client(None)).await.unwrap_err();
        assert!(error.to_string().starts_with(&format!("`amqp://127.0.0.1:{}` {text}", broker.port)), "{error}");
        assert!(error.whole_connection && error.to_string().len() < 250, "{error}");
        assert!(matches!(error.kind, ReadErrorKind::BadReply | ReadErrorKind::Denied), "{error:?}");
    }
}

#[tokio::test]
async fn the_same_holds_within_tls() {
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key.into())
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    for (arrays, expected) in [(3000, true), (20_000, false)] {
        let acceptor = acceptor.clone();
        let play = Play { start: start(&nested(arrays), "PLAIN"), ..Play::default() };
        let broker = Rogue::new(play, move |stream| {
            let acceptor = acceptor.clone();
            async move { Box::new(acceptor.accept(stream).await.unwrap()) as Box<dyn Stream> }
        })
        .await;
        let read = ask(&broker.client(Some(Tls { skip_verify: true, ..Tls::default() }))).await;
        assert_eq!(read.is_ok(), expected, "{read:?}");
    }
}

#[tokio::test]
async fn a_connection_gives_signs_of_life_while_nobody_asks() {
    let mut broker = Rogue::plain(Play { tune: tune(0, 0, 1), ..Play::default() }).await;
    let client = broker.client(None);
    assert_eq!(ask(&client).await, Ok(Some(7)));
    for _ in 0..3 {
        broker.notices(&Noticed::Heartbeat).await;
    }
    assert_eq!(ask(&client).await, Ok(Some(7)));
}

#[tokio::test]
async fn a_broker_that_falls_silent_or_talks_to_itself_is_hung_up_on_and_asked_anew() {
    let silent = Play { tune: tune(0, 0, 1), beats: false, ..Play::default() };
    let chatty = Play { tune: tune(0, 0, 1), idle: [8, 0, 0, 0, 0, 0, 0, 0xce].repeat(10_000), ..Play::default() };
    for play in [silent, chatty] {
        let mut broker = Rogue::plain(play).await;
        let client = broker.client(None);
        assert_eq!(ask(&client).await, Ok(Some(7)));
        broker.notices(&Noticed::HungUp).await;
        assert_eq!(ask(&client).await, Ok(Some(7)));
    }
}

#[tokio::test]
async fn a_name_whose_first_address_swallows_all_is_read_at_the_second() {
    let rogue = Rogue::plain(Play::default()).await;
    let two = TwoAddresses::of(rogue.port);
    assert_eq!(ask(&rogue.client_at(&two.name(), None)).await, Ok(Some(7)));
}

#[tokio::test]
async fn a_panic_of_any_task_is_counted_and_the_next_look_and_wake_are_right() {
    static WORK: AtomicU32 = AtomicU32::new(0);
    let answer = |frames: &mut Frames, channel, queue: &str| {
        frames.say(channel, &declare_ok(queue, WORK.load(Ordering::Relaxed)));
    };
    let broker = Rogue::plain(Play { answer, ..Play::default() }).await;
    let host = format!("amqp://user:S3CRET@127.0.0.1:{}", broker.port);
    let pairs = [("host", host.as_str()), ("queueName", "q"), ("mode", "QueueLength"), ("value", "5")];
    let metadata: Metadata = pairs.into_iter().collect();
    let queue = RabbitMq::default().parse("rabbitmq", &mut Reader::new(&metadata), &Reach::open()).unwrap();
    for (work, broken) in [(3, "rabbitmq keeper"), (4, "rabbitmq idle"), (5, "batch")] {
        WORK.store(0, Ordering::Relaxed);
        assert_eq!(queue.read().await.map(|reading| reading.value), Ok(0.0));
        let broken = async {
            panic_in(broken).await;
            WORK.store(work, Ordering::Relaxed);
        };
        timeout(PATIENCE, async { tokio::join!(queue.wake(), broken) }).await.unwrap();
        assert_eq!(queue.read().await.map(|reading| reading.value), Ok(f64::from(work)));
    }
}
