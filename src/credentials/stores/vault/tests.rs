//! Vault as it answers, and what we make of it.

use std::{
    io::Write,
    sync::atomic::{AtomicU64, Ordering},
};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value as Any, json};
use tokio::time::{advance, pause, resume};

use super::{
    super::{
        Source as _, is_passing,
        tests::{
            shown,
            stand_in::{Call, Reply, StandIn},
        },
    },
    *,
};
use crate::{error::ReadErrorKind, metadata::Secret};

const TOKEN: &str = "hvs.hidden-from-all-who-read";

fn settings(of: &[(&str, &str)]) -> Settings {
    Settings::of(|name| of.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()))
}

fn ok(body: &Any) -> Reply {
    Reply::new(200, body.to_string())
}

fn by_token(store: &StandIn, secrets: Any) -> Source {
    let of =
        json!({"address": store.url(), "authentication": "token", "credential": {"token": TOKEN}, "secrets": secrets});
    Source::with(&serde_json::from_value(of).unwrap(), &StoreLogin::default(), &Reach::open(), settings(&[])).unwrap()
}

fn by_account(store: &StandIn, secrets: Any) -> Source {
    let of = json!({"address": store.url(), "authentication": "kubernetes", "mount": "kubernetes", "role": "r", "secrets": secrets});
    let login =
        StoreLogin { token: Some(Secret::new("jwt-that-is-hidden-from-all-who-read")), ..StoreLogin::default() };
    Source::with(&serde_json::from_value(of).unwrap(), &login, &Reach::open(), settings(&[])).unwrap()
}

/// A Vault that takes every token, for ever, and says `told` of everything else.
async fn vault(told: impl Fn(&Call) -> Reply + Send + Sync + 'static) -> StandIn {
    StandIn::new(move |call| match call.target.as_str() {
        "/v1/auth/token/lookup-self" => ok(&json!({"data": {"ttl": 0, "renewable": false}})),
        _ => told(call),
    })
    .await
}

async fn texts(source: &Source) -> Vec<String> {
    source.read(false).await.unwrap().values.iter().map(shown).collect()
}

fn asked(store: &StandIn, what: &str) -> usize {
    store.calls().iter().filter(|call| call.target.contains(what)).count()
}

/// Time goes by at once, while nobody waits for anything.
async fn later(span: Duration) {
    pause();
    advance(span).await;
    resume();
}

#[tokio::test]
async fn each_version_of_the_store_is_read_by_keda_rules() {
    let first = json!({"data": {"data": "d", "p": "v", "n": 5}, "lease_id": "", "lease_duration": 2_764_800});
    let second = json!({"data": {"data": {"p": "v", "o": {"a": "b"}}, "metadata": {"version": 1}}});
    for (kind, key, body, expected) in [
        ("", "p", &second, "= v"),
        ("secretV2", "p", &second, "= v"),
        ("secret", "p", &second, "no key `p` at path `kv/x`"),
        ("", "p", &first, "set `type: secret`"),
        ("secret", "p", &first, "= v"),
        ("secretV2", "p", &first, "no key `p`"),
        ("secret", "n", &first, "no text under key `n`"),
        ("", "o", &second, "an object under key `o`"),
        ("", "absent", &second, "no key `absent` at path `kv/x`"),
    ] {
        let told = ok(body);
        let store = vault(move |_| told.clone()).await;
        let secrets = json!([{"parameter": "a", "path": "kv/x", "key": key, "type": kind}]);
        let text = texts(&by_token(&store, secrets)).await.remove(0);
        assert!(text.contains(expected), "{kind} {key}: {text}");
    }
}

#[tokio::test]
async fn what_vault_refuses_for_good_is_missing_and_what_it_cannot_say_now_is_an_error() {
    use ReadErrorKind::{BadReply, Throttled, Timeout, Unreachable};
    let one = || json!([{"parameter": "a", "path": "kv/x", "key": "p"}]);
    let refusal = |status| {
        Reply::new(status, json!({"errors": ["1 error occurred:\n\t* permission denied\n\n", TOKEN]}).to_string())
    };
    for (status, words) in
        [(403, "let the token's policy read it"), (404, "`data/` is missing"), (400, "correct the path")]
    {
        let store = vault(move |_| refusal(status)).await;
        let text = texts(&by_token(&store, one())).await.remove(0);
        assert!(
            text.contains("key `p` at path `kv/x`") && text.contains(&status.to_string()) && text.contains(words),
            "{text}"
        );
        assert!(text.contains("permission denied") && !text.contains("hidden"), "{text}");
    }
    for (reply, kind) in [
        (refusal(412), Unreachable),
        (refusal(429), Throttled),
        (refusal(500), Unreachable),
        (refusal(503), Unreachable),
        (Reply::of_type(200, "text/html", "<html>"), BadReply),
        (Reply::new(200, "x".repeat(limits::STORE_BODY + 1)), BadReply),
        (
            Reply::Answer {
                status: 307,
                headers: vec![("location", "https://other:8200/v1/kv/x".to_owned())],
                body: String::new(),
            },
            BadReply,
        ),
        (Reply::Silence, Timeout),
    ] {
        let store = vault(move |_| reply.clone()).await;
        let error = by_token(&store, one()).read(false).await.unwrap_err();
        assert_eq!(error.kind, kind, "{error}");
        let text = error.to_string();
        assert!(is_passing(&error) && text.contains("path `kv/x`") && !text.contains("hidden"), "{text}");
    }
}

#[tokio::test]
async fn a_refused_login_is_an_error_with_the_cure_and_without_the_token() {
    let one = || json!([{"parameter": "a", "path": "kv/x", "key": "p"}]);
    let store = StandIn::new(|call| {
        let words = format!("permission denied {TOKEN} {}", call.body.replace('"', " "));
        Reply::new(403, json!({"errors": [words]}).to_string())
    })
    .await;
    for (source, words) in
        [(by_token(&store, one()), "refuses the token"), (by_account(&store, one()), "as role `r` with 403")]
    {
        let error = source.read(false).await.err().unwrap();
        let text = error.to_string();
        assert_eq!(error.kind, ReadErrorKind::Denied, "{text}");
        assert!(text.contains(words) && text.contains("403") && !text.contains("hidden"), "{text}");
    }
    let of = |of: Any| {
        Source::with(&serde_json::from_value(of).unwrap(), &StoreLogin::default(), &Reach::open(), settings(&[]))
    };
    for (spec, words) in [
        (json!({"address": "http://v", "authentication": "token"}), "`hashiCorpVault` has no token"),
        (json!({"authentication": "token", "credential": {"token": "t"}}), "`hashiCorpVault.address` is missing"),
        (json!({"address": "v:8200", "authentication": "token", "credential": {"token": "t"}}), "must be `http://…`"),
        (
            json!({"address": "http://v", "authentication": "kubernetes", "role": "r"}),
            "`hashiCorpVault.mount` is missing",
        ),
        (
            json!({"address": "http://v", "authentication": "kubernetes", "mount": "m"}),
            "`hashiCorpVault.role` is missing",
        ),
        (
            json!({"address": "http://v", "authentication": "approle"}),
            "`hashiCorpVault.authentication: approle` is none",
        ),
    ] {
        let error = of(spec).err().unwrap();
        assert!(error.kind == ReadErrorKind::Invalid && error.to_string().contains(words), "{error}");
    }
}

/// A Vault whose logins give tokens of a minute that may be renewed; as long as `renews` says.
async fn minting(renews: u64, told: impl Fn(&Call) -> Reply + Send + Sync + 'static) -> StandIn {
    let logins = AtomicU64::new(0);
    StandIn::new(move |call| match call.target.as_str() {
        "/v1/auth/kubernetes/login" => {
            let token = format!("token-{}", logins.fetch_add(1, Ordering::Relaxed) + 1);
            ok(&json!({"auth": {"client_token": token, "lease_duration": 60, "renewable": true}}))
        }
        "/v1/auth/token/lookup-self" => ok(&json!({"data": {"ttl": 60, "renewable": true}})),
        "/v1/auth/token/renew-self" => ok(&json!({"auth": {"lease_duration": renews, "renewable": true}})),
        _ => told(call),
    })
    .await
}

#[tokio::test]
async fn a_token_is_renewed_at_two_thirds_of_its_life_and_got_anew_where_that_gives_little() {
    let one = || json!([{"parameter": "a", "path": "kv/x", "key": "p"}]);
    let value = || ok(&json!({"data": {"p": "v"}}));
    let store = minting(60, move |_| value()).await;
    let source = by_account(&store, one());
    texts(&source).await;
    later(Duration::from_secs(39)).await;
    texts(&source).await;
    assert_eq!((asked(&store, "login"), asked(&store, "renew-self")), (1, 0));
    later(Duration::from_secs(2)).await;
    // It is renewed beside those who use it.
    while asked(&store, "renew-self") == 0 {
        texts(&source).await;
    }
    later(Duration::from_secs(30)).await;
    texts(&source).await;
    assert_eq!((asked(&store, "login"), asked(&store, "renew-self")), (1, 1), "it would have ended");

    let store = minting(5, move |_| value()).await;
    let source = by_account(&store, one());
    texts(&source).await;
    later(Duration::from_secs(41)).await;
    while asked(&store, "login") == 1 {
        texts(&source).await;
    }
    assert_eq!(asked(&store, "renew-self"), 1);
}

#[tokio::test]
async fn a_token_that_was_revoked_is_got_anew_within_the_same_reading() {
    let store = minting(60, |call| match call.header("x-vault-token") {
        "token-1" => Reply::new(403, r#"{"errors":["permission denied"]}"#),
        _ => ok(&json!({"data": {"p": "v"}})),
    })
    .await;
    let source = by_account(&store, json!([{"parameter": "a", "path": "kv/x", "key": "p"}]));
    // It is good by its own word: it is the path that is refused.
    assert!(texts(&source).await[0].contains("403"));
    store.now(|call| match (call.target.as_str(), call.header("x-vault-token")) {
        ("/v1/auth/kubernetes/login", _) => ok(&json!({"auth": {"client_token": "token-2"}})),
        (_, "token-1") => Reply::new(403, r#"{"errors":["permission denied"]}"#),
        ("/v1/auth/token/lookup-self", _) => ok(&json!({"data": {"ttl": 60, "renewable": true}})),
        _ => ok(&json!({"data": {"p": "v"}})),
    });
    assert_eq!(texts(&source).await, ["= v"]);
}

#[tokio::test]
async fn what_is_made_for_us_is_made_once_and_again_at_two_thirds_or_with_another_token() {
    let made = AtomicU64::new(0);
    let store = minting(60, move |call| match call.target.as_str() {
        "/v1/database/creds/r" => {
            let name = format!("user-{}", made.fetch_add(1, Ordering::Relaxed) + 1);
            ok(&json!({"lease_id": "database/creds/r/1", "lease_duration": 30, "data": {"username": name, "password": name}}))
        }
        _ => ok(&json!({"data": {"p": "v"}})),
    })
    .await;
    let source = by_account(
        &store,
        json!([
            {"parameter": "username", "path": "database/creds/r", "key": "username"},
            {"parameter": "other", "path": "kv/x", "key": "p"},
            {"parameter": "password", "path": "database/creds/r", "key": "password"},
        ]),
    );
    let answer = source.read(false).await.unwrap();
    assert!(answer.holds > Duration::from_secs(15) && answer.holds <= Duration::from_secs(20), "{:?}", answer.holds);
    later(Duration::from_secs(10)).await;
    // A broker that refuses has the store read again, but nothing made again within a minute.
    let answer = source.read(true).await.unwrap();
    assert_eq!(answer.values.iter().map(shown).collect::<Vec<_>>(), ["= user-1", "= v", "= user-1"]);
    assert_eq!((asked(&store, "creds"), asked(&store, "kv")), (1, 2));
    later(Duration::from_secs(11)).await;
    assert_eq!(texts(&source).await, ["= user-2", "= v", "= user-2"]);
    // The token ends, and what was leased to it with it.
    later(Duration::from_secs(19)).await;
    store.now(|call| match (call.target.as_str(), call.header("x-vault-token")) {
        ("/v1/auth/kubernetes/login", _) => ok(&json!({"auth": {"client_token": "token-9"}})),
        ("/v1/auth/token/lookup-self", "token-9") => ok(&json!({"data": {"ttl": 60, "renewable": true}})),
        ("/v1/database/creds/r", "token-9") => {
            ok(&json!({"lease_id": "l", "lease_duration": 30, "data": {"username": "last", "password": "last"}}))
        }
        ("/v1/kv/x", "token-9") => ok(&json!({"data": {"p": "v"}})),
        _ => Reply::new(403, r#"{"errors":["permission denied"]}"#),
    });
    while texts(&source).await[0] != "= last" {}
}

#[tokio::test]
async fn a_certificate_its_key_and_its_chain_are_of_one_issue_and_are_kept() {
    let (issued, ends) = (AtomicU64::new(0), since_epoch(SystemTime::now()).as_secs() + 3000);
    let store = vault(move |call| {
        assert_eq!((call.method.as_str(), call.body.as_str()), ("PUT", r#"{"common_name":"a","ttl":"1h"}"#));
        let n = issued.fetch_add(1, Ordering::Relaxed) + 1;
        let data = json!({"certificate": format!("c{n}"), "private_key": format!("k{n}"), "ca_chain": ["one", "two"], "expiration": ends});
        ok(&json!({"data": data}))
    })
    .await;
    let pki = |parameter, key| json!({"parameter": parameter, "path": "pki/issue/r", "key": key, "type": "pki", "pkiData": {"commonName": "a", "ttl": "1h"}});
    let source =
        by_token(&store, json!([pki("cert", "certificate"), pki("key", "private_key"), pki("ca", "ca_chain")]));
    let answer = source.read(false).await.unwrap();
    assert_eq!(answer.values.iter().map(shown).collect::<Vec<_>>(), ["= c1", "= k1", "= one\ntwo"]);
    assert!(
        answer.holds > Duration::from_secs(1900) && answer.holds <= Duration::from_secs(2000),
        "{:?}",
        answer.holds
    );
    assert_eq!(texts(&source).await[0], "= c1");
    later(Duration::from_secs(61)).await;
    // A broker refuses it: it may have been revoked.
    assert_eq!(shown(&source.read(true).await.unwrap().values[1]), "= k2");
    later(Duration::from_secs(2001)).await;
    assert_eq!(texts(&source).await, ["= c3", "= k3", "= one\ntwo"]);
}

#[tokio::test]
async fn the_servers_own_token_comes_first_and_is_shown_to_its_own_vault_alone() {
    let store = vault(|call| {
        assert_eq!((call.header("x-vault-token"), call.header("x-vault-namespace")), ("own", "team"));
        ok(&json!({"data": {"p": "v"}}))
    })
    .await;
    let secrets = json!([{"parameter": "a", "path": "kv/x", "key": "p"}]);
    let of = |address: &str| {
        let of =
            json!({"address": address, "authentication": "token", "credential": {"token": TOKEN}, "secrets": secrets});
        serde_json::from_value::<spec::Vault>(of).unwrap()
    };
    let url = store.url();
    let with = |address: &str, own: &[(&str, &str)]| {
        Source::with(&of(address), &StoreLogin::default(), &Reach::open(), settings(own)).unwrap()
    };
    let own = [("VAULT_TOKEN", "own"), ("VAULT_NAMESPACE", "team"), ("VAULT_ADDR", &url)];
    for address in [url.as_str(), ""] {
        assert_eq!(texts(&with(address, &own)).await, ["= v"]);
    }
    for other in [&own[..1], &[("VAULT_TOKEN", "own"), ("VAULT_ADDR", "https://vault.example:8200")]] {
        let error = with(&url, other).read(false).await.err().unwrap();
        assert!(error.kind == ReadErrorKind::Denied && error.to_string().contains("set `VAULT_ADDR`"), "{error}");
    }
}

#[tokio::test]
async fn a_file_is_sent_to_vault_only_if_it_is_a_service_accounts_token() {
    let store = minting(60, |_| ok(&json!({"data": {"p": "v"}}))).await;
    let file = std::env::temp_dir().join(format!("plimsoll-vault-jwt-{}", std::process::id()));
    let jwt = |sub: &str| format!("h.{}.s", BASE64_URL_SAFE_NO_PAD.encode(json!({"sub": sub}).to_string()));
    for (content, good) in [
        (jwt("system:serviceaccount:a:worker"), true),
        (format!("{}\n", jwt("system:serviceaccount:a:worker")), true),
        (jwt("somebody"), false),
        ("root:x:0:0:root".to_owned(), false),
        ("x".repeat(2 << 20), false),
    ] {
        std::fs::File::create(&file).unwrap().write_all(content.as_bytes()).unwrap();
        let of = json!({
            "address": store.url(), "authentication": "kubernetes", "mount": "kubernetes", "role": good.to_string(),
            "credential": {"serviceAccount": file}, "secrets": [{"parameter": "a", "path": "kv/x", "key": "p"}],
        });
        let url = store.url();
        let own = settings(&[("VAULT_ADDR", &url)]);
        let source =
            Source::with(&serde_json::from_value(of).unwrap(), &StoreLogin::default(), &Reach::open(), own).unwrap();
        let before = asked(&store, "login");
        match source.read(false).await {
            Ok(_) => assert!(good),
            Err(error) => {
                assert!(!good && error.to_string().contains("is no token of a ServiceAccount"), "{error}");
                assert_eq!(asked(&store, "login"), before);
            }
        }
    }
    std::fs::remove_file(&file).unwrap();
}
