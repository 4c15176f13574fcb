//! Kafka: topics of one partition and a group whose commits are ours, written by librdkafka.
//!
//! Its listener for proxied clients advertises the proxy's address, so that no client finds a way around it.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::{BufMut, BytesMut};
use kafka_protocol::{
    messages::{
        ApiKey, CreateAclsRequest, DeleteAclsRequest, RequestHeader, create_acls_request::AclCreation,
        delete_acls_request::DeleteAclsFilter,
    },
    protocol::{Encodable, StrBytes},
};
use parking_lot::Mutex;
use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    consumer::{BaseConsumer, CommitMode, Consumer},
    producer::{FutureProducer, FutureRecord, Producer},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{Broker, Trigger, variable};
use crate::proxy::Proxy;

const PATIENCE: Duration = Duration::from_secs(20);
const ACLS_VERSION: i16 = 2;

pub struct Kafka {
    run: String,
    admin: AdminClient<DefaultClientContext>,
    producer: FutureProducer,
    committed: Arc<Mutex<BTreeMap<String, i64>>>,
}

impl Kafka {
    pub fn new(run: &str) -> Self {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", variable("KAFKA")).set("linger.ms", "0").set("reconnect.backoff.max.ms", "500");
        let (admin, producer) = (config.create().unwrap(), config.create().unwrap());
        Self { run: run.to_owned(), admin, producer, committed: Arc::default() }
    }

    async fn end(&self, source: &str) -> Option<i64> {
        let (producer, topic) = (self.producer.clone(), source.to_owned());
        let ask = move || producer.client().fetch_watermarks(&topic, 0, Duration::from_secs(2));
        tokio::task::spawn_blocking(ask).await.unwrap().ok().map(|(_, end)| end)
    }

    async fn commit(&self, source: &str, offset: i64) {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(source, 0, Offset::Offset(offset)).unwrap();
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", variable("KAFKA")).set("group.id", source).set("enable.auto.commit", "false");
        let commit = move || {
            let consumer: BaseConsumer = config.create().unwrap();
            // A topic is created before its broker knows of it.
            let begin = std::time::SystemTime::now();
            while let Err(error) = consumer.commit(&list, CommitMode::Sync) {
                assert!(begin.elapsed().unwrap() < PATIENCE, "not committed: {error}");
            }
        };
        tokio::task::spawn_blocking(commit).await.unwrap();
        self.committed.lock().insert(source.to_owned(), offset);
    }
}

/// Asks by hand what librdkafka's binding cannot.
pub async fn ask(key: ApiKey, version: i16, request: &impl Encodable) {
    let mut frame = BytesMut::new();
    let header = RequestHeader::default().with_request_api_key(key as i16).with_request_api_version(version);
    header.encode(&mut frame, key.request_header_version(version)).unwrap();
    request.encode(&mut frame, version).unwrap();
    let mut stream = TcpStream::connect(variable("KAFKA")).await.unwrap();
    let mut sized = BytesMut::new();
    sized.put_u32(frame.len().try_into().unwrap());
    sized.unsplit(frame);
    stream.write_all(&sized).await.unwrap();
    let length = stream.read_u32().await.unwrap();
    stream.read_exact(&mut vec![0; length as usize]).await.unwrap();
}

// Numbers of Kafka's protocol.
const TOPIC: i8 = 2;
const PREFIXED: i8 = 4;
const ALL: i8 = 2;
const DENY: i8 = 2;

#[async_trait]
impl Broker for Kafka {
    fn name(&self) -> &'static str {
        "kafka"
    }

    fn node(&self) -> &'static str {
        "kafka"
    }

    fn behind_proxy(&self) -> String {
        variable("KAFKA_PROXIED")
    }

    fn proxy(&self) -> String {
        variable("KAFKA_PROXY")
    }

    fn direct(&self) -> String {
        variable("KAFKA_SASL")
    }

    fn trigger(&self, source: &str, address: &str) -> Trigger {
        vec![
            ("scalerType", "kafka".to_owned()),
            ("bootstrapServers", address.to_owned()),
            ("consumerGroup", source.to_owned()),
            ("topic", source.to_owned()),
            ("sasl", "plaintext".to_owned()),
            ("username", "user".to_owned()),
            ("password", "user-secret".to_owned()),
        ]
    }

    async fn create(&self, source: &str) {
        if self.committed.lock().contains_key(source) {
            return;
        }
        let options = AdminOptions::new().operation_timeout(Some(PATIENCE));
        let topic = NewTopic::new(source, 1, TopicReplication::Fixed(1));
        self.admin.create_topics([&topic], &options).await.unwrap().remove(0).unwrap();
        self.commit(source, 0).await;
    }

    async fn add(&self, source: &str) {
        let record = FutureRecord::<(), str>::to(source).partition(0).payload("work");
        self.producer.send(record, PATIENCE).await.unwrap();
    }

    async fn clear(&self, source: &str) {
        let end = self.end(source).await.unwrap();
        self.commit(source, end).await;
    }

    async fn count(&self, source: &str) -> Option<usize> {
        let committed = self.committed.lock().get(source).copied()?;
        usize::try_from(self.end(source).await? - committed).ok()
    }

    async fn deny(&self, _proxy: &Proxy) {
        let deny = AclCreation::default()
            .with_resource_type(TOPIC)
            .with_resource_name(StrBytes::from_string(self.run.clone()))
            .with_resource_pattern_type(PREFIXED)
            .with_principal(StrBytes::from_static_str("User:user"))
            .with_host(StrBytes::from_static_str("*"))
            .with_operation(ALL)
            .with_permission_type(DENY);
        ask(ApiKey::CreateAcls, ACLS_VERSION, &CreateAclsRequest::default().with_creations(vec![deny])).await;
    }

    async fn allow(&self, _proxy: &Proxy) {
        let filter = DeleteAclsFilter::default()
            .with_resource_type_filter(TOPIC)
            .with_resource_name_filter(Some(StrBytes::from_string(self.run.clone())))
            .with_pattern_type_filter(PREFIXED)
            .with_principal_filter(None)
            .with_host_filter(None)
            .with_operation(ALL)
            .with_permission_type(DENY);
        ask(ApiKey::DeleteAcls, ACLS_VERSION, &DeleteAclsRequest::default().with_filters(vec![filter])).await;
    }

    async fn forget(&self, sources: &[&str]) {
        self.admin.delete_topics(sources, &AdminOptions::new()).await.unwrap();
    }
}
