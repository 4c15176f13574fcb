//! SQS: queues of ElasticMQ, written by the AWS SDK.
//!
//! ElasticMQ takes any key and forgets its queues when it ends. So AWS's refusal comes from the proxy, word for word,
//! and what a killed one has lost is written again.

use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_sqs::{
    Client,
    config::{BehaviorVersion, Credentials, Region, timeout::TimeoutConfig},
    types::QueueAttributeName,
};

use super::{Broker, Trigger, variable};
use crate::proxy::{Mode, Proxy};

const DENIED: &str = r#"{"__type":"com.amazonaws.sqs#AccessDeniedException","message":"User: arn:aws:iam::000000000000:user/reader is not authorized to perform: sqs:getqueueattributes on this resource"}"#;

pub struct Sqs {
    url: String,
    writer: Client,
}

impl Sqs {
    pub fn new() -> Self {
        let url = variable("SQS");
        let config = aws_sdk_sqs::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("eu-west-1"))
            .endpoint_url(&url)
            .timeout_config(TimeoutConfig::builder().operation_timeout(Duration::from_secs(2)).build())
            .credentials_provider(Credentials::new("writer", "secret", None, None, "test"));
        Self { url, writer: Client::from_conf(config.build()) }
    }

    fn queue(&self, address: &str, source: &str) -> String {
        format!("http://{address}/000000000000/{source}")
    }
}

#[async_trait]
impl Broker for Sqs {
    fn name(&self) -> &'static str {
        "sqs"
    }

    fn node(&self) -> &'static str {
        "sqs"
    }

    fn behind_proxy(&self) -> String {
        self.url.trim_start_matches("http://").to_owned()
    }

    fn trigger(&self, source: &str, address: &str) -> Trigger {
        vec![
            ("scalerType", "aws-sqs-queue".to_owned()),
            ("awsEndpoint", format!("http://{address}")),
            ("awsRegion", "eu-west-1".to_owned()),
            ("awsAccessKeyID", "reader".to_owned()),
            ("awsSecretAccessKey", "secret".to_owned()),
            ("queueURL", self.queue(address, source)),
        ]
    }

    async fn create(&self, source: &str) {
        self.writer.create_queue().queue_name(source).send().await.unwrap();
    }

    async fn add(&self, source: &str) {
        let url = self.queue(&self.behind_proxy(), source);
        self.writer.send_message().queue_url(url).message_body("work").send().await.unwrap();
    }

    async fn clear(&self, source: &str) {
        let url = self.queue(&self.behind_proxy(), source);
        self.writer.purge_queue().queue_url(url).send().await.unwrap();
    }

    async fn count(&self, source: &str) -> Option<usize> {
        let url = self.queue(&self.behind_proxy(), source);
        let wanted = QueueAttributeName::ApproximateNumberOfMessages;
        let asked = self.writer.get_queue_attributes().queue_url(url).attribute_names(wanted.clone()).send().await;
        match asked {
            Ok(answer) => answer.attributes()?.get(&wanted)?.parse().ok(),
            // A queue that is not there is an answer of one that is.
            Err(error) => {
                let code = error.as_service_error().and_then(|error| error.meta().code());
                (code == Some("QueueDoesNotExist")).then_some(0)
            }
        }
    }

    async fn deny(&self, proxy: &Proxy) {
        proxy.set(Mode::Forbid(DENIED));
    }

    async fn allow(&self, proxy: &Proxy) {
        proxy.set(Mode::Through);
    }

    async fn forget(&self, sources: &[&str]) {
        for source in sources {
            let url = self.queue(&self.behind_proxy(), source);
            self.writer.delete_queue().queue_url(url).send().await.unwrap();
        }
    }
}
