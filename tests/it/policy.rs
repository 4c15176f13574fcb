//! Who may reach what is part of what identifies a trigger, and a policy that changes changes what is observed.

use std::{collections::HashMap, time::Duration};

use futures::StreamExt;
use plimsoll::{
    net::{Policy, Reach, Rules, Table},
    object::ObjectRef,
    sampler::Settings,
};
use tokio::time::{sleep, timeout};

use crate::{
    emulator::Keda,
    grpc::Pipe,
    scripted::{Act, trigger},
};

const SECOND: Duration = Duration::from_secs(1);

fn closed() -> Reach {
    Reach::new(Rules::default())
}

fn only(namespace: &str, reach: Reach) -> Table {
    Table { others: Reach::open(), namespaces: HashMap::from([(namespace.to_owned(), reach)]) }
}

fn object(namespace: &str) -> ObjectRef<&str> {
    ObjectRef { namespace, name: "orders" }
}

async fn pipe(table: Table) -> (Pipe, Policy) {
    let policy = Policy::new(table);
    (Pipe::over(Settings { policy: policy.clone(), ..Settings::default() }).await, policy)
}

#[tokio::test(start_paused = true)]
async fn namespaces_that_may_reach_the_same_share_and_others_do_not() {
    let (pipe, _) = pipe(only("locked", closed())).await;
    let metadata = trigger(&[("queue", "a")]);
    for namespace in ["shop", "bank", "locked", "shop"] {
        pipe.sampler.sample(object(namespace), &metadata).await.unwrap();
    }
    let rows = pipe.sampler.triggers();
    let owners: Vec<_> = rows.iter().map(|row| row.scaled_objects.clone()).collect();
    assert_eq!(owners, [vec!["bank/orders".to_owned(), "shop/orders".to_owned()], vec!["locked/orders".to_owned()]]);
    assert_eq!(pipe.world.queue("a").reads().len(), 2);
    sleep(700 * SECOND).await;
    assert!(pipe.sampler.triggers().is_empty(), "each is forgotten by itself");
}

#[tokio::test(start_paused = true)]
async fn a_new_policy_ends_the_streams_of_whom_it_concerns_and_closes_their_clients() {
    let (pipe, policy) = pipe(only("nobody", closed())).await;
    pipe.world.queue("a").set(Act::Value(1.0));
    let channel = pipe.channel().await;
    let metadata = [("scalerType", "scripted"), ("queue", "a"), ("push", "once")];
    let mut concerned = Keda::new(channel.clone(), "orders", &metadata);
    let mut stream = concerned.stream().await.unwrap();
    assert!(stream.next().await.unwrap().unwrap().result);
    // The same rules anew concern nobody.
    policy.replace(only("nobody", closed()));
    assert!(timeout(60 * SECOND, stream.next()).await.is_err());
    policy.replace(only("shop", closed()));
    assert!(timeout(SECOND, stream.next()).await.unwrap().is_none(), "with OK: KEDA comes back after 2 s");
    assert!(pipe.sampler.triggers().is_empty());
    drop(stream);
    sleep(SECOND).await;
    assert_eq!(pipe.world.live_clients(), 0);
    let mut again = concerned.stream().await.unwrap();
    assert!(again.next().await.unwrap().unwrap().result);
    assert_eq!(concerned.poll().await.unwrap().value.metric_value, 1);
    assert_eq!(pipe.sampler.triggers().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_question_that_waits_while_the_policy_changes_is_not_answered_by_the_old_one() {
    let (pipe, policy) = pipe(only("nobody", closed())).await;
    pipe.world.queue("a").set(Act::Slow(3 * SECOND, 7.0));
    let metadata = trigger(&[("queue", "a")]);
    let change = async {
        sleep(SECOND).await;
        policy.replace(only("shop", closed()));
    };
    let (asked, ()) = tokio::join!(pipe.sampler.sample(object("shop"), &metadata), change);
    assert!(asked.unwrap_err().to_string().ends_with("ask again"));
    pipe.sampler.sample(object("shop"), &metadata).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_silent_stream_of_a_refused_trigger_ends_when_the_policy_changes() {
    let (pipe, policy) = pipe(only("nobody", closed())).await;
    let mut stream = Keda::new(pipe.channel().await, "orders", &[("scalerType", "scripted")]).stream().await.unwrap();
    assert!(timeout(60 * SECOND, stream.next()).await.is_err());
    policy.replace(only("nobody", Reach::open()));
    assert!(timeout(SECOND, stream.next()).await.unwrap().is_none());
}
