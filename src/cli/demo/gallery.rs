//! What `--page` adds: triggers in every state that the page can show, asked for as KEDA asks for them.
//!
//! Every one is a real trigger of the real backend; what it reads from is there, or refuses it, or goes away.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, Result};
use futures::future::join_all;
use tokio::time::sleep;
use tonic::{Status, transport::Channel};

use super::cluster::Cluster;
use crate::grpc::externalscaler::{GetMetricsRequest, ScaledObjectRef, external_scaler_client::ExternalScalerClient};

/// How often each is asked for.
const EVERY: Duration = Duration::from_secs(2);
/// A topic to which nobody writes.
const QUIET: &str = "letters";
/// A topic that nobody may see.
const LOCKED: &str = "salaries";
/// A port of this machine on which nobody listens.
const NOBODY: &str = "127.0.0.1:1";

/// The triggers beside the demo's own.
pub(super) struct Gallery {
    client: ExternalScalerClient<Channel>,
    /// Asked for again and again.
    shown: Vec<ScaledObjectRef>,
    /// Read once from a Kafka that then goes away.
    stale: ScaledObjectRef,
    going: Cluster,
    /// Asked for once, and never again.
    forgotten: ScaledObjectRef,
}

impl Gallery {
    pub(super) fn new(cluster: &Cluster, client: ExternalScalerClient<Channel>) -> Result<Self> {
        let (here, going) = (cluster.bootstrap_servers(), Cluster::start()?);
        cluster.add_topic(QUIET)?;
        going.add_topic(QUIET)?;
        cluster.add_locked_topic(LOCKED)?;
        let shown = vec![
            trigger("idle", &here, &[]),
            trigger("unreachable", NOBODY, &[]),
            trigger("denied", &here, &[("topic", LOCKED)]),
            trigger("refused", &here, &[("lagThreshold", "many")]),
            trigger("warned", &here, &[("lagTreshold", "50")]),
        ];
        let stale = trigger("stale", &going.bootstrap_servers(), &[("maxStaleness", "1h")]);
        Ok(Self { client, shown, stale, going, forgotten: trigger("forgotten", &here, &[]) })
    }

    /// Asks for ever.
    pub(super) async fn run(self) -> Result<()> {
        let Self { client, mut shown, stale, going, forgotten } = self;
        ask(client.clone(), &forgotten).await.context("a trigger of the gallery cannot be read")?;
        ask(client.clone(), &stale).await.context("a trigger of the gallery cannot be read")?;
        drop(going);
        shown.push(stale);
        join_all(shown.iter().map(|object| ask_for_ever(client.clone(), object))).await;
        Ok(())
    }
}

/// On the quiet topic, unless `keys` say otherwise.
fn trigger(name: &str, servers: &str, keys: &[(&str, &str)]) -> ScaledObjectRef {
    let pairs = [
        ("scalerAddress", "plimsoll.keda.svc:6000"),
        ("scalerType", "kafka"),
        ("bootstrapServers", servers),
        ("consumerGroup", name),
        ("topic", QUIET),
        ("offsetResetPolicy", "earliest"),
    ];
    let pairs = pairs.iter().chain(keys).map(|&(key, value)| (key.to_owned(), value.to_owned()));
    ScaledObjectRef { name: name.into(), namespace: "gallery".into(), scaler_metadata: BTreeMap::from_iter(pairs) }
}

/// What fails is for the page to show.
async fn ask_for_ever(client: ExternalScalerClient<Channel>, object: &ScaledObjectRef) {
    let polls = async {
        loop {
            ask(client.clone(), object).await.ok();
            sleep(EVERY).await;
        }
    };
    let listens = async {
        loop {
            if let Ok(stream) = client.clone().stream_is_active(object.clone()).await {
                let mut stream = stream.into_inner();
                while let Ok(Some(_)) = stream.message().await {}
            }
            sleep(EVERY).await;
        }
    };
    tokio::join!(polls, listens);
}

/// As one poll of KEDA does.
async fn ask(mut client: ExternalScalerClient<Channel>, object: &ScaledObjectRef) -> Result<(), Status> {
    let specs = client.get_metric_spec(object.clone()).await?.into_inner().metric_specs;
    for spec in specs {
        let question = GetMetricsRequest { scaled_object_ref: Some(object.clone()), metric_name: spec.metric_name };
        client.get_metrics(question).await?;
    }
    client.is_active(object.clone()).await.map(drop)
}
