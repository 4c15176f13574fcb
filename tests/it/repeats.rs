//! What is owed to KEDA beyond the first push: repeats until its own polls have heard, and no more.

use std::time::Duration;

use futures::{StreamExt, future::join_all};
use plimsoll::grpc::{Transport, externalscaler::IsActiveResponse};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tonic::Streaming;

use crate::{
    emulator::Keda,
    grpc::Pipe,
    scripted::{Act, World, down},
};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// A server whose streams do not age.
async fn ageless() -> Pipe {
    Pipe::with(Transport { connection_age: None, stream_age: None, encrypted: false }).await
}

/// One ScaledObject, with its stream and its polls.
struct Object {
    keda: Keda,
    stream: Streaming<IsActiveResponse>,
    last_poll: Instant,
}

impl Object {
    async fn new(pipe: &Pipe, name: &str, pairs: &[(&str, &str)]) -> Self {
        let mut metadata = vec![("scalerType", "scripted"), ("queue", "a")];
        metadata.extend_from_slice(pairs);
        let mut keda = Keda::new(pipe.channel().await, name, &metadata);
        let stream = keda.stream().await.unwrap();
        Self { keda, stream, last_poll: Instant::now() }
    }

    /// When something is said within `time`, in seconds from now, while it is polled every `pace` if at all.
    async fn listen(&mut self, time: Duration, pace: Option<Duration>) -> Vec<u64> {
        let (start, keda, last_poll) = (Instant::now(), &mut self.keda, &mut self.last_poll);
        let polls = async {
            let Some(pace) = pace else { return std::future::pending().await };
            loop {
                sleep_until(*last_poll + pace).await;
                *last_poll = Instant::now();
                keda.poll().await.ok();
            }
        };
        let mut said = Vec::new();
        let words = async {
            while let Some(Ok(word)) = self.stream.next().await {
                assert!(word.result, "never false");
                said.push((start.elapsed() + SECOND / 2).as_secs());
            }
        };
        tokio::select! {
            () = polls => {}
            () = words => {}
            () = sleep(time) => {}
        }
        said
    }
}

fn rise(world: &World) {
    world.queue("a").set(Act::Value(1.0));
    world.queue("a").signal();
}

async fn fall(world: &World) {
    world.queue("a").set(Act::Value(0.0));
    sleep(6 * SECOND).await;
}

#[tokio::test(start_paused = true)]
async fn what_kedas_polls_have_heard_is_not_said_again() {
    let pipe = ageless().await;
    let mut object = Object::new(&pipe, "orders", &[]).await;
    for pace in [30 * SECOND, 7 * SECOND, 2 * MINUTE] {
        assert!(object.listen(10 * MINUTE, Some(pace)).await.is_empty(), "idle");
        rise(&pipe.world);
        assert_eq!(object.listen(10 * SECOND, Some(pace)).await, [0, 1, 5], "{pace:?}");
        let until_polled = object.listen(pace, Some(pace)).await;
        assert!(until_polled.len() as u64 <= pace.as_secs() / 30, "{pace:?}: {until_polled:?}");
        assert!(object.listen(30 * MINUTE, Some(pace)).await.is_empty(), "{pace:?}");
        fall(&pipe.world).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_push_that_keda_dropped_while_it_scaled_to_zero_is_healed_a_second_later() {
    let pipe = ageless().await;
    let mut object = Object::new(&pipe, "orders", &[]).await;
    object.listen(5 * MINUTE, Some(30 * SECOND)).await;
    // This poll makes KEDA scale to zero; what is pushed meanwhile it drops, and it polls again 30 s later only.
    assert!(!object.keda.poll().await.unwrap().active);
    rise(&pipe.world);
    let dropped = object.stream.next().await.unwrap().unwrap();
    assert!(dropped.result);
    assert_eq!(object.listen(25 * SECOND, None).await, [1, 5]);
}

#[tokio::test(start_paused = true)]
async fn a_trigger_that_nobody_polls_goes_on_hearing_of_its_activity() {
    let pipe = ageless().await;
    let mut object = Object::new(&pipe, "orders", &[]).await;
    rise(&pipe.world);
    let said = object.listen(10 * MINUTE, None).await;
    assert_eq!(said[..3], [0, 1, 5]);
    assert!(said.len() > 16, "{said:?}");
    assert!(said[2..].windows(2).all(|pair| (30..=37).contains(&(pair[1] - pair[0]))), "no closer than 30 s: {said:?}");
}

#[tokio::test(start_paused = true)]
async fn polls_before_the_rise_and_values_without_activity_are_no_hearing() {
    let pipe = ageless().await;
    let mut object = Object::new(&pipe, "orders", &[]).await;
    object.listen(10 * MINUTE, Some(30 * SECOND)).await;
    rise(&pipe.world);
    let mut hpa = object.keda.clone();
    let values = async {
        loop {
            sleep(15 * SECOND).await;
            hpa.value("scripted-a", None).await.unwrap();
        }
    };
    let said = tokio::select! {
        said = object.listen(3 * MINUTE, None) => said,
        () = values => unreachable!(),
    };
    assert!(said.len() >= 7, "{said:?}");
}

#[tokio::test(start_paused = true)]
async fn when_polls_cease_it_is_said_again() {
    let pipe = ageless().await;
    let mut object = Object::new(&pipe, "orders", &[]).await;
    rise(&pipe.world);
    object.listen(20 * MINUTE, Some(30 * SECOND)).await;
    let said = object.listen(5 * MINUTE, None).await;
    assert!((30..=60).contains(&said[0]), "after two of its paces: {said:?}");
    assert!(said.len() >= 6, "{said:?}");
    // And silence again when they come back.
    object.listen(31 * SECOND, Some(30 * SECOND)).await;
    assert!(object.listen(10 * MINUTE, Some(30 * SECOND)).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_polls_of_one_object_do_not_silence_another_with_the_same_trigger() {
    let pipe = ageless().await;
    let mut polled = Object::new(&pipe, "polled", &[]).await;
    let mut alone = Object::new(&pipe, "alone", &[]).await;
    rise(&pipe.world);
    let (heard, unheard) = tokio::join!(polled.listen(10 * MINUTE, Some(30 * SECOND)), alone.listen(10 * MINUTE, None));
    assert_eq!(heard, [0, 1, 5]);
    assert!(unheard.len() > 16, "{unheard:?}");
    assert_eq!(pipe.sampler.triggers().len(), 1, "they share one sample");
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_was_away_is_no_rise_of_what_was_active_before() {
    let pipe = ageless().await;
    let mut object = Object::new(&pipe, "orders", &[]).await;
    rise(&pipe.world);
    object.listen(5 * MINUTE, Some(30 * SECOND)).await;
    pipe.world.queue("a").set(down());
    assert!(object.listen(3 * MINUTE, Some(30 * SECOND)).await.is_empty());
    pipe.world.queue("a").set(Act::Value(1.0));
    assert!(object.listen(10 * MINUTE, Some(30 * SECOND)).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_has_aged_is_followed_by_one_that_knows_what_was_said() {
    let transport = Transport { connection_age: None, stream_age: Some(20 * MINUTE), encrypted: false };
    let pipe = Pipe::with(transport).await;
    let mut object = Object::new(&pipe, "orders", &[]).await;
    rise(&pipe.world);
    assert_eq!(object.listen(26 * MINUTE, Some(30 * SECOND)).await, [0, 1, 5]);
    sleep(2 * SECOND).await;
    object.stream = object.keda.stream().await.unwrap();
    assert!(object.listen(10 * MINUTE, Some(30 * SECOND)).await.is_empty(), "nothing has changed");
    // A stream of somebody who was not there hears it at once, and once is enough: its polls have heard.
    object.stream = object.keda.stream().await.unwrap();
    assert_eq!(object.listen(10 * MINUTE, Some(30 * SECOND)).await, [0]);
}

#[tokio::test(start_paused = true)]
async fn push_once_says_each_rise_once() {
    let pipe = ageless().await;
    let mut object = Object::new(&pipe, "orders", &[("push", "once")]).await;
    for _ in 0..3 {
        rise(&pipe.world);
        assert_eq!(object.listen(10 * MINUTE, None).await, [0]);
        fall(&pipe.world).await;
    }
    // A stream that opens on what its polls have heard has nothing to say either.
    rise(&pipe.world);
    assert_eq!(object.listen(MINUTE, Some(30 * SECOND)).await, [0]);
    object.stream = object.keda.stream().await.unwrap();
    assert!(object.listen(10 * MINUTE, Some(30 * SECOND)).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn push_false_leaves_it_to_the_polls_and_costs_no_looks_of_its_own() {
    let pipe = ageless().await;
    let mut object = Object::new(&pipe, "orders", &[("push", "false")]).await;
    rise(&pipe.world);
    assert!(object.listen(MINUTE, None).await.is_empty());
    let looks = pipe.world.queue("a").reads().len();
    assert!(object.listen(30 * MINUTE, None).await.is_empty());
    assert_eq!(pipe.world.queue("a").reads().len(), looks, "nobody asks");
    assert!(object.keda.poll().await.unwrap().active);
    assert!(timeout(MINUTE, object.stream.next()).await.is_err(), "the stream stays open");
}

#[tokio::test(start_paused = true)]
async fn a_word_that_push_does_not_know_is_named() {
    let pipe = ageless().await;
    let metadata = [("scalerType", "scripted"), ("queue", "a"), ("push", "never")];
    let status = Keda::new(pipe.channel().await, "orders", &metadata).active().await.unwrap_err();
    assert_eq!(status.message(), "`push` must be one of `true`, `once`, `false`");
}

#[tokio::test(start_paused = true)]
async fn a_thousand_active_triggers_polled_every_30_seconds_cost_no_more_than_5_pushes_a_minute() {
    let pipe = ageless().await;
    let (channel, start) = (pipe.channel().await, Instant::now());
    let names: Vec<String> = (0..1000).map(|n| format!("q{n}")).collect();
    let objects = names.iter().map(|name| {
        pipe.world.queue(name).set(Act::Value(1.0));
        let mut keda = Keda::new(channel.clone(), name, &[("scalerType", "scripted"), ("queue", name)]);
        async move {
            let mut stream = keda.stream().await.unwrap();
            let mut said = Vec::new();
            for tick in 1..=5 {
                let next = start + tick * 30 * SECOND;
                while let Ok(Some(Ok(_))) = tokio::time::timeout_at(next, stream.next()).await {
                    said.push(start.elapsed());
                }
                sleep_until(next).await;
                assert!(keda.poll().await.unwrap().active);
            }
            said
        }
    });
    let said: Vec<Duration> = join_all(objects).await.into_iter().flatten().collect();
    assert!(said.len() >= 3000, "at once, after 1 s and after 5 s: {}", said.len());
    let later = said.iter().filter(|at| **at > 10 * SECOND).count();
    assert!(later <= 10, "{later} pushes in the two minutes after");
}
