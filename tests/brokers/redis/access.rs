//! Logins and rights: what is enough, and what an operator is told when it is not.

use std::sync::Arc;

use plimsoll::{backend::Source, error::ReadErrorKind::Denied};

use super::{
    fixtures::{Pairs, fails, source, unique, value, variable},
    server::Server,
};

fn list(address: &str, more: Pairs<'_>) -> Arc<dyn Source> {
    source("redis", &[&[("address", address), ("listName", "q")], more])
}

#[tokio::test]
async fn the_documented_rights_are_enough_for_everything() {
    let address = variable("PLIMSOLL_TEST_REDIS");
    let mut writer = super::fixtures::Writer::new(&address).await;
    let reader = [("username", "reader"), ("password", "reader-secret"), ("databaseIndex", "1")];
    for write in ["RPUSH KEY a", "SADD KEY a", "ZADD KEY 1 a", "HSET KEY a 1"] {
        let key = unique("rights");
        writer.does("SELECT 1").await;
        writer.does(&write.replace("KEY", &key)).await;
        assert_eq!(value(&source("redis", &[&[("address", &address), ("listName", &key)], &reader])).await, 1.0);
        writer.does(&format!("DEL {key}")).await;
    }
    let key = unique("rights");
    writer.does(&format!("XGROUP CREATE {key} g 0 MKSTREAM")).await;
    writer.does(&format!("XADD {key} * a b")).await;
    for (mode, expected) in [
        (&[] as Pairs<'_>, 1.0),
        (&[("consumerGroup", "g")], 0.0),
        (&[("consumerGroup", "g"), ("lagCount", "1")], 1.0),
        (&[("consumerGroup", "other"), ("lagCount", "1")], 1.0),
    ] {
        let stream = source("redis-streams", &[&[("address", &address), ("stream", &key)], &reader, mode]);
        assert_eq!(value(&stream).await, expected, "{mode:?}");
    }
    writer.does(&format!("DEL {key}")).await;
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
        (&[], "set `username` and `password`"),
        // Without a password nobody logs in, as in KEDA.
        (&[("username", "u")], "set `username` and `password`"),
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
