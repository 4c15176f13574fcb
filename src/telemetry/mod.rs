//! What an operator sees from outside: the log's set-up, and every series we export, declared once.

mod log;
mod series;

pub use log::{LogFormat, init as init_log};
pub use series::{Method, Metrics};
