//! What each backend has for a fuzzer.

/// A name, and what reads the bytes.
pub type Fuzzed = (&'static str, fn(&[u8]));

/// All of them.
pub fn targets() -> impl Iterator<Item = Fuzzed> {
    let all: Vec<&[Fuzzed]> = vec![
        #[cfg(feature = "kafka")]
        super::kafka::FUZZED,
        #[cfg(feature = "rabbitmq")]
        super::rabbitmq::FUZZED,
        #[cfg(feature = "redis")]
        super::redis::FUZZED,
        #[cfg(feature = "sqs")]
        super::sqs::FUZZED,
        #[cfg(feature = "prometheus")]
        super::prometheus::FUZZED,
    ];
    all.into_iter().flatten().copied()
}
