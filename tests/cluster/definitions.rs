//! KEDA's definitions of its objects, as the API server enforces them: what may be written, what is refused, what is dropped.
//! Our reading of these objects relies on it.

use serde_json::{Value, json};

use crate::api::{Answer, Api};

const NAMESPACE: &str = "definitions";
const STRICT: &str = "Strict";
/// Unknown fields are dropped.
const LENIENT: &str = "Ignore";

async fn api() -> Api {
    let api = Api::shared();
    api.namespace(NAMESPACE).await;
    api
}

fn object(kind: &str, name: &str, spec: &Value) -> Value {
    let mut meta = json!({"name": name, "namespace": NAMESPACE});
    if kind.starts_with("Cluster") {
        meta = json!({"name": name});
    }
    json!({"apiVersion": "keda.sh/v1alpha1", "kind": kind, "metadata": meta, "spec": spec})
}

fn scaled(trigger: &Value) -> Value {
    object("ScaledObject", "o", &json!({"scaleTargetRef": {"name": "w"}, "triggers": [trigger]}))
}

/// Both kinds have one shape.
async fn both(spec: Value, validation: &str) -> [Answer; 2] {
    let api = api().await;
    let [one, all] = ["TriggerAuthentication", "ClusterTriggerAuthentication"].map(|kind| object(kind, "t", &spec));
    [api.would_create(&one, validation).await, api.would_create(&all, validation).await]
}

#[track_caller]
fn accepted(answers: [Answer; 2]) {
    for answer in answers {
        answer.ok();
    }
}

#[track_caller]
fn refused(answers: [Answer; 2], words: &str) {
    for answer in answers {
        assert_eq!(answer.status, 422, "{}", answer.body);
        assert!(answer.message().contains(words), "{}", answer.message());
    }
}

#[tokio::test]
async fn an_authentication_may_be_empty_and_may_name_a_parameter_twice() {
    accepted(both(json!({}), STRICT).await);
    let twice = json!([{"parameter": "p", "name": "a", "key": "k"}, {"parameter": "p", "name": "b", "key": "k"}]);
    accepted(both(json!({"secretTargetRef": twice}), STRICT).await);
}

#[tokio::test]
async fn every_source_of_an_authentication_can_be_written() {
    let secret = json!({"valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}});
    accepted(
        both(json!({
            "podIdentity": {"provider": "aws", "roleArn": "arn:aws:iam::1:role/r", "externalID": "e", "identityOwner": "keda"},
            "secretTargetRef": [{"parameter": "p", "name": "s", "key": "k"}],
            "configMapTargetRef": [{"parameter": "p", "name": "c", "key": "k"}],
            "env": [{"parameter": "p", "name": "V", "containerName": "c"}],
            "filePath": "x/y.json",
            "hashiCorpVault": {
                "address": "http://vault", "authentication": "kubernetes", "role": "r", "mount": "m", "namespace": "n",
                "credential": {"serviceAccountName": "s"},
                "secrets": [
                    {"parameter": "p", "path": "secret/data/x", "key": "k", "type": "secretV2"},
                    {"parameter": "c", "path": "pki/issue/r", "key": "certificate", "type": "pki",
                     "pkiData": {"commonName": "a", "altNames": "b", "ipSans": "c", "uriSans": "d", "otherSans": "e",
                                 "ttl": "1h", "format": "pem"}},
                ],
            },
            "azureKeyVault": {
                "vaultUri": "https://v", "cloud": {"type": "AzurePublicCloud"},
                "secrets": [{"parameter": "p", "name": "n", "version": "1"}],
                "credentials": {"clientId": "c", "tenantId": "t", "clientSecret": secret},
            },
            "gcpSecretManager": {
                "secrets": [{"parameter": "p", "id": "i", "version": "1"}], "credentials": {"clientSecret": secret},
            },
            "awsSecretManager": {
                "region": "eu-central-1",
                "secrets": [{"parameter": "p", "name": "n", "versionId": "v", "versionStage": "s", "secretKey": "k"}],
                "credentials": {"accessKey": secret, "accessSecretKey": secret, "accessToken": secret},
            },
            "boundServiceAccountToken": [{"parameter": "p", "serviceAccountName": "s"}],
            "oauth2": {
                "type": "clientCredentials", "clientId": "c", "tokenUrl": "https://t", "clientSecret": secret,
                "scopes": ["r", "w"], "tokenUrlParams": {"a": "1"},
            },
        }), STRICT)
        .await,
    );
}

#[tokio::test]
async fn identities_and_methods_that_keda_has_not_are_refused() {
    for provider in ["azure", "aws-kiam", "AWS", ""] {
        refused(both(json!({"podIdentity": {"provider": provider}}), LENIENT).await, "provider");
    }
    let vault =
        json!({"address": "a", "authentication": "approle", "secrets": [{"parameter": "p", "path": "x", "key": "k"}]});
    refused(both(json!({"hashiCorpVault": vault}), LENIENT).await, "authentication");
    let empty = json!({"address": "a", "authentication": "token", "secrets": []});
    refused(both(json!({"hashiCorpVault": empty}), LENIENT).await, "secrets");
}

#[tokio::test]
async fn a_file_is_a_path_and_not_the_list_of_the_documentation() {
    refused(both(json!({"filePath": [{"parameter": "p", "path": "x"}]}), LENIENT).await, "filePath");
}

/// Where an apply is not strict, as most are not, what the documentation calls `version` is gone without a word.
#[tokio::test]
async fn fields_that_only_the_documentation_knows_are_told_of_when_strict_and_dropped_when_not() {
    let spec = json!({"awsSecretManager": {"secrets": [{"parameter": "p", "name": "n", "version": "1"}]}});
    for answer in both(spec.clone(), STRICT).await {
        assert_ne!(answer.status, 200);
        assert!(answer.message().contains("version"), "{}", answer.message());
    }
    let dropped = object("TriggerAuthentication", "dropped", &spec);
    let kept = api().await.would_create(&dropped, LENIENT).await.ok();
    assert_eq!(kept["spec"]["awsSecretManager"]["secrets"][0], json!({"parameter": "p", "name": "n"}));
}

#[tokio::test]
async fn a_reference_may_have_no_name_but_only_kinds_that_are() {
    let api = api().await;
    let trigger =
        |reference: Value| scaled(&json!({"type": "external", "metadata": {}, "authenticationRef": reference}));
    api.would_create(&trigger(json!({"name": ""})), STRICT).await.ok();
    api.would_create(&trigger(json!({"name": "absent"})), STRICT).await.ok();
    api.would_create(&trigger(json!({"name": "absent", "kind": "ClusterTriggerAuthentication"})), STRICT).await.ok();
    let answer = api.would_create(&trigger(json!({"name": "s", "kind": "Secret"})), STRICT).await;
    assert_eq!(answer.status, 422, "{}", answer.body);
}

#[tokio::test]
async fn metadata_is_text() {
    let api = api().await;
    for value in [json!(5), json!(true), json!({"a": "b"})] {
        let answer =
            api.would_create(&scaled(&json!({"type": "external", "metadata": {"threshold": value}})), LENIENT).await;
        assert_eq!(answer.status, 422, "{}", answer.body);
        assert!(answer.message().contains("threshold"), "{}", answer.message());
    }
}
