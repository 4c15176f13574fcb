//! When tracking cannot be had: keyspace notifications where they are on already, else a look by the clock; over
//! old protocols, through proxies, and for users without the right.

use std::{sync::Arc, time::Duration};

use futures::future::join_all;
use plimsoll::backend::Source;
use tokio::time::Instant;

use super::{
    fixtures::{
        Pairs, Plimsoll, Writer, eventually, list_at, sleeps, source, unique, until_active, value, variable, wakes,
    },
    relay::Relay,
    server::Server,
};

const PUSH: Duration = Duration::from_secs(3);

/// Keys may only be read, and connections may not be told of changes.
const UNTOLD: &str = "user untold on >secret ~* -@all +llen +type +ping";
const UNTRACKED: &str = "user untracked on >secret ~* &__keyspace@* -@all +llen +type +ping +config|get +subscribe";

fn as_user(server: &Server, user: &str, more: Pairs<'_>) -> Arc<dyn Source> {
    let login: [(&str, &str); 4] =
        [("address", &server.address()), ("listName", "q"), ("username", user), ("password", "secret")];
    source("redis", &[&login, more])
}

async fn channels(writer: &mut Writer) -> Vec<String> {
    writer.run("PUBSUB CHANNELS __keyspace*q").await
}

/// Looked at by the clock: the server sees reads that no write called for.
async fn is_looked_at(list: &Arc<dyn Source>, server: &Server, every: Duration) {
    let mut writer = server.writer().await;
    value(list).await;
    let (before, start) = (writer.calls("llen").await, Instant::now());
    for _ in 0..5 {
        wakes(list, PUSH).await;
        assert_eq!(value(list).await, 0.0);
    }
    let (looks, time) = (writer.calls("llen").await - before, start.elapsed());
    assert_eq!(looks, 5);
    // The first may come at once, the others in step.
    assert!(time >= every * 4, "{looks} looks in {time:?}");
    writer.does("RPUSH q a").await;
    until_active(list, PUSH).await;
}

/// Told by notifications: nothing happens until there is one.
async fn is_notified(list: &Arc<dyn Source>, server: &Server) {
    let mut writer = server.writer().await;
    assert_eq!(value(list).await, 0.0);
    // Once when listening has begun.
    wakes(list, PUSH).await;
    assert_eq!(value(list).await, 0.0);
    assert_eq!(channels(&mut writer).await, ["__keyspace@0__:q"]);
    let before = writer.calls("llen").await;
    sleeps(list, Duration::from_secs(1)).await;
    writer.does("RPUSH q a").await;
    wakes(list, PUSH).await;
    assert_eq!((value(list).await, writer.calls("llen").await - before), (1.0, 1));
}

#[tokio::test]
async fn a_user_without_the_right_to_track_is_served_by_the_clock() {
    let server = Server::start(&[UNTOLD]).await;
    is_looked_at(&as_user(&server, "untold", &[]), &server, Duration::from_millis(100)).await;
}

#[tokio::test]
async fn looks_by_the_clock_come_together() {
    let server = Server::start(&[UNTOLD]).await;
    let relay = Relay::to(&server.address()).await;
    let plimsoll = Plimsoll::new();
    let login = [("address", relay.address()), ("username", "untold"), ("password", "secret")];
    let lists: Vec<_> =
        (0..300).map(|n| plimsoll.source("redis", &[&login, &[("listName", &format!("q-{n}"))]])).collect();
    join_all(lists.iter().map(value)).await;
    let (before, start) = (relay.round_trips(), Instant::now());
    let looking = lists.iter().map(async |list| {
        for _ in 0..10 {
            list.wake().await;
            value(list).await;
        }
    });
    join_all(looking).await;
    // Ten looks of each, so ten batches; some keys may fall behind by a tick, and there is a beat.
    let (trips, ticks) = (relay.round_trips() - before, start.elapsed().as_millis() / 100);
    assert!(trips as u128 <= 2 * ticks + 5, "{trips} round trips in {ticks} ticks");
}

#[tokio::test]
async fn the_interval_of_idle_looks_can_be_chosen() {
    let server = Server::start(&[UNTOLD]).await;
    let list = as_user(&server, "untold", &[("idlePollingInterval", "300ms")]);
    is_looked_at(&list, &server, Duration::from_millis(300)).await;
}

#[tokio::test]
async fn a_user_without_the_right_to_track_is_served_by_notifications_that_are_on() {
    let server = Server::start(&[UNTRACKED, "notify-keyspace-events KEA"]).await;
    is_notified(&as_user(&server, "untracked", &[]), &server).await;
}

#[tokio::test]
async fn notifications_that_leave_out_what_may_come_are_not_relied_on() {
    // Lists only: a sorted set could come under this name.
    let server = Server::start(&[UNTRACKED, "notify-keyspace-events Kl"]).await;
    is_looked_at(&as_user(&server, "untracked", &[]), &server, Duration::from_millis(100)).await;
    let setting: Vec<String> = server.writer().await.run("CONFIG GET notify-keyspace-events").await;
    assert_eq!(setting[1], "lK", "the server's settings are not ours to change");
}

#[tokio::test]
async fn a_server_without_hello_is_spoken_to_as_of_old() {
    let server = Server::start(&["rename-command HELLO \"\""]).await;
    let list = list_at(&server.address(), "q");
    is_looked_at(&list, &server, Duration::from_millis(100)).await;
}

#[tokio::test]
async fn a_server_without_hello_can_still_notify() {
    let server = Server::start(&["rename-command HELLO \"\"", "notify-keyspace-events KEA"]).await;
    is_notified(&list_at(&server.address(), "q"), &server).await;
}

#[tokio::test]
async fn a_server_without_hello_takes_logins_and_databases_of_old() {
    let server = Server::start(&["rename-command HELLO \"\"", "user u on >secret ~* +@all", "requirepass main"]).await;
    let address = server.address();
    let with = |more: Pairs<'_>| source("redis", &[&[("address", &address), ("listName", "q")], more]);
    let mut writer = Writer::new(&format!(":main@{address}")).await;
    writer.does("SELECT 2").await;
    writer.does("RPUSH q a b").await;
    for login in [&[("password", "main")] as Pairs<'_>, &[("username", "u"), ("password", "secret")]] {
        assert_eq!(value(&with(&[login, &[("databaseIndex", "2")]].concat())).await, 2.0);
    }
    use plimsoll::error::ReadErrorKind::Denied;
    let wrong = super::fixtures::fails(&with(&[("password", "s3cret")]), Denied, &["`username` and `password`"]).await;
    assert!(!wrong.to_string().contains("s3cret"), "{wrong}");
    super::fixtures::fails(&with(&[]), Denied, &["give `username` and `password`"]).await;
}

#[tokio::test]
async fn notifications_that_break_off_come_back() {
    let server = Server::start(&[UNTRACKED, "notify-keyspace-events KEA"]).await;
    let list = as_user(&server, "untracked", &[]);
    is_notified(&list, &server).await;
    let mut writer = server.writer().await;
    writer.does("DEL q").await;
    until_idle(&list).await;
    writer.does("CLIENT KILL TYPE pubsub").await;
    eventually(PUSH, 0, || {
        let mut writer = writer.clone();
        async move { channels(&mut writer).await.len() }
    })
    .await;
    // Written while nobody listens.
    writer.does("RPUSH q a").await;
    until_active(&list, Duration::from_secs(10)).await;
}

async fn until_idle(list: &Arc<dyn Source>) {
    eventually(PUSH, 0.0, async || value(list).await).await;
}

#[tokio::test]
async fn the_shared_servers_users_are_served_as_they_can_be() {
    let address = variable("PLIMSOLL_TEST_REDIS");
    let mut writer = Writer::new(&address).await;
    for user in ["reader", "notracking"] {
        let (key, password) = (unique("user"), format!("{user}-secret"));
        let login: [(&str, &str); 4] =
            [("address", &address), ("listName", &key), ("username", user), ("password", &password)];
        let list = source("redis", &[&login]);
        assert_eq!(value(&list).await, 0.0);
        writer.does(&format!("RPUSH {key} a")).await;
        until_active(&list, PUSH).await;
        writer.does(&format!("DEL {key}")).await;
    }
}
