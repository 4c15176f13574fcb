//! What goes over one connection: how much is asked, and what the other end shows of itself, for people and series.
//!
//! Its client counts and notes; who shows it finds it by the connection's id. Not for: how the connection stands, which
//! the sampler knows.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicU64, Ordering},
};

use crate::{
    identity::held::Issued,
    net::tls::{Encryption, Peers},
};

/// See the head of this file. One for each connection, whoever uses it.
#[derive(Debug, Default)]
pub struct Traffic {
    label: Box<str>,
    encryption: Option<Encryption>,
    requests: AtomicU64,
    peers: Arc<Peers>,
    issued: OnceLock<Issued>,
}

impl Traffic {
    pub(super) fn new(label: &str, encryption: Option<Encryption>) -> Self {
        Self { label: label.into(), encryption, ..Self::default() }
    }

    pub(super) fn label(&self) -> &str {
        &self.label
    }

    /// Whether it is encrypted; none where that is not known.
    #[must_use]
    pub fn encryption(&self) -> Option<Encryption> {
        self.encryption
    }

    /// How many requests were sent so far.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// What the brokers have shown of themselves.
    #[must_use]
    pub fn peers(&self) -> &Arc<Peers> {
        &self.peers
    }

    /// What is shown to the brokers in the place of a trigger's own secret.
    #[must_use]
    pub fn issued(&self) -> Option<&Issued> {
        self.issued.get()
    }
}

/// On whose account a client asks: its connection's, and its backend's. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Account {
    connection: Arc<Traffic>,
    backend: Arc<AtomicU64>,
}

impl Account {
    /// Of a connection, and of all connections of its backend that there ever were.
    #[must_use]
    pub fn new(connection: &Arc<Traffic>, backend: &Arc<AtomicU64>) -> Self {
        Self { connection: Arc::clone(connection), backend: Arc::clone(backend) }
    }

    /// So many requests go out.
    pub fn sent(&self, requests: u64) {
        self.connection.requests.fetch_add(requests, Ordering::Relaxed);
        self.backend.fetch_add(requests, Ordering::Relaxed);
    }

    /// This is shown to the brokers in the place of a trigger's own secret.
    pub fn shows(&self, issued: Issued) {
        self.connection.issued.set(issued).ok();
    }

    /// Where handshakes are noted.
    #[must_use]
    pub fn peers(&self) -> Arc<Peers> {
        Arc::clone(&self.connection.peers)
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, time::Duration};

    use tokio::time::timeout;

    use super::*;
    use crate::{
        backend::{Registry, Source},
        metadata::{Metadata, Reader},
        net::{
            Reach,
            stand_in::{Reply, StandIn},
        },
    };

    #[test]
    fn requests_are_of_their_connection_and_of_all() {
        let (first, second, all) = (Arc::<Traffic>::default(), Arc::<Traffic>::default(), Arc::default());
        Account::new(&first, &all).sent(3);
        Account::new(&second, &all).clone().sent(4);
        assert_eq!((first.requests(), second.requests(), all.load(Ordering::Relaxed)), (3, 4, 7));
    }

    /// Triggers of every kind of connection that speaks TLS, and whether one asks anything of a server that speaks
    /// something else within it.
    fn encrypted(at: &str, port: u16, ca: &str) -> Vec<(Metadata, bool)> {
        let trigger = |scaler_type: &str, asks: bool, pairs: &[(&str, &str)]| {
            let fixed = [("scalerType", scaler_type), ("tls", "enable"), ("ca", ca)];
            // SQS trusts the system's roots alone.
            let fixed = if scaler_type == "aws-sqs-queue" { &fixed[..1] } else { &fixed };
            (fixed.iter().chain(pairs).copied().collect(), asks)
        };
        let (https, port) = (format!("https://{at}"), port.to_string());
        let (amqps, api) = (format!("amqps://u:p@{at}/%2F"), format!("https://u:p@{at}/%2F"));
        let kafka = [("bootstrapServers", at), ("consumerGroup", "g"), ("topic", "t"), ("lagThreshold", "5")];
        let redis = [("host", "127.0.0.1"), ("port", port.as_str()), ("listName", "l")];
        let key = [("awsAccessKeyID", "AKIA"), ("awsSecretAccessKey", "x"), ("awsRegion", "eu-west-1")];
        let sqs = [&key[..], &[("queueURL", "https://h/1/q"), ("awsEndpoint", https.as_str())]].concat();
        let queue = |host| [("host", host), ("mode", "QueueLength"), ("value", "5"), ("queueName", "q")];
        let prometheus = [("serverAddress", https.as_str()), ("query", "up"), ("threshold", "1"), ("authModes", "tls")];
        vec![
            trigger("kafka", true, &kafka),
            trigger("redis", false, &redis),
            trigger("rabbitmq", false, &queue(&amqps)),
            trigger("rabbitmq", true, &queue(&api)),
            trigger("prometheus", true, &prometheus[..3]),
            trigger("aws-sqs-queue", true, &sqs),
        ]
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn whatever_the_backend_its_requests_are_counted_and_the_brokers_certificate_is_known() {
        let broker = StandIn::secure(|_| Reply::new(500, "not what was asked")).await;
        let ca = fs::read_to_string(StandIn::authority()).expect("its certificate");
        for (metadata, asks) in encrypted(&broker.address.to_string(), broker.address.port(), &ca) {
            let (registry, scaler_type) = (Registry::standard(), metadata.get("scalerType").unwrap_or_default());
            let Some(backend) = registry.find(scaler_type) else { continue };
            let mut keys = Reader::new(&metadata);
            keys.accept(&["scalerType"]);
            let source: Arc<dyn Source> = backend.parse(scaler_type, &mut keys, &Reach::open()).expect(scaler_type);
            let id = source.connection();
            let label = id.label();
            assert_eq!(id.traffic().encryption(), Some(Encryption::Verified), "{label}");
            assert_eq!((id.traffic().requests(), id.traffic().peers().first_to_expire()), (0, None), "{label}");
            let read = timeout(Duration::from_secs(30), source.read()).await;
            assert!(!matches!(read, Ok(Ok(_))), "{label}: it is no broker");
            let shown = id.traffic().peers().first_to_expire().unwrap_or_else(|| panic!("{label}: nobody: {read:?}"));
            // What `rcgen` makes holds for two thousand years.
            assert!(shown.by == "127.0.0.1" && shown.expires > 60_000_000_000, "{label}: {shown:?}");
            assert_eq!(id.traffic().requests(), backend.requests(), "{label}");
            assert_eq!(id.traffic().requests() > 0, asks, "{label}");
        }
    }

    #[cfg(feature = "prometheus")]
    #[tokio::test(flavor = "multi_thread")]
    async fn a_token_that_is_shown_tells_whose_it_is_and_when_it_was_issued() {
        let json = |body: &str| Reply::of_type(200, "application/json", body);
        let login = StandIn::new(move |_| json(r#"{"access_token":"s3cret","expires_in":3600}"#)).await;
        let broker = StandIn::new(move |_| {
            json(r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1,"5"]}]}}"#)
        })
        .await;
        let (url, token_uri) = (broker.url(), format!("{}/token", login.url()));
        let metadata: Metadata = [
            ("serverAddress", url.as_str()),
            ("query", "up"),
            ("threshold", "1"),
            ("authModes", "oauth"),
            ("oauthTokenURI", token_uri.as_str()),
            ("clientID", "me"),
            ("clientSecret", "x"),
        ]
        .into_iter()
        .collect();
        let registry = Registry::standard();
        let backend = registry.find("prometheus").expect("it is there");
        let source = backend.parse("prometheus", &mut Reader::new(&metadata), &Reach::open()).expect("a legal trigger");
        let id = source.connection();
        assert!(id.traffic().issued().is_none(), "nothing is connected yet");
        assert_eq!(source.read().await.map(|reading| reading.value), Ok(5.0));
        let issued = id.traffic().issued().expect("a token");
        assert_eq!(issued.what(), format!("a token of `{}`", login.url()));
        assert!(issued.read().is_some() && !format!("{issued:?}").contains("s3cret"));
    }
}
