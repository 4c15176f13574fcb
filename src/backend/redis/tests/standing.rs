//! A number that stands: what was armed and has not rung is not asked for again, one sign of life of the connection does for all.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

use super::fake::{Fake, Say, decent, list_at, say, source};
use crate::{backend::Source, net::Reach};

/// A server whose list has `length` elements, and which has news of it with its next sign of life when `news` is not 0.
async fn server() -> (Fake, Arc<AtomicU64>, Arc<AtomicU64>) {
    let (length, news) = (Arc::new(AtomicU64::new(3)), Arc::new(AtomicU64::new(0)));
    let (of_list, of_news) = (Arc::clone(&length), Arc::clone(&news));
    let fake = Fake::new(move |heard| match heard[0].as_str() {
        "LLEN" => Say::Bytes(format!(":{}\r\n", of_list.load(Ordering::Relaxed)).into_bytes()),
        "PING" if of_news.swap(0, Ordering::Relaxed) > 0 => {
            say(">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nq\r\n+PONG\r\n")
        }
        _ => decent(heard),
    })
    .await;
    (fake, length, news)
}

async fn value(source: &Arc<dyn Source>) -> f64 {
    source.read().await.expect("it answers").value
}

#[tokio::test]
async fn what_has_not_rung_is_not_asked_for_again_and_what_has_is() {
    let (fake, length, news) = server().await;
    let list = list_at(&fake);
    // The first look stands for a random part of its time: as long as that is not over, nothing is asked.
    for _ in 0..100 {
        assert_eq!(value(&list).await, 3.0);
    }
    assert!(fake.how_often("LLEN") <= 2, "{}", fake.how_often("LLEN"));
    // The news comes with the sign of life, and the next look is one of now.
    length.store(4, Ordering::Relaxed);
    news.store(1, Ordering::Relaxed);
    assert_eq!(value(&list).await, 4.0);
}

#[tokio::test]
async fn what_nobody_tells_of_is_asked_for_each_time() {
    let (fake, ..) = server().await;
    let pairs =
        [("address", fake.address.as_str()), ("stream", "q"), ("consumerGroup", "g"), ("pendingEntriesCount", "5")];
    let pending = source("redis-streams", &pairs, &Reach::open());
    for _ in 0..5 {
        assert_eq!(value(&pending).await, 0.0);
    }
    assert_eq!(fake.how_often("XPENDING"), 5);
}

#[tokio::test]
async fn a_connection_that_does_not_let_us_track_is_asked_each_time() {
    let fake = Fake::new(|heard| match heard[0].as_str() {
        "CLIENT" if heard.iter().any(|word| word.eq_ignore_ascii_case("tracking")) => {
            say("-ERR unknown subcommand\r\n")
        }
        _ => decent(heard),
    })
    .await;
    let list = list_at(&fake);
    for _ in 0..5 {
        assert_eq!(value(&list).await, 0.0);
    }
    assert_eq!(fake.how_often("LLEN"), 5);
}

#[tokio::test]
async fn a_server_that_falls_silent_is_not_believed_for_longer_than_a_beat() {
    let silent = Arc::new(AtomicU64::new(0));
    let is_silent = Arc::clone(&silent);
    let fake = Fake::new(move |heard| match is_silent.load(Ordering::Relaxed) {
        0 => decent(heard),
        _ => say(""),
    })
    .await;
    let list = list_at(&fake);
    assert_eq!(value(&list).await, 0.0);
    silent.store(1, Ordering::Relaxed);
    let begin = Instant::now();
    let error = loop {
        match list.read().await {
            Ok(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            Err(error) => break error,
        }
    };
    assert!(begin.elapsed() < Duration::from_secs(8), "{:?}: {error}", begin.elapsed());
}

#[tokio::test]
async fn the_parts_of_a_count_are_what_was_asked() {
    let (fake, length, news) = server().await;
    let list = list_at(&fake);
    assert!(list.parts().is_none(), "nothing was read");
    for expected in [3.0, 5.0] {
        assert_eq!(value(&list).await, expected);
        let parts = list.parts().expect("it was read");
        assert_eq!(
            (parts.of.value, &parts.rows[0][..3]),
            (expected, &["LLEN".into(), "q".into(), expected.into()][..])
        );
        length.store(5, Ordering::Relaxed);
        news.store(1, Ordering::Relaxed);
    }
}
