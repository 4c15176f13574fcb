//! An API server that goes and comes back.

use serde_json::json;

use crate::own::Own;

#[tokio::test]
async fn an_api_server_of_ones_own_comes_back_with_what_it_had() {
    let mut own = Own::start().await;
    let (api, secret) = (
        own.api(),
        json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "kept", "namespace": "default"},
            "stringData": {"password": "p"},
        }),
    );
    let before = api.apply(&secret).await.ok();
    own.stop();
    own.go_on().await;
    let after = own.api().get("/api/v1/namespaces/default/secrets/kept").await.ok();
    assert_eq!((&after["metadata"]["uid"], &after["data"]), (&before["metadata"]["uid"], &before["data"]));
    assert_eq!((own.api().url, own.api().token), (api.url, api.token));
}
