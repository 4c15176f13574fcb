//! A vault that challenges as Azure's do, and the service that gives tokens for it.

use serde_json::json;

use super::{
    super::{Source as _, azure::Source},
    stand_in::{Call, Reply, StandIn},
    *,
};
use crate::{
    limits,
    net::{Identities, Rules},
};

const TOKEN: &str = "a-token-that-nobody-sees";

fn reach() -> Reach {
    let azure = Some(vec!["127.0.0.1".parse().unwrap()]);
    Reach::new(Rules { loopback: true, identities: Identities { azure, ..Identities::default() }, ..Rules::default() })
}

fn of(vault: &str, secrets: serde_json::Value) -> AzureVault {
    let credentials = json!({"clientId": "client", "tenantId": "tenant"});
    serde_json::from_value(json!({"vaultUri": vault, "credentials": credentials, "secrets": secrets})).unwrap()
}

fn login() -> StoreLogin {
    StoreLogin { secrets: [("clientSecret", Secret::new("hidden-from-all"))].into(), ..StoreLogin::default() }
}

fn challenge(resource: &str) -> Reply {
    let words = format!("Bearer authorization=\"https://login.example/tenant\", resource=\"{resource}\"");
    Reply::Answer { status: 401, headers: vec![("www-authenticate", words)], body: String::new() }
}

/// A vault and its tokens in one; whoever shows the token gets what `told` says.
async fn vault(told: impl Fn(&Call) -> Reply + Send + Sync + 'static) -> StandIn {
    StandIn::new(move |call| match call.target.as_str() {
        "/tenant/oauth2/v2.0/token" => {
            assert!(call.body.contains("%2F.default"), "{}", call.body);
            Reply::new(200, json!({"access_token": TOKEN, "expires_in": 3600}).to_string())
        }
        _ if call.header("authorization") == format!("Bearer {TOKEN}") => told(call),
        _ => challenge("http://127.0.0.1"),
    })
    .await
}

async fn read(store: &StandIn, secrets: serde_json::Value) -> Result<Vec<String>, ReadError> {
    let source = Source::with(&of(&store.url(), secrets), &login(), &reach(), store.url())?;
    Ok(source.read(false).await?.values.iter().map(shown).collect())
}

#[tokio::test]
async fn the_vault_says_whose_token_it_takes_and_gives_the_newest_or_a_version() {
    let store = vault(|call| Reply::new(200, json!({"value": call.target}).to_string())).await;
    let secrets = json!([{"parameter": "a", "name": "item"}, {"parameter": "b", "name": "item", "version": "v1"}]);
    let read = read(&store, secrets).await.unwrap();
    assert_eq!(read, ["= /secrets/item/?api-version=7.4", "= /secrets/item/v1?api-version=7.4"]);
    // The challenge, a token, two secrets.
    assert_eq!(store.calls().len(), 4);
}

#[tokio::test]
async fn whatever_fails_is_an_error_that_names_the_secret_and_the_cure() {
    use ReadErrorKind::{BadReply, Denied, Invalid, NotFound, Throttled, Unreachable};
    let code = |code: &str| json!({"error": {"code": code, "message": format!("hidden {TOKEN}")}}).to_string();
    for (status, body, kind, words) in [
        (404, code("SecretNotFound"), NotFound, "404 SecretNotFound: correct its name"),
        (403, code("Forbidden"), Denied, "403 Forbidden: give the login the role"),
        (
            403,
            json!({"error": {"code": "Forbidden", "innererror": {"code": "SecretDisabled"}}}).to_string(),
            Denied,
            "enable it",
        ),
        (401, code("Unauthorized"), Denied, "401 Unauthorized"),
        (400, code("BadParameter"), Invalid, "400 BadParameter: correct its name"),
        (429, code("Throttled"), Throttled, "asked again later"),
        (503, "<html>".to_owned(), Unreachable, "recovered"),
        (200, "<html>".to_owned(), BadReply, "not Key Vault's"),
        (200, json!({"value": 5}).to_string(), BadReply, "not Key Vault's"),
        (200, json!({"value": "x".repeat(limits::STORE_BODY)}).to_string(), BadReply, "more than 2 MiB"),
    ] {
        let store = vault(move |_| Reply::new(status, body.clone())).await;
        let error = read(&store, json!([{"parameter": "a", "name": "item"}])).await.unwrap_err();
        let text = error.to_string();
        assert_eq!(error.kind, kind, "{text}");
        assert!(text.contains("secret `item` of `azureKeyVault`") && text.contains(words), "{text}");
        assert!(!text.contains(TOKEN) && !text.contains("hidden"), "{text}");
    }
}

#[tokio::test]
async fn no_token_is_fetched_for_somebody_else_or_shown_in_the_open() {
    let one = || json!([{"parameter": "a", "name": "item"}]);
    for resource in ["https://management.azure.com", "https://0.0.1", "nonsense"] {
        let store = StandIn::new(move |_| challenge(resource)).await;
        let error = read(&store, one()).await.unwrap_err();
        assert_eq!(error.kind, ReadErrorKind::Denied, "{error}");
        assert_eq!(store.calls().len(), 1);
    }
    let store = StandIn::new(|_| Reply::new(200, "hello")).await;
    let error = read(&store, one()).await.unwrap_err();
    assert!(error.to_string().contains("does not say whose tokens it takes"), "{error}");
    let open = Source::with(&of("http://v.example", one()), &login(), &Reach::open(), String::new());
    assert_eq!(open.err().unwrap().kind, ReadErrorKind::Denied);
}

#[tokio::test]
async fn a_login_that_is_not_whole_is_an_error() {
    let one = || json!([{"parameter": "a", "name": "item"}]);
    let none = StoreLogin::default();
    let error = Source::with(&of("https://v", one()), &none, &reach(), String::new()).err().unwrap();
    assert!(error.to_string().starts_with("`azureKeyVault` has no login: "), "{error}");
    let mut empty = of("https://v", one());
    empty.pod_identity = serde_json::from_value(json!({"provider": "azure-workload", "identityId": ""})).unwrap();
    let error = Source::with(&empty, &none, &reach(), String::new()).err().unwrap();
    assert!(error.to_string().contains("`azureKeyVault.podIdentity.identityId` must not be empty"), "{error}");
    let error = Source::with(&of("v.vault.azure.net", one()), &login(), &reach(), String::new()).err().unwrap();
    assert!(error.to_string().contains("`azureKeyVault.vaultUri` must be"), "{error}");
}
