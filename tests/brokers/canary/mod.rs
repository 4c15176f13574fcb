//! No secret shows itself, however it is malformed, whoever answers: not in a status, a log at its most talkative, a page or a
//! series.
//!
//! Every key that a scaler knows is taken for a secret, unless it is listed here as a name that people see or, by its name,
//! as an address, whose user part is the secret. So a new key is looked at without being added anywhere.

mod marker;
mod triggers;

use std::collections::BTreeSet;

use futures::{StreamExt, stream};
use plimsoll::{
    backend::Registry,
    metadata::{Metadata, Reader},
    net::Reach,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use self::triggers::{Kind, Pairs};
use crate::{emulator::Keda, process::Process};

/// What people see in messages and pages: names, and what stands for a login without being one.
const SHOWN: [&str; 23] = [
    "awsAccessKeyID",
    "awsRegion",
    "awsRoleArn",
    "clientID",
    "consumerGroup",
    "customAuthHeader",
    "identityId",
    "identityTenantId",
    "keyParamName",
    "kerberosServiceName",
    "listName",
    "metricName",
    "namespace",
    "query",
    "queueName",
    "realm",
    "scalerType",
    "sentinelMaster",
    "sentinelUsername",
    "stream",
    "topic",
    "username",
    "vhostName",
];
/// What the parts of an address are called.
const ADDRESSED: [&str; 6] = ["address", "endpoint", "host", "server", "uri", "url"];
/// Keys that no backend asks for: every trigger's, KEDA's own, and a slip of the pen.
const ANYWHERE: [&str; 8] = [
    "caCert",
    "idlePollingInterval",
    "maxStaleness",
    "pasword",
    "pollingInterval",
    "scalerAddress",
    "tlsClientCert",
    "tlsClientKey",
];
const AT_ONCE: usize = 16;

/// Every key that the scaler of this trigger knows.
fn keys_of(trigger: &Pairs) -> BTreeSet<&'static str> {
    let metadata: Metadata = trigger.iter().map(|(key, value)| (*key, value.as_str())).collect();
    let scaler_type = metadata.get("scalerType").unwrap().to_owned();
    let (registry, mut reader) = (Registry::standard(), Reader::new(&metadata));
    // Whether it can be followed does not matter here.
    drop(registry.find(&scaler_type).unwrap().parse(&scaler_type, &mut reader, &Reach::open()));
    reader.known().iter().copied().chain(ANYWHERE).filter(|key| !SHOWN.contains(key)).collect()
}

fn is_address(key: &str) -> bool {
    let key = key.to_lowercase();
    ADDRESSED.iter().any(|word| key.contains(word))
}

/// The trigger with one key set, under the name `name`.
fn with(trigger: &Pairs, key: &str, name: String, value: String) -> Vec<(String, String)> {
    let others = trigger.iter().filter(|(known, _)| *known != key);
    others.map(|(key, value)| ((*key).to_owned(), value.clone())).chain([(name, value)]).collect()
}

/// All that `key` is given: its name or its name from the environment, and a value.
fn values_of(key: &str, places: &[String]) -> Vec<(String, String)> {
    let values: Vec<_> = if is_address(key) {
        places.iter().flat_map(|place| marker::ADDRESSES.map(|form| form(place))).collect()
    } else {
        marker::FORMS.iter().map(|form| form()).collect()
    };
    let from_env = (format!("{key}FromEnv"), values[0].clone());
    values.into_iter().map(|value| (key.to_owned(), value)).chain([from_env]).collect()
}

/// Each key of each trigger with the marker in it, malformed in each way, at one of `places`.
fn marked(kind: &Kind, places: &[String]) -> Vec<Vec<(String, String)>> {
    let everywhere: Vec<Vec<Pairs>> = places.iter().map(|place| (kind.triggers)(place)).collect();
    let mut all = Vec::new();
    for (number, trigger) in everywhere[0].iter().enumerate() {
        for key in keys_of(trigger) {
            let mut values: Vec<(String, String)> = values_of(key, places);
            // Where a key does nothing, one of its forms will do, and another one each time.
            if !trigger.iter().any(|(used, _)| *used == key) {
                let turn = all.len() % values.len();
                values = vec![values.swap_remove(turn)];
            }
            for (name, value) in values {
                // Another place each time: every key meets every place.
                let trigger = &everywhere[all.len() % places.len()][number];
                all.push(with(trigger, key, name, value));
            }
        }
    }
    all
}

/// A server that says back what it hears, as an answer of HTTP if it was asked so.
async fn echo() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    #[expect(clippy::disallowed_methods, reason = "a test's tasks end with its runtime")]
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(say_back(stream));
        }
    });
    address
}

async fn say_back(mut stream: TcpStream) {
    let mut heard = vec![0; 8192];
    while let Ok(length @ 1..) = stream.read(&mut heard).await {
        let text = String::from_utf8_lossy(&heard[..length]).into_owned();
        let answer = if text.contains(" HTTP/1.1\r\n") {
            let said = serde_json::Value::from(text);
            let body = format!(r#"{{"status":"error","error":{said},"reason":{said},"message":{said}}}"#);
            format!("HTTP/1.1 401 -\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes()
        } else {
            heard[..length].to_vec()
        };
        if stream.write_all(&answer).await.is_err() {
            return;
        }
    }
}

/// Everything that is answered to one trigger, in words.
async fn answers(server: &Process, number: usize, pairs: &[(String, String)]) -> String {
    let pairs: Vec<_> = pairs.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    let mut keda = Keda::new(server.channel(), &format!("canary-{number}"), &pairs);
    let (spec, value, active) = (keda.spec().await, keda.value("canary", None).await, keda.active().await);
    format!("{spec:?} {value:?} {active:?}")
}

async fn no_secret_shows(kind: Kind) {
    let places = [kind.real.clone(), "127.0.0.1:1".to_owned(), echo().await];
    let server = Process::start_in(&["--read-timeout", "1s"], &[("RUST_LOG", "debug")]);
    let triggers = marked(&kind, &places);
    let count = triggers.len();
    let mut found: Vec<(String, Option<String>)> = stream::iter(triggers.iter().enumerate())
        .map(async |(number, pairs)| {
            let (key, _) = pairs.last().unwrap();
            (format!("answer to {key} of {:?}", pairs[0]), marker::found_in(&answers(&server, number, pairs).await))
        })
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    for (name, text) in
        [("log", server.log()), ("page", server.page("/api/v1/triggers")), ("series", server.page("/metrics"))]
    {
        assert!(!text.is_empty(), "there is no {name}");
        found.push((name.to_owned(), marker::found_in(&text)));
    }
    let shown: Vec<String> =
        found.into_iter().filter_map(|(name, place)| Some(format!("{name}: {}", place?))).collect();
    let (few, all) = (shown.iter().take(20).cloned().collect::<Vec<_>>().join("\n"), shown.len());
    assert!(all == 0, "{}: of {count} triggers {all} show their secret:\n{few}", kind.name);
    println!("{}: {count} triggers, no secret shown", kind.name);
}

/// `host:port` in the variable `PLIMSOLL_TEST_<name>`.
fn real(name: &str) -> String {
    let name = format!("PLIMSOLL_TEST_{name}");
    let value = std::env::var(&name)
        .unwrap_or_else(|_| panic!("{name} is not set: run `tests/brokers/up` first and load `target/brokers/env`"));
    value.trim_start_matches("http://").to_owned()
}

#[tokio::test]
async fn no_secret_of_a_kafka_trigger_shows() {
    no_secret_shows(Kind { name: "kafka", real: real("KAFKA_SASL"), triggers: triggers::kafka }).await;
}

#[tokio::test]
async fn no_secret_of_a_rabbitmq_trigger_shows() {
    no_secret_shows(Kind { name: "rabbitmq", real: real("RABBITMQ_HTTP"), triggers: triggers::rabbitmq }).await;
}

#[tokio::test]
async fn no_secret_of_a_redis_trigger_shows() {
    no_secret_shows(Kind { name: "redis", real: real("REDIS"), triggers: triggers::redis }).await;
}

#[tokio::test]
async fn no_secret_of_an_sqs_trigger_shows() {
    no_secret_shows(Kind { name: "sqs", real: real("SQS"), triggers: triggers::sqs }).await;
}

#[tokio::test]
async fn no_secret_of_a_prometheus_trigger_shows() {
    no_secret_shows(Kind { name: "prometheus", real: real("PROMETHEUS"), triggers: triggers::prometheus }).await;
}
