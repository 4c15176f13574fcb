//! Everything recorded of KEDA's two Kafka scalers (`tests/vectors/kafka.json`), held against ours.

mod lag;
mod parse;

use std::collections::BTreeMap;

use serde_json::Value;

use super::super::{
    lag::even_replicas,
    partitions::Partitions,
    spec::{Dialect, Spec},
};
use crate::{
    backend::recorded::Vectors,
    metadata::{Metadata, Reader},
    net::Reach,
};

const VECTORS: Vectors = Vectors(include_str!("../../../../../tests/vectors/kafka.json"));

fn dialect(case: &Value) -> Dialect {
    Dialect::of(case["scalerType"].as_str().expect("every case has a scalerType"))
}

fn metadata(case: &Value) -> Metadata {
    serde_json::from_value::<BTreeMap<String, String>>(case["metadata"].clone()).expect("metadata are strings").into()
}

#[test]
fn partition_limitations_read_as_recorded() {
    let numbers = |partitions: &Partitions| (0..100).filter(|n| partitions.contains(*n)).collect::<Vec<_>>();
    let keda = |case: &Value| serde_json::from_value::<Option<Vec<i32>>>(case["expect"].clone()).expect("a list");
    let ours = |case: &Value| {
        let input = case["input"].as_str().expect("an input");
        Partitions::parse(input, dialect(case)).ok().as_ref().map(numbers)
    };
    VECTORS.hold("partitionLimitation", &[], keda, ours);
}

#[test]
fn without_a_limitation_every_partition_counts_as_recorded() {
    let keda = |case: &Value| case["expect"].as_array().expect("a list").clone();
    let ours = |case: &Value| {
        assert!(case["partitionLimitation"].is_null());
        let spec = super::spec(dialect(case), &[]).expect("a legal trigger");
        let counts = |partition: &i64| {
            spec.query.partitions.as_ref().is_none_or(|limit| limit.contains(i32::try_from(*partition).expect("small")))
        };
        let cluster = case["cluster"].as_array().expect("a list");
        cluster.iter().filter(|partition| counts(&partition.as_i64().expect("a number"))).cloned().collect()
    };
    VECTORS.hold("topicPartitions", &[], keda, ours);
}

#[test]
fn even_distribution_takes_the_divisors_as_recorded() {
    let number = |value: &Value| value.as_i64().expect("a number");
    let count = |value: &Value| u32::try_from(number(value)).expect("small");
    let factors = |case: &Value| {
        let partitions = count(&case["partitions"]);
        // With a threshold of 1, lag 1, 2, 3 … asks for each divisor in turn.
        let mut factors: Vec<u32> = (1..=partitions).map(|lag| even_replicas(lag.into(), partitions, 1)).collect();
        factors.dedup();
        factors
    };
    let listed = |case: &Value| case["expect"].as_array().expect("a list").iter().map(count).collect();
    VECTORS.hold("factors", &[], listed, factors);

    let next = |case: &Value| {
        let (lag, threshold) = (number(&case["lag"]), number(&case["lagThreshold"]));
        even_replicas(lag.into(), count(&case["partitions"]), threshold.into())
    };
    VECTORS.hold("nextFactor", &[], |case| count(&case["expect"]), next);
}

#[test]
fn client_settings_follow_as_recorded() {
    let keda = |case: &Value| (case["expect"]["sasl"] == true, case["expect"]["tls"] == true);
    let ours = |case: &Value| {
        let metadata = metadata(case);
        let spec = Spec::read(dialect(case), &mut Reader::new(&metadata), &Reach::open());
        let connection = spec.expect("a legal trigger").connection;
        (connection.sasl.is_some(), connection.tls.is_some())
    };
    VECTORS.hold("clientConfig", &[], keda, ours);
}
