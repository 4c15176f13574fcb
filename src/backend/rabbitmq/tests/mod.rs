//! What metadata means, what is asked and how it is counted: rules as tables, and everything recorded of KEDA.

mod address;
mod management;
mod recorded;
mod spec;
mod standin;

use std::sync::Arc;

use super::{RabbitMq, spec::Spec};
use crate::net::Reach;
use crate::{
    backend::{Backend, Source},
    error::SpecError,
    metadata::{Metadata, Reader},
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
