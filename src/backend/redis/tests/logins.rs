//! How we log in at servers and proxies of all kinds, and that nobody is shown a password twice who calls it wrong.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use super::fake::{Fake, Say, decent, say, source};
use crate::{
    backend::Source,
    error::{ReadError, ReadErrorKind::Denied},
    net::Reach,
    reading::Reading,
};

type Login<'a> = &'a [(&'a str, &'a str)];

const ALONE: Login<'_> = &[("password", "PW")];
const USER: Login<'_> = &[("username", "u"), ("password", "PW")];
const EVERYBODY: Login<'_> = &[("username", "default"), ("password", "PW")];

fn list(fake: &Fake, login: Login<'_>) -> Arc<dyn Source> {
    source("redis", &[&[("address", &*fake.address), ("listName", "q")], login].concat(), &Reach::open())
}

/// A proxy that refuses `HELLO` with `refusal`, serves who says `AUTH` with `words`, and nobody else.
async fn proxy(refusal: &'static str, words: &'static [&'static str]) -> Fake {
    Fake::new(move |heard| match heard[0].as_str() {
        "HELLO" => say(refusal),
        "AUTH" if heard[1..] == *words => say("+OK\r\n"),
        "AUTH" if heard.len() > 2 => say("-ERR wrong number of arguments for 'auth' command\r\n"),
        "AUTH" => say("-WRONGPASS invalid username-password pair or user is disabled.\r\n"),
        "LLEN" => say(":3\r\n"),
        _ => decent(heard),
    })
    .await
}

async fn look(fake: &Fake, login: Login<'_>) -> Result<f64, ReadError> {
    list(fake, login).read().await.map(|Reading { value, .. }| value)
}

#[tokio::test]
async fn who_does_not_look_into_hello_is_told_by_auth() {
    for refusal in [
        "-NOAUTH Authentication required.\r\n",
        "-ERR unknown command `HELLO`, with args beginning with: `3` `AUTH`\r\n",
        "-ERR unknown command 'hello'\r\n",
        "-ERR unsupported command 'HELLO'\r\n",
        "-ERR Protocol error\r\n",
        "-NOPROTO unsupported protocol version\r\n",
        "-NOPERM this user has no permissions to run the 'hello' command\r\n",
    ] {
        assert_eq!(look(&proxy(refusal, &["PW"]).await, ALONE).await, Ok(3.0), "{refusal}");
        assert_eq!(look(&proxy(refusal, &["u", "PW"]).await, USER).await, Ok(3.0), "{refusal}");
        // Before Redis 6 there was one user only, and no name for it.
        assert_eq!(look(&proxy(refusal, &["PW"]).await, EVERYBODY).await, Ok(3.0), "{refusal}");
    }
}

#[tokio::test]
async fn another_user_is_not_logged_in_as_everybody() {
    let fake = proxy("-ERR unknown command 'HELLO'\r\n", &["PW"]).await;
    let error = look(&fake, USER).await.expect_err("no such user");
    assert_eq!(error.kind, Denied, "{error}");
}

#[tokio::test]
async fn who_calls_a_password_wrong_is_not_shown_it_again() {
    for refusal in [
        "-WRONGPASS invalid username-password pair or user is disabled.\r\n",
        "-ERR invalid password\r\n",
        "-ERR invalid username-password pair\r\n",
    ] {
        let fake = proxy(refusal, &["PW"]).await;
        let error = look(&fake, ALONE).await.expect_err("refused");
        assert_eq!(error.kind, Denied, "{error}");
        assert!(error.to_string().contains("correct `username` and `password`"), "{error}");
        assert_eq!(fake.how_often("AUTH"), 0, "{refusal}");
    }
}

#[tokio::test]
async fn a_missing_login_is_told_in_the_words_of_who_moves_a_trigger() {
    let fake = proxy("-NOAUTH Authentication required.\r\n", &["PW"]).await;
    let error = look(&fake, &[]).await.expect_err("no login");
    assert_eq!(error.kind, Denied, "{error}");
    let text = error.to_string();
    assert!(text.contains("`authenticationRef`") && text.contains("`passwordFromEnv`"), "{text}");
    // A proxy without `HELLO` says so at the first command.
    let fake = Fake::new(|heard| match heard[0].as_str() {
        "HELLO" => say("-ERR unknown command 'HELLO'\r\n"),
        _ => say("-NOAUTH Authentication required.\r\n"),
    })
    .await;
    let error = look(&fake, &[]).await.expect_err("no login");
    assert!(error.to_string().contains("`authenticationRef`"), "{error}");
}

#[tokio::test]
async fn a_proxy_that_hangs_up_on_hello_is_spoken_to_as_of_old() {
    let fake = Fake::new(|heard| match heard[0].as_str() {
        "HELLO" => Say::Bye(vec![]),
        "AUTH" => say("+OK\r\n"),
        "LLEN" => say(":3\r\n"),
        _ => decent(heard),
    })
    .await;
    assert_eq!(look(&fake, ALONE).await, Ok(3.0));
    assert_eq!(look(&fake, &[]).await, Ok(3.0));
}

#[tokio::test]
async fn what_has_worked_is_not_told_to_be_set_up_otherwise() {
    let broken = Arc::new(AtomicBool::new(false));
    let is_broken = Arc::clone(&broken);
    let fake = Fake::new(move |heard| match heard[0].as_str() {
        _ if is_broken.load(Ordering::Relaxed) => Say::Bye(vec![]),
        "LLEN" => say(":3\r\n"),
        _ => decent(heard),
    })
    .await;
    let list = list(&fake, &[]);
    assert_eq!(list.read().await.map(|reading| reading.value), Ok(3.0));
    broken.store(true, Ordering::Relaxed);
    for _ in 0..3 {
        let error = list.read().await.expect_err("it hangs up");
        assert!(!error.to_string().contains("tls: enable"), "{error}");
    }
}
