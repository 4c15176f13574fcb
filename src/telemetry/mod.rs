//! What an operator sees from outside: the log's set-up, and every series we export, declared once.

mod log;
mod series;

pub use log::{Log, LogFormat, init as init_log};
pub use series::{Answer, Credentials, Exemplar, Method, Metrics, Observed, Survey, TriggerRow};
