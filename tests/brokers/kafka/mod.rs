//! Kafka: the wire client against Apache Kafka, old and new, and others that speak its protocol.

mod checked;
mod costs;
mod faults;
pub mod fixtures;
mod groups;
#[cfg(feature = "gssapi")]
mod kerberos;
mod logins;
mod others;
mod reads;
mod stand_in;
mod three;
mod tokens;
mod triggers;
mod wakes;
