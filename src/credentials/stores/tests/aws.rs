//! Secrets Manager as it answers, and what we make of it.

use serde_json::json;

use super::{
    super::{Source as _, aws::Source},
    stand_in::{Reply, StandIn},
    *,
};
use crate::limits;

fn of(secrets: serde_json::Value) -> AwsSecrets {
    serde_json::from_value(json!({"region": "eu-central-1", "secrets": secrets})).unwrap()
}

fn key() -> StoreLogin {
    // A key with a newline at its end, as `echo` makes it.
    let secrets = [("accessKey", Secret::new("AKIA\n")), ("accessSecretKey", Secret::new("hidden-from-all\n"))];
    StoreLogin { secrets: secrets.into(), ..StoreLogin::default() }
}

fn source(store: &StandIn, secrets: serde_json::Value) -> Source {
    Source::with(&of(secrets), &key(), &Reach::open(), Some(store.url()), None)
}

async fn said(reply: Reply, secrets: serde_json::Value) -> (Result<Vec<String>, ReadError>, usize) {
    let store = StandIn::new(move |_| reply.clone()).await;
    let read = source(&store, secrets).read(false).await;
    (read.map(|answer| answer.values.iter().map(shown).collect()), store.calls().len())
}

fn whole(text: &str) -> Reply {
    Reply::new(200, json!({"ARN": "arn", "Name": "item", "SecretString": text}).to_string())
}

#[tokio::test]
async fn a_secret_is_its_text_or_a_text_of_its_top_level_and_several_of_its_keys_cost_one_request() {
    let secrets = json!([
        {"parameter": "a", "name": "item"},
        {"parameter": "b", "name": "item", "secretKey": "k"},
        {"parameter": "c", "name": "item", "secretKey": "n"},
        {"parameter": "d", "name": "item", "secretKey": "absent"},
        {"parameter": "e", "name": "item", "secretKey": "k", "versionStage": "AWSPREVIOUS"},
    ]);
    let (read, asked) = said(whole(r#"{"k":"v","n":5}"#), secrets).await;
    let read = read.unwrap();
    assert_eq!((read[0].as_str(), read[1].as_str(), read[4].as_str()), (r#"= {"k":"v","n":5}"#, "= v", "= v"));
    assert!(
        read[2].contains("no text under `secretKey` `n`") && read[3].contains("no `secretKey` `absent`"),
        "{read:?}"
    );
    assert_eq!(asked, 2);
    let (read, _) = said(whole("plain"), json!([{"parameter": "a", "name": "item", "secretKey": "k"}])).await;
    assert!(read.unwrap()[0].contains("is no JSON object"));
    let binary = Reply::new(200, json!({"ARN": "arn", "Name": "item", "SecretBinary": "AAE="}).to_string());
    let (read, _) = said(binary, json!([{"parameter": "a", "name": "item"}])).await;
    assert!(read.unwrap()[0].contains("is binary"));
}

#[tokio::test]
async fn what_aws_refuses_for_good_leaves_an_earlier_value_and_what_it_cannot_say_now_is_an_error() {
    use ReadErrorKind::{BadReply, Throttled, Unreachable};
    let one = || json!([{"parameter": "a", "name": "item"}]);
    let refusal = |status, code: &str| {
        Reply::new(status, json!({"__type": code, "message": "hidden-from-all of request 1234"}).to_string())
    };
    for (code, cure) in [
        ("ResourceNotFoundException", "correct its name"),
        ("AccessDeniedException", "grant `secretsmanager:GetSecretValue`"),
        ("DecryptionFailure", "`kms:Decrypt`"),
        ("InvalidRequestException", "about to be deleted"),
        ("UnrecognizedClientException", "grant"),
    ] {
        let (read, _) = said(refusal(400, code), one()).await;
        let text = read.unwrap().remove(0);
        assert!(
            text.contains("secret `item` of `awsSecretManager`") && text.contains(code) && text.contains(cure),
            "{text}"
        );
        assert!(!text.contains("hidden-from-all") && !text.contains("1234"), "{text}");
    }
    for (reply, kind) in [
        (refusal(400, "ThrottlingException"), Throttled),
        (refusal(500, "InternalServiceError"), Unreachable),
        (Reply::new(503, "<html>"), Unreachable),
        (Reply::new(200, "<html>"), BadReply),
        (whole(&"x".repeat(limits::STORE_BODY)), BadReply),
    ] {
        let (read, _) = said(reply, one()).await;
        let error = read.unwrap_err();
        assert_eq!(error.kind, kind, "{error}");
        assert!(is_passing(&error) && error.to_string().contains("`item`"), "{error}");
    }
}

#[tokio::test]
async fn without_a_login_or_a_region_nothing_is_asked() {
    let none = StoreLogin::default();
    let half = StoreLogin { secrets: [("accessKey", Secret::new("AKIA"))].into(), ..StoreLogin::default() };
    let mut nowhere = of(json!([{"parameter": "a", "name": "item"}]));
    nowhere.region = String::new();
    let mut elsewhere = nowhere.clone();
    elsewhere.region = "x.example.com/".to_owned();
    let full = of(json!([{"parameter": "a", "name": "item"}]));
    for (of, login, words) in [
        (&full, &none, "`awsSecretManager` has no login"),
        (&full, &half, "`awsSecretManager` has no login"),
        (&nowhere, &key(), "`awsSecretManager.region` is missing"),
        (&elsewhere, &key(), "`awsSecretManager.region` is no region"),
    ] {
        let answer = Source::with(of, login, &Reach::open(), None, None).read(false).await.unwrap();
        assert!(shown(&answer.values[0]).contains(words), "{}", shown(&answer.values[0]));
    }
}
