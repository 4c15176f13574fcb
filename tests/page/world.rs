//! A server with triggers in every state: a stand-in of Prometheus, a Kafka in this process, and KEDA that keeps asking.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use parking_lot::Mutex;
use rdkafka::{
    ClientConfig,
    mocking::MockCluster,
    producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer},
};
use tokio::task::JoinSet;

use crate::{
    emulator::Keda,
    process::Process,
    stand_in::{Call, Reply, StandIn},
};

/// A secret that no page may show.
pub const SECRET: &str = "s3cret-hunter2";
/// A name and a query that would do harm where they are taken for markup.
pub const HOSTILE_NAME: &str = "<script>alert(1)</script>";
pub const HOSTILE_QUERY: &str = "<img/src=x/onerror=alert(2)>";

pub struct World {
    pub server: Process,
    values: Arc<Mutex<BTreeMap<String, f64>>>,
    _prometheus: StandIn,
    kafka: MockCluster<'static, DefaultProducerContext>,
    _keda: JoinSet<()>,
}

fn answer(call: &Call, values: &Mutex<BTreeMap<String, f64>>) -> Reply {
    let asked = [call.target.as_str(), call.body.as_str()].concat();
    if asked.contains("denied") {
        return Reply::new(403, "no");
    }
    if asked.contains("silent") {
        return Reply::Silence;
    }
    let value = values.lock().iter().find(|(name, _)| asked.contains(name.as_str())).map_or(0.0, |(_, value)| *value);
    let body = format!(
        r#"{{"status":"success","data":{{"resultType":"vector","result":[{{"metric":{{}},"value":[0,"{value}"]}}]}}}}"#
    );
    Reply::of_type(200, "application/json", body)
}

pub fn kafka() -> MockCluster<'static, DefaultProducerContext> {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("orders", 3, 1).unwrap();
    cluster.create_topic("news", 1, 1).unwrap();
    let producer: BaseProducer =
        ClientConfig::new().set("bootstrap.servers", cluster.bootstrap_servers()).create().unwrap();
    for (partition, records) in [(0, 1200), (1, 34)] {
        for _ in 0..records {
            producer.send(BaseRecord::<(), str>::to("orders").payload("x").partition(partition)).unwrap();
        }
    }
    producer.flush(Duration::from_secs(20)).unwrap();
    cluster
}

impl World {
    /// Nine triggers: active by Prometheus and by Kafka, idle with a stream, warned, denied, unreachable, refused, unknown, hostile.
    pub async fn new(arguments: &[&str]) -> Self {
        let values = Arc::new(Mutex::new(BTreeMap::from([("busy".to_owned(), 42.0), ("onerror".to_owned(), 7.0)])));
        let known = Arc::clone(&values);
        let prometheus = StandIn::new(move |call| answer(call, &known)).await;
        let kafka = kafka();
        let server = Process::start(arguments);
        let (url, brokers) = (prometheus.url(), kafka.bootstrap_servers());
        let query = |query: &'static str, more: &[(&'static str, &'static str)]| {
            let mut pairs = vec![
                ("scalerType", "prometheus"),
                ("serverAddress", url.as_str()),
                ("query", query),
                ("threshold", "10"),
                ("pollingInterval", "1"),
            ];
            pairs.extend(more);
            pairs
        };
        let group = vec![
            ("scalerType", "kafka"),
            ("bootstrapServers", brokers.as_str()),
            ("consumerGroup", "billing"),
            ("topic", "orders"),
            ("lagThreshold", "500"),
            ("offsetResetPolicy", "earliest"),
            ("pollingInterval", "1"),
        ];
        let nowhere = vec![
            ("scalerType", "prometheus"),
            ("serverAddress", "http://127.0.0.1:1"),
            ("query", "up"),
            ("threshold", "10"),
            ("pollingInterval", "1"),
        ];
        let login = [("authModes", "basic"), ("username", "reader"), ("password", SECRET)];
        let channel = server.channel();
        let objects = [
            ("shop", "checkout", query("busy", &[])),
            ("shop", "billing", group),
            ("shop", "mails", query("calm", &[("activationThreshold", "5"), ("tresholt", "9")])),
            ("bank", "ledger", query("denied", &login)),
            ("bank", "rates", nowhere),
            ("bank", "wrong", query("calm", &[("threshold", "many")])),
            ("zoo", HOSTILE_NAME, query(HOSTILE_QUERY, &[])),
        ];
        let mut keda = JoinSet::new();
        for (namespace, name, pairs) in objects {
            let mut keda_of = Keda::of(channel.clone(), (namespace, name), &pairs);
            keda.spawn(async move {
                let _stream = if name == "mails" { Some(keda_of.stream().await.unwrap()) } else { None };
                loop {
                    keda_of.hpa().await.ok();
                    keda_of.active().await.ok();
                    tokio::time::sleep(Duration::from_secs(2)).await;
                }
            });
        }
        let silent = query("silent", &[("pollingInterval", "3600"), ("timeout", "3600000")]);
        let mut asked = Keda::of(channel, ("shop", "unheard"), &silent);
        keda.spawn(async move {
            let mut stream = asked.stream().await.unwrap();
            stream.message().await.ok();
        });
        let world = Self { server, values, _prometheus: prometheus, kafka, _keda: keda };
        world
            .until(|states| {
                ["active", "active", "active", "failing", "failing", "idle", "refused", "unknown"] == *states
            })
            .await;
        world
    }

    async fn until(&self, right: impl Fn(&[String]) -> bool) {
        let begin = tokio::time::Instant::now();
        loop {
            let mut states: Vec<String> =
                self.server.triggers().iter().map(|row| row["state"].as_str().unwrap().to_owned()).collect();
            states.sort();
            if right(&states) {
                return;
            }
            assert!(begin.elapsed() < Duration::from_secs(60), "{states:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.server.pages())
    }

    /// From now on Prometheus answers queries with `name` in them by `value`.
    pub fn set(&self, name: &str, value: f64) {
        self.values.lock().insert(name.to_owned(), value);
    }

    /// The brokers of Kafka.
    pub fn brokers(&self) -> String {
        self.kafka.bootstrap_servers()
    }

    /// A record comes.
    pub fn produce(&self, topic: &str) {
        let producer: BaseProducer = ClientConfig::new().set("bootstrap.servers", self.brokers()).create().unwrap();
        producer.send(BaseRecord::<(), str>::to(topic).payload("x")).unwrap();
        producer.flush(Duration::from_secs(20)).unwrap();
    }

    /// The id of the trigger of this object.
    pub fn id(&self, object: &str) -> u64 {
        let rows = self.server.triggers();
        let row = rows.iter().find(|row| row["scaledObjects"][0] == object);
        row.unwrap_or_else(|| panic!("{object} is not there"))["id"].as_u64().unwrap()
    }
}
