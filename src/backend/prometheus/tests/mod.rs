//! What metadata means and what answers mean: rules as tables, and everything that was recorded of KEDA.

mod answer;
mod parts;
mod recorded;
mod spec;

use super::spec::Spec;
use crate::{
    error::SpecError,
    metadata::{Metadata, Reader},
    net::Reach,
};

fn parse(pairs: &[(&str, &str)]) -> Result<Spec, SpecError> {
    let metadata: Metadata = pairs.iter().copied().collect();
    Spec::read(&mut Reader::new(&metadata), &Reach::open())
}

/// A trigger with the required keys and `more`.
fn spec(more: &[(&str, &str)]) -> Result<Spec, SpecError> {
    let mut pairs = vec![("serverAddress", "http://p:9090"), ("query", "up"), ("threshold", "10")];
    pairs.extend_from_slice(more);
    parse(&pairs)
}
