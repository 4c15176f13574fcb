//! Logins and rights: what is enough, and what an operator is told when it is not.

use std::{sync::Arc, time::Duration};

use plimsoll::{backend::Source, error::ReadErrorKind::Denied};

use super::{
    fixtures::{Pairs, fails, source, value, variable, wakes},
    server::Server,
};

fn list(address: &str, more: Pairs<'_>) -> Arc<dyn Source> {
    source("redis", &[&[("address", address), ("listName", "q")], more])
}

/// The lines of `docs/backends/redis.md` that make a user, as they stand there.
fn documented_users() -> Vec<String> {
    let page = include_str!("../../../docs/backends/redis.md");
    page.lines().filter(|line| line.starts_with("ACL SETUSER ")).map(str::to_owned).collect()
}

#[tokio::test]
async fn the_documented_rights_are_enough_for_everything() {
    let server = Server::start(&[]).await;
    let (mut writer, address) = (server.writer().await, server.address());
    writer.does(&documented_users()[0]).await;
    writer.does("SELECT 1").await;
    let reader =
        [("address", address.as_str()), ("username", "plimsoll"), ("password", "change-me"), ("databaseIndex", "1")];
    for write in ["RPUSH orders a", "SADD orders a", "ZADD orders 1 a", "HSET orders a 1"] {
        writer.does(write).await;
        let list = source("redis", &[&reader, &[("listName", "orders")]]);
        assert_eq!(value(&list).await, 1.0, "{write}");
        writer.does("DEL orders").await;
        wakes(&list, Duration::from_secs(3)).await;
    }
    for n in 1..=3 {
        writer.does(&format!("XADD orders {n}-1 a b")).await;
    }
    writer.does("XGROUP CREATE orders start 0").await;
    writer.does("XREADGROUP GROUP start me COUNT 1 STREAMS orders >").await;
    writer.does("XDEL orders 2-1").await;
    writer.does("XGROUP CREATE orders middle 2-0").await;
    for (mode, expected) in [
        (&[] as Pairs<'_>, 2.0),
        (&[("consumerGroup", "start")], 1.0),
        // The lag of both is not known to Redis, and that of the third is the whole stream.
        (&[("consumerGroup", "start"), ("lagCount", "1")], 2.0),
        (&[("consumerGroup", "middle"), ("lagCount", "1")], 1.0),
        (&[("consumerGroup", "other"), ("lagCount", "1")], 2.0),
    ] {
        let stream = source("redis-streams", &[&reader, &[("stream", "orders")], mode]);
        assert_eq!(value(&stream).await, expected, "{mode:?}");
    }
    let denied: Vec<redis::Value> = writer.run("ACL LOG").await;
    assert_eq!(denied, [], "nothing was asked for that was denied");
}

#[tokio::test]
async fn the_documented_rights_are_enough_at_a_sentinel() {
    let master = Server::start(&[]).await;
    let monitor = format!("sentinel monitor m 127.0.0.1 {} 1", master.port());
    let sentinel = Server::start_sentinel(&[&monitor]).await;
    let mut writer = sentinel.writer().await;
    writer.does(&documented_users()[1]).await;
    let address = sentinel.address();
    let login = [("sentinelUsername", "plimsoll"), ("sentinelPassword", "change-me")];
    let reach = [("address", address.as_str()), ("sentinelMaster", "m"), ("listName", "q")];
    assert_eq!(value(&source("redis-sentinel", &[&reach, &login])).await, 0.0);
    let denied: Vec<redis::Value> = writer.run("ACL LOG").await;
    assert_eq!(denied, [], "nothing was asked for that was denied");
}

#[tokio::test]
async fn a_missing_right_is_named_and_is_the_triggers_own_trouble() {
    let address = variable("PLIMSOLL_TEST_REDIS");
    let nothing = list(&address, &[("username", "nothing"), ("password", "nothing-secret")]);
    let error = fails(&nothing, Denied, &["`LLEN`", "`q`", "`+llen ~q`"]).await;
    assert!(!error.whole_connection);
    let server = Server::start(&["user u on >secret ~mine +@all"]).await;
    let foreign = list(&server.address(), &[("username", "u"), ("password", "secret")]);
    fails(&foreign, Denied, &["`+llen ~q`"]).await;
}

#[tokio::test]
async fn a_lag_that_must_be_counted_needs_rights_of_its_own() {
    let server = Server::start(&["user u on >secret ~* -@all +xinfo|groups +xlen +client|tracking"]).await;
    let mut writer = server.writer().await;
    writer.does("XADD s 1-1 a b").await;
    writer.does("XADD s 2-1 a b").await;
    writer.does("XADD s 3-1 a b").await;
    writer.does("XGROUP CREATE s middle 2-1").await;
    writer.does("XGROUP CREATE s start 0").await;
    writer.does("XREADGROUP GROUP start me COUNT 1 STREAMS s >").await;
    writer.does("XDEL s 2-1").await;
    for (group, right) in [("middle", "+xrange ~s"), ("start", "+xinfo|stream ~s")] {
        let address = server.address();
        let login = [("username", "u"), ("password", "secret"), ("lagCount", "1"), ("consumerGroup", group)];
        let stream = source("redis-streams", &[&[("address", &address), ("stream", "s")], &login]);
        fails(&stream, Denied, &[right]).await;
    }
}

#[tokio::test]
async fn a_refused_login_concerns_the_connection_and_shows_no_secret() {
    let server = Server::start(&["requirepass right", "user u on >secret ~* +@all"]).await;
    let address = server.address();
    for (login, cure) in [
        (&[("password", "s3cret")] as Pairs<'_>, "correct `username` and `password`"),
        (&[("username", "u"), ("password", "s3cret")], "correct `username` and `password`"),
        (&[("username", "nobody"), ("password", "s3cret")], "correct `username` and `password`"),
        (&[], "give `username` and `password`"),
        // Without a password nobody logs in, as in KEDA.
        (&[("username", "u")], "give `username` and `password`"),
    ] {
        let error = fails(&list(&address, login), Denied, &[cure, &address]).await;
        assert!(error.whole_connection && !error.to_string().contains("s3cret"), "{error}");
    }
    for login in [&[("password", "right")] as Pairs<'_>, &[("username", "u"), ("password", "secret")]] {
        assert_eq!(value(&list(&address, login)).await, 0.0);
    }
}

#[tokio::test]
async fn a_database_needs_its_right() {
    let server = Server::start(&["user u on >secret ~* -@all +llen"]).await;
    let login = [("username", "u"), ("password", "secret"), ("databaseIndex", "1")];
    fails(&list(&server.address(), &login), Denied, &["+select", "databaseIndex"]).await;
}
