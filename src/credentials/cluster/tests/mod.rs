//! Against an API server in memory, with time paused.

mod costs;
mod following;
mod matching;
mod resolving;
mod rotating;
#[path = "../../../../tests/emulator/apiserver.rs"]
#[allow(dead_code, reason = "shared with other tests")]
mod standin;

use std::time::Duration;

pub use standin::Standin;

use super::{Cluster, Options, Reference, Rules, Unbound};
use crate::{metadata::Metadata, object::ObjectRef};

pub fn object<'a>(namespace: &'a str, name: &'a str) -> ObjectRef<&'a str> {
    ObjectRef { namespace, name }
}

pub fn metadata(pairs: &[(&str, &str)]) -> Metadata {
    pairs.iter().copied().collect()
}

/// A cluster that has heard of everything.
pub async fn cluster(standin: &Standin, rules: Rules) -> Cluster {
    let cluster = Cluster::with_client(standin.client(), Options { rules, ..Options::default() });
    until(|| cluster.state().1).await;
    cluster
}

/// Waits for what is told, within bounds.
pub async fn until(mut done: impl FnMut() -> bool) {
    for _ in 0..10_000 {
        if done() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("it did not come about");
}

/// The reference of a trigger with this metadata, as it is found after a live look.
pub async fn found(cluster: &Cluster, of: ObjectRef<&str>, metadata: &Metadata) -> Result<Option<Reference>, Unbound> {
    match cluster.find(of, metadata) {
        Err(_) => {
            cluster.look_again(of).await;
            cluster.find(of, metadata)
        }
        found => found,
    }
}

/// A ScaledObject `a/o` with these triggers: metadata and what else a trigger says.
pub fn scaled_object(triggers: &str) -> String {
    format!(
        "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata: {{name: o, namespace: a}}\nspec:\n  scaleTargetRef: {{name: app}}\n  triggers: {triggers}"
    )
}
