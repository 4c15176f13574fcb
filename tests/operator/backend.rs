//! A broker as these tests have it: the work is that of the tests of faults, and beside it a user of our own, by whom
//! triggers read, and whose password changes.

use std::{
    fs,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use bytes::Bytes;
use kafka_protocol::{
    messages::{
        AlterUserScramCredentialsRequest, ApiKey, alter_user_scram_credentials_request::ScramCredentialUpsertion,
    },
    protocol::StrBytes,
};
use serde_json::{Value, json};
use tokio::sync::{Mutex, MutexGuard};

use crate::{
    brokers::{
        Broker, Trigger,
        kafka::{self, Kafka},
        prometheus::Prometheus,
        rabbitmq,
        redis::Redis,
        sqs::Sqs,
        variable,
    },
    node::Node,
};

/// The passwords, first and second.
pub const ONE: &str = "one";
pub const TWO: &str = "two";

/// A row of the table: what differs from broker to broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Kafka,
    RabbitMq,
    Redis,
    Sqs,
    Prometheus,
}

/// Tests that kill a broker and those that need it wait for each other.
static ALONE: [Mutex<()>; 5] = [const { Mutex::const_new(()) }; 5];

pub struct Backend {
    pub kind: Kind,
    broker: Box<dyn Broker>,
    /// Source, user and namespace have one name.
    pub name: String,
    /// How much work was put there.
    work: AtomicUsize,
    _alone: MutexGuard<'static, ()>,
}

impl Backend {
    /// An empty source called `name`, and a user of that name with the first password.
    pub async fn new(kind: Kind, name: &str) -> Self {
        let alone = ALONE[kind as usize].lock().await;
        let broker: Box<dyn Broker> = match kind {
            Kind::Kafka => Box::new(Kafka::new(name)),
            Kind::RabbitMq => Box::new(rabbitmq::RabbitMq::new(name, rabbitmq::Way::Amqp)),
            Kind::Redis => Box::new(Redis::new(name)),
            Kind::Sqs => Box::new(Sqs::new()),
            Kind::Prometheus => Box::new(Prometheus::new(name).await),
        };
        // Cut short, an earlier run may have left its own.
        let name = format!("{name}-{:08x}", rand::random::<u32>());
        let backend = Self { kind, broker, name, work: AtomicUsize::new(0), _alone: alone };
        backend.password(ONE).await;
        backend.broker.create(&backend.name).await;
        backend
    }

    /// How soon work that comes is to be seen on a machine that does other things too: at once where the broker rings,
    /// else at the next look (each second at most), for Prometheus a scrape later (each second too).
    pub fn within(&self) -> Duration {
        match self.kind {
            Kind::Kafka | Kind::Redis => Duration::from_millis(100),
            Kind::RabbitMq => Duration::from_millis(500),
            Kind::Sqs => Duration::from_millis(1500),
            Kind::Prometheus => Duration::from_millis(2500),
        }
    }

    /// The keys of the login, as the Secret has them: KEDA's own parameters.
    pub fn login(&self, password: &str) -> Trigger {
        let user = || self.name.clone();
        match self.kind {
            Kind::Kafka => {
                vec![("sasl", "scram_sha256".into()), ("username", user()), ("password", password.into())]
            }
            Kind::RabbitMq => {
                vec![("host", format!("amqp://{}:{password}@{}", self.name, self.broker.direct()))]
            }
            Kind::Redis | Kind::Prometheus => vec![("username", user()), ("password", password.into())],
            Kind::Sqs => vec![("awsAccessKeyID", user()), ("awsSecretAccessKey", password.into())],
        }
    }

    /// The metadata of a trigger without those, a replica for five pieces of work.
    pub fn metadata(&self) -> Trigger {
        let login = self.login(ONE);
        let mut metadata = self.broker.trigger(&self.name, &self.broker.direct());
        metadata.retain(|(key, _)| login.iter().all(|(secret, _)| secret != key));
        metadata.push(("pollingInterval", "1s".into()));
        match self.kind {
            // One partition would be one replica.
            Kind::Kafka => {
                metadata.extend([("lagThreshold", "5".into()), ("allowIdleConsumers", "true".into())]);
            }
            Kind::Prometheus => metadata.push(("authModes", "basic".into())),
            _ => {}
        }
        metadata
    }

    /// A trigger whose login stands in the object that [`authentication`](Self::authentication) makes.
    pub fn trigger(&self, kind: &str, address: &str) -> Value {
        let mut metadata: serde_json::Map<_, _> =
            self.metadata().into_iter().map(|(key, value)| (key.to_owned(), Value::String(value))).collect();
        metadata.insert("scalerAddress".to_owned(), address.into());
        json!({"type": kind, "metadata": metadata, "authenticationRef": {"name": "login"}})
    }

    /// The Secret with the login of that password.
    pub fn secret(&self, namespace: &str, password: &str) -> Value {
        let data: serde_json::Map<_, _> =
            self.login(password).into_iter().map(|(key, value)| (key.to_owned(), Value::String(value))).collect();
        json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "login", "namespace": namespace},
            "stringData": data,
        })
    }

    /// The TriggerAuthentication that names it.
    pub fn authentication(&self, namespace: &str) -> Value {
        let entries: Vec<_> = self
            .login(ONE)
            .into_iter()
            .map(|(key, _)| json!({"parameter": key, "name": "login", "key": key}))
            .collect();
        json!({
            "apiVersion": "keda.sh/v1alpha1", "kind": "TriggerAuthentication",
            "metadata": {"name": "login", "namespace": namespace}, "spec": {"secretTargetRef": entries},
        })
    }

    /// One piece of work.
    pub async fn add(&self) {
        self.broker.add(&self.name).await;
        self.work.fetch_add(1, Ordering::Relaxed);
    }

    /// As much work as that, where there was less.
    pub async fn fill(&self, work: usize) {
        while self.work.load(Ordering::Relaxed) < work {
            self.add().await;
        }
    }

    pub async fn clear(&self) {
        self.broker.clear(&self.name).await;
        self.work.store(0, Ordering::Relaxed);
    }

    /// Ends the process of the broker without a word; one that keeps all in its memory only stands still.
    pub async fn kill(&self) -> Node {
        self.broker.save().await;
        let node = Node::of(self.broker.node());
        if self.kind == Kind::Sqs {
            node.stop()
        } else {
            node.kill()
        }
        node
    }

    /// Brings it back as it was, and the user, whom Redis has forgotten.
    pub async fn bring_back(&self, node: Node, password: &str) {
        node.bring_back().await;
        self.password(password).await;
    }

    /// What the user's password is from now on, for the broker. Who is in by another is sent away where the broker can do
    /// that; ElasticMQ takes any.
    pub async fn password(&self, password: &str) {
        match self.kind {
            Kind::Kafka => kafka_user(&self.name, password).await,
            Kind::RabbitMq => rabbitmq_user(&self.name, password).await,
            Kind::Redis => redis_user(&self.name, password).await,
            Kind::Sqs => {}
            Kind::Prometheus => prometheus_user(&self.name, password),
        }
    }

    /// Whether it refuses who comes with another.
    pub fn refuses(&self) -> bool {
        self.kind != Kind::Sqs
    }

    /// Takes all of it away.
    pub async fn end(self) {
        self.broker.forget(&[&self.name]).await;
    }
}

/// By Kafka's own protocol: SCRAM-SHA-256, salted beforehand.
async fn kafka_user(user: &str, password: &str) {
    const VERSION: i16 = 0;
    const SHA_256: i8 = 1;
    let salted = match password {
        ONE => "db4d0ff35f1804f4f4fb23dd7d77efd0c0c9d99348685eeb24fed9353d9fa63d",
        _ => "ebc88019cfee0b7b9a8c96ff07faf084cc46f48894307122278eea6357bd6475",
    };
    let salted: Vec<u8> =
        (0..salted.len()).step_by(2).map(|n| u8::from_str_radix(&salted[n..n + 2], 16).unwrap()).collect();
    let change = ScramCredentialUpsertion::default()
        .with_name(StrBytes::from_string(user.to_owned()))
        .with_mechanism(SHA_256)
        .with_iterations(4096)
        .with_salt(Bytes::from_static(b"plimsoll"))
        .with_salted_password(salted.into());
    let request = AlterUserScramCredentialsRequest::default().with_upsertions(vec![change]);
    kafka::ask(ApiKey::AlterUserScramCredentials, VERSION, &request).await;
}

async fn rabbitmq_user(user: &str, password: &str) {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let ask = async |method: reqwest::Method, path: String, body: Value| {
        let url = format!("http://{}/api/{path}", variable("RABBITMQ_HTTP"));
        let request = http.request(method, url).basic_auth("admin", Some("admin-secret")).json(&body);
        request.send().await.unwrap().status().as_u16()
    };
    // Those connected as this user are sent away.
    ask(reqwest::Method::DELETE, format!("users/{user}"), Value::Null).await;
    let made = ask(reqwest::Method::PUT, format!("users/{user}"), json!({"password": password, "tags": ""})).await;
    let none = json!({"configure": "", "write": "", "read": ""});
    let granted = ask(reqwest::Method::PUT, format!("permissions/%2F/{user}"), none).await;
    assert!(made < 300 && granted < 300, "RabbitMQ answers {made} and {granted}");
}

async fn redis_user(user: &str, password: &str) {
    let client = redis::Client::open(format!("redis://{}", variable("REDIS"))).unwrap();
    let mut admin = client.get_multiplexed_async_connection().await.unwrap();
    let secret = format!(">{password}");
    let rights =
        ["reset", "on", &secret, "~*", "+type", "+llen", "+client|tracking", "+ping", "+info", "+hello", "+select"];
    let _: () = redis::cmd("ACL").arg("SETUSER").arg(user).arg(&rights).query_async(&mut admin).await.unwrap();
    let _: i64 = redis::cmd("CLIENT").arg(&["KILL", "USER", user]).query_async(&mut admin).await.unwrap();
}

/// Its file is read at each request. `reader` is who counts.
fn prometheus_user(user: &str, password: &str) {
    let hash = match password {
        ONE => "UBM9fX0khsFmkrf1fjqpp7xtDBRy4Vm",
        _ => "Y9fER1dE/CwN2AU.LKloXnJQuvkM8p6",
    };
    let (bcrypt, reader) = ("$2b$05$plimsollplimsollplimse", "/sLFqUL1XAP/ycnN/YTa42hHODxigDm");
    let users = format!("basic_auth_users:\n  reader: '{bcrypt}{reader}'\n  {user}: '{bcrypt}{hash}'\n");
    fs::write(variable("PROMETHEUS_WEB"), users).unwrap();
}
