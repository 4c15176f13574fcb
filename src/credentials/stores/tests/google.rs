//! Secret Manager as it answers, and what we make of it.

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::json;

use super::{
    super::{
        Source as _,
        google::{Source, own_or_key},
    },
    stand_in::{Reply, StandIn},
    *,
};
use crate::limits;

/// A service account's key, with which tokens are signed here.
fn login() -> StoreLogin {
    let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
    let key = json!({
        "type": "service_account", "project_id": "shop", "private_key_id": "1", "private_key": pair.serialize_pem(),
        "client_email": "a@shop.iam.gserviceaccount.com", "token_uri": "http://127.0.0.1:1/never-asked",
    });
    StoreLogin { secrets: [("clientSecret", Secret::new(key.to_string()))].into(), ..StoreLogin::default() }
}

fn of(secrets: serde_json::Value) -> GoogleSecrets {
    serde_json::from_value(json!({"secrets": secrets})).unwrap()
}

fn source(store: &StandIn, login: &StoreLogin, secrets: serde_json::Value) -> Source {
    let of = of(secrets);
    Source::with(&of, own_or_key(&of, login, &Reach::open()), None, &Reach::open(), store.url(), String::new())
}

fn payload(data: &[u8], sum: u64) -> String {
    json!({"name": "n", "payload": {"data": BASE64_STANDARD.encode(data), "dataCrc32c": sum.to_string()}}).to_string()
}

#[tokio::test]
async fn a_secret_is_asked_for_in_the_keys_project_and_checked_by_its_checksum() {
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
    // The checksum of CRC-32C's definition.
    let store = StandIn::new(|_| Reply::new(200, payload(b"123456789", 0xE306_9283))).await;
    let secrets = json!([{"parameter": "a", "id": "x"}, {"parameter": "b", "id": "x"}, {"parameter": "c", "id": "x", "version": "3"}]);
    let answer = source(&store, &login(), secrets).read(false).await.unwrap();
    assert!(answer.values.iter().all(|value| shown(value) == "= 123456789"));
    let targets: Vec<_> = store.calls().into_iter().map(|call| call.target).collect();
    assert_eq!(
        targets,
        ["/v1/projects/shop/secrets/x/versions/latest:access", "/v1/projects/shop/secrets/x/versions/3:access",]
    );
    assert!(store.calls().iter().all(|call| call.header("authorization").starts_with("Bearer ey")));
}

#[tokio::test]
async fn what_google_refuses_for_good_leaves_an_earlier_value_and_what_it_cannot_say_now_is_an_error() {
    use ReadErrorKind::{BadReply, Throttled, Timeout, Unreachable};
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
    let login = login();
    let refusal = |word: &str| json!({"error": {"code": 1, "message": "hidden", "status": word}}).to_string();
    for (status, body, words) in [
        (403, refusal("PERMISSION_DENIED"), "403 PERMISSION_DENIED, grant `roles/secretmanager.secretAccessor`"),
        (404, refusal("NOT_FOUND"), "404 NOT_FOUND, correct its id"),
        (400, refusal("FAILED_PRECONDITION"), "enable that version"),
        (401, "hidden".to_owned(), "401 Unauthorized"),
    ] {
        let store = StandIn::new(move |_| Reply::new(status, body.clone())).await;
        let answer = source(&store, &login, json!([{"parameter": "a", "id": "x"}])).read(false).await.unwrap();
        let text = shown(&answer.values[0]);
        assert!(text.contains("secret `x` of `gcpSecretManager`") && text.contains(words), "{text}");
        assert!(!text.contains("hidden"), "{text}");
    }
    for (reply, kind) in [
        (Reply::new(429, refusal("RESOURCE_EXHAUSTED")), Throttled),
        (Reply::new(500, "hidden"), Unreachable),
        (Reply::new(504, "hidden"), Timeout),
        (Reply::new(200, "<html>"), BadReply),
        (Reply::new(200, json!({"payload": {"data": "not base64"}}).to_string()), BadReply),
        (Reply::new(200, payload(b"123456789", 1)), BadReply),
        (Reply::new(200, "x".repeat(limits::STORE_BODY + 1)), BadReply),
        (Reply::Silence, Timeout),
    ] {
        let store = StandIn::new(move |_| reply.clone()).await;
        let error = source(&store, &login, json!([{"parameter": "a", "id": "x"}])).read(false).await.unwrap_err();
        assert_eq!(error.kind, kind, "{error}");
        assert!(is_passing(&error) && error.to_string().contains("secret `x`"), "{error}");
    }
}

#[tokio::test]
async fn a_key_that_is_none_is_told_and_never_shown() {
    let of = of(json!([{"parameter": "a", "id": "x"}]));
    let with =
        |json: &str| StoreLogin { secrets: [("clientSecret", Secret::new(json))].into(), ..StoreLogin::default() };
    for key in ["hidden", r#"{"type": "authorized_user", "project_id": "hidden"}"#, r#"{"type": "service_account"}"#] {
        let why = own_or_key(&of, &with(key), &Reach::open()).unwrap_err();
        assert!(why.contains("is no key of a service account") && !why.contains("hidden"), "{why}");
    }
    assert!(
        own_or_key(&of, &StoreLogin::default(), &Reach::open())
            .unwrap_err()
            .contains("`gcpSecretManager` has no login")
    );
}
