//! What an operator sees from outside: the log's set-up, and every series we export, declared once.

mod log;
mod series;
pub mod spans;

pub use log::{Log, LogFormat, Spans, init as init_log};
pub use series::{
    Answer, Credentials, Exemplar, METER, Method, Metrics, Observed, Survey, Times, TriggerRow, push_latencies,
};
