//! What metadata means, what is asked and how it is counted: rules as tables, and everything recorded of KEDA.

mod address;
mod management;
mod recorded;
mod spec;
mod standin;

use std::sync::Arc;

use super::{
    RabbitMq,
    measure::Stats,
    parts::{most, parts},
    question::Found,
    spec::Spec,
};
use crate::net::Reach;
use crate::{
    backend::{Backend, Source},
    error::SpecError,
    metadata::{Metadata, Reader},
    reading::{Cell, Parts},
};

fn parse(metadata: &Metadata) -> Result<Spec, SpecError> {
    Spec::read(&mut Reader::new(metadata), &Reach::open())
}

fn spec(pairs: &[(&str, &str)]) -> Result<Spec, SpecError> {
    parse(&pairs.iter().copied().collect())
}

fn source(metadata: &Metadata) -> Result<Arc<dyn Source>, SpecError> {
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
    RabbitMq::default().parse("rabbitmq", &mut Reader::new(metadata), &Reach::open())
}

#[test]
fn the_parts_of_a_count_are_its_queues_the_largest_first() {
    let queue = |n: i64| Stats { name: format!("q{n:04}"), messages: Some(n), ready: Some(n / 2), ..Stats::default() };
    let found: Found = (0..1000).map(queue).collect();
    let measure = spec(&[
        ("queueName", ".*"),
        ("useRegex", "true"),
        ("host", "http://h"),
        ("value", "1"),
        ("mode", "QueueLength"),
    ])
    .expect("a legal trigger")
    .measure;
    let reading = measure.reading(&found).expect("complete");
    let kept = most(&found).expect("there are more than are shown");
    let told = parts(reading, &kept, found.len() - kept.len(), &measure);
    assert_eq!((told.rows.len(), told.omitted, told.of.value), (Parts::MOST, 900, 499_500.0));
    let first: [Cell; 4] = ["q0999".into(), 499_i64.into(), 500_i64.into(), 999_i64.into()];
    assert_eq!((&told.rows[0][..], told.rule.as_str()), (&first[..], "messages, of all 1000 queues that match"));
    let few: Found = (0..3).map(queue).collect();
    assert!(most(&few).is_none());
}
