//! The words of SQS as a fuzzer has them, through the SDK that reads them.

use std::sync::{Arc, LazyLock};

use aws_sdk_sqs::{
    Client,
    config::{BehaviorVersion, Credentials, Region, retry::RetryConfig, timeout::TimeoutConfig},
};
use aws_smithy_runtime_api::{
    client::{
        http::{
            HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
            SharedHttpConnector,
        },
        orchestrator::{HttpRequest, HttpResponse},
        runtime_components::RuntimeComponents,
    },
    http::StatusCode,
};
use aws_smithy_types::body::SdkBody;
use parking_lot::Mutex;
use tokio::runtime::{Builder, Runtime};

use super::{super::spec::Spec, explain, said};
use crate::{
    backend::sqs::count::count,
    metadata::{Metadata, Reader},
    net::Reach,
};

/// Answers every request so: a status and a body.
#[derive(Debug, Clone, Default)]
struct Said(Arc<Mutex<(u16, Vec<u8>)>>);

impl HttpClient for Said {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Said {
    fn call(&self, _: HttpRequest) -> HttpConnectorFuture {
        let (status, body) = self.0.lock().clone();
        let status = StatusCode::try_from(status);
        HttpConnectorFuture::ready(
            status
                .map(|status| HttpResponse::new(status, SdkBody::from(body)))
                .map_err(|error| aws_smithy_runtime_api::client::result::ConnectorError::other(error.into(), None)),
        )
    }
}

/// What is made once: the SDK, what it hears, a trigger.
struct Bench {
    sdk: Client,
    said: Said,
    spec: Spec,
    runtime: Runtime,
}

static BENCH: LazyLock<Option<Bench>> = LazyLock::new(|| {
    let said = Said::default();
    let config = aws_sdk_sqs::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-west-1"))
        .credentials_provider(Credentials::new("reader", "secret", None, None, "fuzz"))
        .retry_config(RetryConfig::disabled())
        .timeout_config(TimeoutConfig::disabled())
        .http_client(SharedHttpClient::new(said.clone()));
    let metadata: Metadata = [
        ("queueURL", "https://sqs.eu-west-1.amazonaws.com/123456789012/orders"),
        ("awsRegion", "eu-west-1"),
        ("awsAccessKeyID", "reader"),
        ("awsSecretAccessKey", "secret"),
    ]
    .into_iter()
    .collect();
    let spec = Spec::read(&mut Reader::new(&metadata), &Reach::open()).ok()?;
    let runtime = Builder::new_current_thread().enable_all().build().ok()?;
    Some(Bench { sdk: Client::from_conf(config.build()), said, spec, runtime })
});

/// The first byte chooses the status, the rest is the body.
pub fn answer(data: &[u8]) {
    let ([status, body @ ..], Some(bench)) = (data, BENCH.as_ref()) else { return };
    let status = if status.is_multiple_of(2) { 200 } else { 400 };
    *bench.said.0.lock() = (status, body.to_vec());
    let asked = bench.sdk.get_queue_attributes().queue_url(&bench.spec.queue.given).send();
    match bench.runtime.block_on(asked) {
        Ok(output) => drop(count(&bench.spec, &said(output))),
        Err(error) => drop(explain::failed(&bench.spec.connection, &bench.spec.queue, &error)),
    }
}
