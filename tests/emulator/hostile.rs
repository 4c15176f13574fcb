//! Triggers as somebody would make them who wants to do harm: long values, many keys, dead hosts, no two alike.

use std::time::Duration;

use tonic::{Code, transport::Channel};

use crate::emulator::Keda;

/// Among how many namespaces they are: a quarter of the triggers is all that one may have.
const NAMESPACES: usize = 40;

/// One hostile question. Every sixth is long, or has many keys; all are distinct, and most lead to a host of their own.
pub async fn ask(channel: Channel, n: usize) -> Code {
    let filler = "x".repeat(60_000);
    let host = format!("127.{}.{}.{}:1", n / 65_536 % 250 + 1, n / 256 % 256, n % 256);
    let mut metadata: Vec<(String, String)> = match n % 6 {
        0 => vec![("scalerType", "redis".to_owned()), ("address", host), ("listName", format!("l{n}-{filler}"))],
        1 => vec![
            ("scalerType", "kafka".to_owned()),
            ("bootstrapServers", host),
            ("consumerGroup", format!("g{n}")),
            ("topic", "t".to_owned()),
            ("lagThreshold", "5".to_owned()),
        ],
        2 => vec![
            ("scalerType", "prometheus".to_owned()),
            ("serverAddress", format!("http://{host}")),
            ("query", format!("q{n}{{a=\"{filler}\"}}")),
            ("threshold", "5".to_owned()),
        ],
        3 => vec![
            ("scalerType", "rabbitmq".to_owned()),
            ("host", format!("amqp://{host}")),
            ("queueName", format!("q{n}")),
            ("mode", "QueueLength".to_owned()),
            ("value", "5".to_owned()),
        ],
        4 => vec![
            ("scalerType", "aws-sqs-queue".to_owned()),
            ("queueURL", format!("http://{host}/000000000000/q{n}")),
            ("awsEndpoint", format!("http://{host}")),
            ("awsRegion", "eu-west-1".to_owned()),
            ("awsAccessKeyID", "a".to_owned()),
            ("awsSecretAccessKey", "b".to_owned()),
        ],
        _ => vec![("scalerType", "redis".to_owned()), ("address", host), ("listName", format!("l{n}"))],
    }
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value))
    .collect();
    if n % 6 == 5 {
        metadata.extend((0..60).map(|key| (format!("key-{key}-{}", &filler[..200]), filler[..3_000].to_owned())));
    }
    let pairs: Vec<_> = metadata.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    let (namespace, name) = (format!("tenant{}", n % NAMESPACES), format!("h{n}"));
    let mut keda = Keda::of(channel, (&namespace, &name), &pairs);
    keda.value("any", Some(Duration::from_secs(20))).await.map_or_else(|status| status.code(), |_| Code::Ok)
}
