//! Against real brokers. Start them with `tests/brokers/up` and load `target/brokers/env`; a broker that is not there
//! is a failure, never a skip.

#[cfg(feature = "kafka")]
mod kafka;
#[cfg(feature = "redis")]
mod redis;
