//! What each backend has for a fuzzer, each by itself: a target that reaches only one of them holds no code of the others,
//! whose coverage would have to be looked through after each input.

#[cfg(feature = "kafka")]
pub use super::kafka::fuzz::{answer as kafka, stream as kafka_stream};
#[cfg(feature = "prometheus")]
pub use super::prometheus::fuzz::answer as prometheus;
#[cfg(feature = "rabbitmq")]
pub use super::rabbitmq::{fuzz_amqp::frames as rabbitmq_amqp, fuzz_http::answer as rabbitmq_http};
#[cfg(feature = "redis")]
pub use super::redis::fuzz::answer as redis;
#[cfg(feature = "sqs")]
pub use super::sqs::fuzz::answer as sqs;
