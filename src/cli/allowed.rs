//! The options of `plimsoll serve` that say how much may be observed.

use clap::Args;

use crate::config::Limits;

/// What is refused with `RESOURCE_EXHAUSTED` beyond it.
#[derive(Debug, Args)]
pub(super) struct Allowed {
    /// Distinct triggers under observation, in all: some 6 KiB each [default: 20000].
    #[arg(long, env = "PLIMSOLL_MAX_TRIGGERS", value_name = "N")]
    max_triggers: Option<usize>,
    /// Distinct triggers of one namespace [default: 15000].
    #[arg(long, env = "PLIMSOLL_MAX_TRIGGERS_PER_NAMESPACE", value_name = "N")]
    max_triggers_per_namespace: Option<usize>,
    /// Distinct connections to brokers (address, login and TLS), in all [default: 2000].
    #[arg(long, env = "PLIMSOLL_MAX_CONNECTIONS", value_name = "N")]
    max_connections: Option<usize>,
    /// Distinct connections of one namespace [default: 1500].
    #[arg(long, env = "PLIMSOLL_MAX_CONNECTIONS_PER_NAMESPACE", value_name = "N")]
    max_connections_per_namespace: Option<usize>,
}

impl Allowed {
    pub(super) fn limits(&self) -> Limits {
        Limits {
            triggers: self.max_triggers,
            triggers_per_namespace: self.max_triggers_per_namespace,
            connections: self.max_connections,
            connections_per_namespace: self.max_connections_per_namespace,
        }
    }
}
