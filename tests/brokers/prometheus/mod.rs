//! Prometheus: triggers against a real one that scrapes us, and against a stand-in where the request itself counts.

pub mod fixtures;
mod logins;
mod sharing;
mod stand_in;
mod values;
