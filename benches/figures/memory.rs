//! Resident memory of 10,000 idle triggers with open streams, beyond an empty server.

use futures::{StreamExt, stream};
use plimsoll::grpc::externalscaler::GetMetricSpecResponse;
use tonic::Streaming;

use crate::{
    broker,
    fleet::{Fleet, Metadata, object, redis_trigger},
    host::{resident_mb, threads},
    process::Process,
    report::{Must, Report},
};

const TRIGGERS: usize = 10_000;

pub async fn of_idle_triggers(report: &mut Report) {
    println!("memory: {TRIGGERS} idle triggers, each with an open stream, on one connection");
    let redis = broker("PLIMSOLL_TEST_REDIS");
    let server = Process::start(&[]);
    // One trigger first, so that what every server needs once is not counted.
    let _first = Fleet::open(&server, vec![redis_trigger(&redis, "bench-memory-first")]).await;
    let (empty, few_threads) = (resident_mb(server.pid()), threads(server.pid()));
    let triggers: Vec<_> = (0..TRIGGERS).map(|n| redis_trigger(&redis, &format!("bench-memory-{n}"))).collect();
    let _fleet = Fleet::open(&server, triggers.clone()).await;
    let full = resident_mb(server.pid());
    let _told = spec_streams(&server, &triggers).await;
    let with_both = resident_mb(server.pid());
    report.add("memory of an empty server", empty, "MB", Must::Nothing);
    report.add(
        "memory of 10,000 idle triggers with open streams, beyond that",
        full - empty,
        "MB",
        Must::AtMost(100.0),
    );
    report.add(
        "memory of them while KEDA has their second streams open, too",
        with_both - empty,
        "MB",
        Must::AtMost(100.0),
    );
    report.add("threads more for 10,000 triggers", threads(server.pid()) - few_threads, "threads", Must::AtMost(0.0));
}

/// The stream of each trigger on which KEDA is told its target, within five minutes: most of them are open then.
async fn spec_streams(server: &Process, triggers: &[Metadata]) -> Vec<Streaming<GetMetricSpecResponse>> {
    let channel = server.channel();
    stream::iter(triggers.iter().enumerate())
        .map(|(n, metadata)| {
            let mut keda = object(&channel, n, metadata);
            async move { keda.open_spec_stream().await.expect("opens") }
        })
        .buffered(64)
        .collect()
        .await
}
