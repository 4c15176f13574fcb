//! How soon a source is right again after its server was away: backends that ask over HTTP, by the real sampler.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use plimsoll::{
    backend::Registry,
    clock::Clock,
    metadata::Metadata,
    object::ObjectRef,
    sampler::{Sampler, Settings},
    telemetry::Metrics,
};
use tokio::time::{Instant, sleep};

use crate::stand_in::{Call, Reply, StandIn};

const OBJECT: ObjectRef<&str> = ObjectRef { namespace: "shop", name: "worker" };
/// Long enough for every back-off to have grown to its end.
const AWAY: Duration = Duration::from_secs(20);
/// For an interval of 1 s; a try may begin just before the server is there, and the machine may be busy.
const BACK: Duration = Duration::from_secs(2);

/// Polls a trigger of 1 s while the server at `address` goes and comes.
async fn comes_back(metadata: &[(&str, &str)], address: SocketAddr, server: StandIn, answer: fn(&Call) -> Reply) {
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
    let registry = Registry::standard();
    let metrics = Arc::new(Metrics::new(registry.scaler_types()));
    let sampler = Sampler::new(registry, Settings::default(), Clock::system(), metrics);
    let common = [("pollingInterval", "1s"), ("idlePollingInterval", "1s"), ("maxStaleness", "1s")];
    let trigger: Metadata = metadata.iter().chain(&common).copied().collect();
    let works = async || sampler.sample(OBJECT, &trigger).await.is_ok();
    assert!(works().await);
    drop(server);
    let gone = Instant::now();
    while gone.elapsed() < AWAY {
        works().await;
        sleep(Duration::from_millis(100)).await;
    }
    assert!(!works().await, "it is still away");
    let _server = StandIn::at(address, answer).await;
    let back = Instant::now();
    while !works().await {
        assert!(back.elapsed() < BACK, "still away after {:?}", back.elapsed());
        sleep(Duration::from_millis(50)).await;
    }
    sampler.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn sqs_is_read_again_within_two_seconds_of_its_return() {
    fn answer(_: &Call) -> Reply {
        let counts = r#""ApproximateNumberOfMessages":"1","ApproximateNumberOfMessagesNotVisible":"0""#;
        Reply::new(200, format!(r#"{{"Attributes":{{{counts}}}}}"#))
    }
    let server = StandIn::new(answer).await;
    let (url, address) = (server.url(), server.address);
    let metadata = [
        ("scalerType", "aws-sqs-queue"),
        ("queueURL", "https://sqs.eu-west-1.amazonaws.com/123456789012/orders"),
        ("awsRegion", "eu-west-1"),
        ("awsEndpoint", url.as_str()),
        ("awsAccessKeyID", "reader"),
        ("awsSecretAccessKey", "secret"),
    ];
    comes_back(&metadata, address, server, answer).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn prometheus_is_asked_again_within_two_seconds_of_its_return() {
    fn answer(_: &Call) -> Reply {
        Reply::new(200, r#"{"status":"success","data":{"resultType":"vector","result":[{"value":[1,"5"]}]}}"#)
    }
    let server = StandIn::new(answer).await;
    let (url, address) = (server.url(), server.address);
    let metadata = [("scalerType", "prometheus"), ("serverAddress", url.as_str()), ("query", "up"), ("threshold", "1")];
    comes_back(&metadata, address, server, answer).await;
}
