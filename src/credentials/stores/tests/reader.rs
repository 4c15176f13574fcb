//! How long what a store said is kept, with time paused.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use futures::future::join_all;
use parking_lot::Mutex;
use tokio::time::{advance, sleep};

use super::*;

type Script = Result<&'static str, ReadErrorKind>;

/// Says what it is told to say: a text, "" for a value that is not there, or an error.
struct Told {
    says: Arc<Mutex<Script>>,
    asked: Arc<AtomicUsize>,
}

#[async_trait]
impl Source for Told {
    async fn read(&self, _: bool) -> Result<Answer, ReadError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        sleep(Duration::from_millis(100)).await;
        let text = (*self.says.lock()).map_err(|kind| ReadError::new(kind, format!("it is {kind}")))?;
        let value = if text.is_empty() { Err("not there".to_owned()) } else { Ok(Zeroizing::new(text.into())) };
        Ok(Answer { values: vec![value], holds: Duration::from_secs(300) })
    }
}

struct Bench {
    reader: Reader,
    says: Arc<Mutex<Script>>,
    asked: Arc<AtomicUsize>,
}

fn bench() -> Bench {
    let (says, asked) = (Arc::new(Mutex::new(Ok("one"))), Arc::default());
    let source = Told { says: Arc::clone(&says), asked: Arc::clone(&asked) };
    Bench { reader: Reader::new("store", Ok(Box::new(source))), says, asked }
}

impl Bench {
    async fn reads(&self) -> Result<String, ReadErrorKind> {
        let seen = self.reader.read().await.map_err(|error| error.kind)?;
        Ok(seen.answer.values[0].as_ref().map_or(String::new(), |value| String::from_utf8_lossy(value).into_owned()))
    }

    fn say(&self, says: Script) {
        *self.says.lock() = says;
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

#[tokio::test(start_paused = true)]
async fn however_many_ask_a_store_is_asked_once_in_five_minutes() {
    let bench = bench();
    let all = join_all((0..50).map(|_| bench.reads())).await;
    assert!(all.into_iter().all(|read| read.as_deref() == Ok("one")));
    advance(secs(299)).await;
    bench.say(Ok("two"));
    assert_eq!((bench.reads().await.as_deref(), bench.asked()), (Ok("one"), 1));
    advance(secs(20)).await;
    assert_eq!((bench.reads().await.as_deref(), bench.asked()), (Ok("two"), 2));
}

#[tokio::test(start_paused = true)]
async fn while_a_store_is_away_the_last_answer_serves_for_an_hour_and_more() {
    use ReadErrorKind::{BadReply, Internal, Throttled, Timeout, Unreachable};
    for kind in [Unreachable, Timeout, Throttled, BadReply, Internal] {
        let bench = bench();
        assert_eq!(bench.reads().await.as_deref(), Ok("one"));
        bench.say(Err(kind));
        advance(secs(320)).await;
        for _ in 0..360 {
            assert_eq!(bench.reads().await.as_deref(), Ok("one"), "{kind}");
            advance(secs(10)).await;
        }
        let seen = bench.reader.read().await.unwrap();
        let (since, why) = seen.away.expect("it is away");
        assert!(since.elapsed() > secs(3600) && why == format!("it is {kind}"), "{why}");
        assert!(bench.asked() <= 362, "{} questions", bench.asked());
        bench.say(Ok("two"));
        advance(secs(10)).await;
        assert_eq!(bench.reads().await.as_deref(), Ok("two"));
        assert!(bench.reader.read().await.unwrap().away.is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn a_no_against_a_good_answer_is_believed_at_the_second_time_only() {
    for (no, then) in [(Err(ReadErrorKind::Denied), Err(ReadErrorKind::Denied)), (Ok(""), Ok(String::new()))] {
        let bench = bench();
        bench.reads().await.unwrap();
        bench.say(no);
        advance(secs(320)).await;
        assert_eq!(bench.reads().await.as_deref(), Ok("one"));
        bench.say(Ok("two"));
        advance(secs(3)).await;
        assert_eq!(bench.reads().await.as_deref(), Ok("two"), "it was none");
        bench.say(no);
        advance(secs(320)).await;
        assert_eq!(bench.reads().await.as_deref(), Ok("two"));
        advance(secs(3)).await;
        assert_eq!(bench.reads().await, then);
        bench.say(Ok("three"));
        advance(secs(320)).await;
        assert_eq!(bench.reads().await.as_deref(), Ok("three"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_login_asks_at_once_and_at_most_every_five_seconds() {
    let bench = bench();
    bench.reads().await.unwrap();
    bench.say(Ok("two"));
    bench.reader.forget();
    assert_eq!(bench.reads().await.as_deref(), Ok("two"));
    for _ in 0..100 {
        bench.reader.forget();
        bench.reads().await.unwrap();
        advance(Duration::from_millis(100)).await;
    }
    assert!(bench.asked() <= 6, "{} questions", bench.asked());
}

#[tokio::test(start_paused = true)]
async fn what_was_never_read_is_an_error_and_is_tried_again_after_three_seconds() {
    let bench = bench();
    bench.say(Err(ReadErrorKind::Unreachable));
    for _ in 0..30 {
        assert_eq!(bench.reads().await, Err(ReadErrorKind::Unreachable));
        advance(Duration::from_millis(100)).await;
    }
    assert!(bench.asked() <= 2, "{} questions", bench.asked());
    bench.say(Ok("one"));
    advance(secs(3)).await;
    assert_eq!(bench.reads().await.as_deref(), Ok("one"));
}

#[tokio::test(start_paused = true)]
async fn what_is_missing_is_looked_for_every_half_minute_and_not_more_often() {
    let bench = bench();
    bench.say(Ok(""));
    assert_eq!((bench.reads().await.as_deref(), bench.asked()), (Ok(""), 1));
    bench.say(Ok("one"));
    advance(secs(29)).await;
    assert_eq!((bench.reads().await.as_deref(), bench.asked()), (Ok(""), 1));
    advance(secs(4)).await;
    assert_eq!((bench.reads().await.as_deref(), bench.asked()), (Ok("one"), 2));
}
