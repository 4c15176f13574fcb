//! What metadata means and how lag is counted: rules as tables, and everything that was recorded of KEDA.

mod group;
mod lag;
mod recorded;
mod spec;

use super::spec::{Dialect, Spec};
use crate::{
    error::SpecError,
    metadata::{Metadata, Reader},
    net::Reach,
};

fn parse(dialect: Dialect, pairs: &[(&str, &str)]) -> Result<Spec, SpecError> {
    let metadata: Metadata = pairs.iter().copied().collect();
    Spec::read(dialect, &mut Reader::new(&metadata), &Reach::open())
}

/// A trigger with the required keys and `more`.
fn spec(dialect: Dialect, more: &[(&str, &str)]) -> Result<Spec, SpecError> {
    let mut pairs = vec![("bootstrapServers", "b1:9092"), ("consumerGroup", "g"), ("topic", "t")];
    pairs.extend_from_slice(more);
    parse(dialect, &pairs)
}
