//! Redis, without a server: metadata, counting, errors, the wait.

mod counting;
mod fake;
mod hostile;
mod logins;
mod metadata;
mod standing;
mod vectors;
