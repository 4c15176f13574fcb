//! All that can be said of a trigger without asking its broker: for whoever checks one before it is applied.
//!
//! Not for: the server, which has the source or one error (`mod.rs`).

use std::{sync::Arc, time::Duration};

use super::{Common, Push, find_backend};
use crate::{
    backend::{Registry, Source},
    error::Problem,
    metadata::{Login, Metadata, Orders, Reader, Unknown},
    net::Reach,
};

/// What is known of a trigger.
#[derive(Debug)]
pub struct Examined {
    /// Its scaler type, where this server has it.
    pub scaler_type: Option<&'static str>,
    /// Why it cannot be followed; empty where it can.
    pub problems: Vec<Problem>,
    /// What is legal and hardly meant.
    pub warnings: Vec<String>,
    /// Keys that the scaler does not have.
    pub unknown: Vec<Unknown>,
    /// Every key that the scaler has.
    pub known: Vec<&'static str>,
    /// The place to read, where it can be followed.
    pub source: Option<Arc<dyn Source>>,
    /// What its stream would say.
    pub push: Push,
    /// How long a sample would live, where the trigger says so.
    pub interval: Option<Duration>,
}

/// Examines the trigger with this metadata and this login.
#[must_use]
pub fn examine(registry: &Registry, metadata: &Metadata, reach: &Reach, login: &Login) -> Examined {
    let mut examined = Examined {
        scaler_type: None,
        problems: Vec::new(),
        warnings: Vec::new(),
        unknown: Vec::new(),
        known: Vec::new(),
        source: None,
        push: Push::Always,
        interval: None,
    };
    if let Some(problem) = metadata.excess() {
        examined.problems.push(problem);
        return examined;
    }
    let mut keys = Reader::new(metadata);
    let (scaler_type, backend) = match find_backend(registry, &mut keys) {
        Ok(found) => found,
        Err(error) => {
            examined.problems = error.problems;
            return examined;
        }
    };
    let common = Common::read(&mut keys, super::SHORTEST_INTERVAL);
    let orders = backend.orders(scaler_type);
    keys.use_login(login, orders);
    examined.scaler_type = Some(scaler_type);
    examined.push = common.push;
    examined.interval = keys.is_set("pollingInterval").then_some(common.interval);
    match backend.parse(scaler_type, &mut keys, reach) {
        Ok(source) => examined.source = Some(source),
        Err(error) => examined.problems = error.problems,
    }
    // A parser that has given up may not have asked for all.
    keys.accept(&all(orders));
    examined.warnings = keys.warnings().to_vec();
    examined.unknown = keys.unknown();
    examined.known = keys.known().to_vec();
    examined
}

fn all(orders: Orders) -> Vec<&'static str> {
    orders.iter().flat_map(|(_, keys)| keys.iter().copied()).collect()
}
