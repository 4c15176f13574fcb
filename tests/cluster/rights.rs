//! RBAC as the API server judges it: what our ways of reading may and may not.

use reqwest::Method;
use serde_json::json;

use crate::api::{Api, Rights};

#[tokio::test]
async fn a_role_in_one_namespace_lists_there_and_nowhere_else() {
    let api = Api::shared();
    api.namespace("rights-one").await;
    let rules = json!([{"apiGroups": ["keda.sh"], "resources": ["scaledobjects"], "verbs": ["get", "list", "watch"]}]);
    let token = api.account("rights-one", "reader", &[Rights { namespace: Some("rights-one"), rules }]).await;
    let reader = api.with_token(&token);
    reader.get("/apis/keda.sh/v1alpha1/namespaces/rights-one/scaledobjects").await.ok();
    for path in ["/apis/keda.sh/v1alpha1/scaledobjects", "/apis/keda.sh/v1alpha1/namespaces/default/scaledobjects"] {
        assert_eq!(reader.get(path).await.status, 403, "{path}");
    }
    assert_eq!(reader.get("/api/v1/namespaces/rights-one/secrets/s").await.status, 403);
}

#[tokio::test]
async fn a_secret_can_be_allowed_by_its_name() {
    let api = Api::shared();
    api.namespace("rights-two").await;
    for name in ["mine", "other"] {
        let meta = json!({"name": name, "namespace": "rights-two"});
        api.apply(&json!({"apiVersion": "v1", "kind": "Secret", "metadata": meta})).await.ok();
    }
    let rules =
        json!([{"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["mine"], "verbs": ["get", "list"]}]);
    let token = api.account("rights-two", "reader", &[Rights { namespace: Some("rights-two"), rules }]).await;
    let reader = api.with_token(&token);
    let secrets = "/api/v1/namespaces/rights-two/secrets";
    reader.get(&format!("{secrets}/mine")).await.ok();
    assert_eq!(reader.get(&format!("{secrets}/other")).await.status, 403);
    reader.get(&format!("{secrets}?fieldSelector=metadata.name%3Dmine")).await.ok();
    assert_eq!(reader.get(secrets).await.status, 403);
}

#[tokio::test]
async fn an_account_may_ask_what_it_may() {
    let api = Api::shared();
    api.namespace("rights-three").await;
    let rules = json!([{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}]);
    let token = api.account("rights-three", "reader", &[Rights { namespace: Some("rights-three"), rules }]).await;
    let reader = api.with_token(&token);
    for (verb, allowed) in [("get", true), ("list", false)] {
        let attributes = json!({"namespace": "rights-three", "verb": verb, "resource": "secrets"});
        let review = json!({
            "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes},
        });
        let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
        let answer = reader.call(Method::POST, path, Some(("application/json", &review))).await.ok();
        assert_eq!(answer["status"]["allowed"], allowed, "{verb}");
    }
}
