//! Kafka: the wire client against Apache Kafka, old and new, and others that speak its protocol.

mod fixtures;
mod reads;
