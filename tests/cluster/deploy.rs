//! What we ship for others to apply, applied: the API server takes every object and knows every field.

use std::fs;

use serde_json::Value;

use crate::api::{Api, documents};

/// The objects of a folder's files; what is for kustomize alone is none.
fn files(folder: &str) -> Vec<(String, Vec<Value>)> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.to_str().unwrap().to_owned();
        if name.ends_with(".yaml") && !name.ends_with("kustomization.yaml") {
            files.push((name, documents(&fs::read_to_string(path).unwrap())));
        }
    }
    files
}

/// Applied for good: what follows may lie in a namespace that comes first.
async fn applied(folder: &str) -> usize {
    let api = Api::shared();
    let mut count = 0;
    for (file, objects) in files(folder) {
        for object in objects {
            if let Some(namespace) = object["metadata"]["namespace"].as_str() {
                api.namespace(namespace).await;
            }
            let answer = api.apply(&object).await;
            assert!(answer.status < 300, "{file}: {} {}", object["kind"], answer.body);
            count += 1;
        }
    }
    count
}

#[tokio::test]
async fn the_manifests_and_the_locked_down_server_are_taken() {
    assert!(applied("deploy/kubernetes").await >= 4);
    assert!(applied("deploy/locked-down").await >= 4);
}

#[tokio::test]
async fn the_examples_are_taken() {
    assert!(applied("deploy/examples").await >= 6);
}
