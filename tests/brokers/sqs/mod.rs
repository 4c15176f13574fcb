//! SQS: what is counted, what wakes, what it costs, on ElasticMQ; and whose rights are used, on servers of the tests'
//! own, since ElasticMQ asks for none.

pub mod fixtures;
mod identity;
mod issuer;
mod values;
mod waking;
