//! How soon the numbers are right again after a broker was gone: the bound of docs/errors.md, by the real binary, for
//! backends whose clients keep no connection of their own accord.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::{Instant, sleep},
};

use crate::{
    emulator::{Keda, seen_by_keda},
    process::Process,
    prometheus, sqs,
};

const OUTAGE: Duration = Duration::from_secs(20);
/// For a polling interval of 1 s: a try may begin just before the server is there, and the machine may be busy.
const BOUND: Duration = Duration::from_secs(2);

/// A way to a server that can be shut: then connections are refused, and those that were open are gone.
struct Way {
    address: SocketAddr,
    server: String,
    passing: Option<JoinSet<()>>,
}

impl Way {
    async fn to(server: &str) -> Self {
        let server = server.trim_start_matches("http://").trim_end_matches('/').to_owned();
        let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let mut way = Self { address, server, passing: None };
        way.open().await;
        way
    }

    async fn open(&mut self) {
        let (listener, server) = (TcpListener::bind(self.address).await.unwrap(), self.server.clone());
        let mut passing = JoinSet::new();
        passing.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((mut client, _)) = listener.accept().await {
                let Ok(mut server) = TcpStream::connect(&server).await else { continue };
                connections.spawn(async move {
                    copy_bidirectional(&mut client, &mut server).await.ok();
                });
            }
        });
        self.passing = Some(passing);
    }

    fn shut(&mut self) {
        self.passing = None;
    }
}

/// Polls until `expected` says so, and how long that took.
async fn until(keda: &mut Keda, expected: impl Fn(Option<f64>) -> bool) -> Duration {
    let since = Instant::now();
    loop {
        let value = keda.poll().await.ok().map(|poll| seen_by_keda(&poll.value));
        if expected(value) {
            return since.elapsed();
        }
        assert!(since.elapsed() < Duration::from_secs(40), "still {value:?}");
        sleep(Duration::from_millis(50)).await;
    }
}

/// `trigger` reads `before` through the way, and `after` once `change` was made while it was shut.
async fn is_right_again(mut way: Way, trigger: &[(&str, &str)], before: f64, change: impl AsyncFnOnce(), after: f64) {
    let server = Process::start(&[]);
    let mut keda = Keda::new(server.channel(), "orders", trigger);
    until(&mut keda, |value| value == Some(before)).await;
    let shut = Instant::now();
    way.shut();
    // Never a wrong number, and an error once the last sample is too old.
    until(&mut keda, |value| {
        assert!(value.is_none_or(|value| value == before));
        value.is_none()
    })
    .await;
    change().await;
    while shut.elapsed() < OUTAGE {
        assert!(keda.poll().await.is_err(), "the way is shut");
        sleep(Duration::from_millis(250)).await;
    }
    way.open().await;
    let took = until(&mut keda, |value| value == Some(after)).await;
    assert!(took < BOUND, "right again after {took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sqs_is_read_again_within_the_bound() {
    let (writer, name) = (sqs::fixtures::Writer::new(), sqs::fixtures::unique("recovery"));
    let way = Way::to(&sqs::fixtures::server()).await;
    let endpoint = format!("http://{}", way.address);
    let url = writer.create(&name).await;
    let own = [("queueURL", name.as_str()), ("pollingInterval", "1"), ("queueLength", "5")];
    let mut pairs = sqs::fixtures::pairs(&own);
    pairs.iter_mut().filter(|(key, _)| key == "awsEndpoint").for_each(|(_, value)| value.clone_from(&endpoint));
    // The queue's own URL says where ElasticMQ listens, and not our way to it.
    pairs
        .iter_mut()
        .filter(|(key, _)| key == "queueURL")
        .for_each(|(_, value)| *value = format!("{endpoint}/000000000000/{name}"));
    let trigger: Vec<_> = pairs.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    is_right_again(way, &trigger, 0.0, async || writer.send(&url, 0).await, 1.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn prometheus_is_read_again_within_the_bound() {
    let way = Way::to(&prometheus::fixtures::server()).await;
    let address = format!("http://{}", way.address);
    let trigger = [
        ("scalerType", "prometheus"),
        ("serverAddress", address.as_str()),
        ("query", "vector(7)"),
        ("threshold", "5"),
        ("pollingInterval", "1"),
    ];
    is_right_again(way, &trigger, 7.0, async || {}, 7.0).await;
}
