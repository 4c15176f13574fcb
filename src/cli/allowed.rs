//! The options of `plimsoll serve` that say how much may be observed.

use clap::Args;

use crate::{
    limits,
    sampler::{Allowance, Room},
};

/// What is refused with `RESOURCE_EXHAUSTED` beyond it.
#[derive(Debug, Args)]
pub(super) struct Allowed {
    /// Distinct triggers under observation, in all: some 6 KiB each.
    #[arg(long, env = "PLIMSOLL_MAX_TRIGGERS", value_name = "N", default_value_t = limits::TRIGGERS.0)]
    max_triggers: usize,
    /// Distinct triggers of one namespace.
    #[arg(long, env = "PLIMSOLL_MAX_TRIGGERS_PER_NAMESPACE", value_name = "N", default_value_t = limits::TRIGGERS.1)]
    max_triggers_per_namespace: usize,
    /// Distinct connections to brokers (address, login and TLS), in all.
    #[arg(long, env = "PLIMSOLL_MAX_CONNECTIONS", value_name = "N", default_value_t = limits::CONNECTIONS.0)]
    max_connections: usize,
    /// Distinct connections of one namespace.
    #[arg(long, env = "PLIMSOLL_MAX_CONNECTIONS_PER_NAMESPACE", value_name = "N", default_value_t = limits::CONNECTIONS.1)]
    max_connections_per_namespace: usize,
}

impl Allowed {
    pub(super) fn allowance(&self) -> Allowance {
        Allowance {
            triggers: Room { in_all: self.max_triggers, per_namespace: self.max_triggers_per_namespace },
            connections: Room { in_all: self.max_connections, per_namespace: self.max_connections_per_namespace },
        }
    }
}
