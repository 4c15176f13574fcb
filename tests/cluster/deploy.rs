//! What we ship for others to apply, held against the API server: it would take every object and knows every field.
//! Nothing stays: the chart's releases, which come later to the same server, are of the same names.

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

async fn taken(folder: &str) -> usize {
    let api = Api::shared();
    let mut count = 0;
    for (file, objects) in files(folder) {
        for object in objects {
            if let Some(namespace) = object["metadata"]["namespace"].as_str() {
                api.namespace(namespace).await;
            }
            let answer = api.would_apply(&object).await;
            assert!(answer.status < 300, "{file}: {} {}", object["kind"], answer.body);
            count += 1;
        }
    }
    count
}

#[tokio::test]
async fn the_manifests_and_the_locked_down_server_are_taken() {
    assert!(taken("deploy/kubernetes").await >= 4);
    assert!(taken("deploy/locked-down").await >= 4);
}

#[tokio::test]
async fn the_examples_are_taken() {
    assert!(taken("deploy/examples").await >= 6);
}
