//! How many replicas there are and which is this one: the addresses of the headless Service, asked for anew every half a
//! minute.
//!
//! It publishes the replicas that are ready. Not for: what the others know, which is on their pages.

use std::{net::IpAddr, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::{
    net::UdpSocket,
    time::{Instant, sleep},
};

use crate::{
    error::clean,
    limits,
    net::{Reach, resolve_up_to},
    task::{self, Task},
};

/// How often the name is resolved, and how soon again where that fails: a first replica has no address until it is ready.
const EVERY: Duration = Duration::from_secs(30);
const AGAIN: Duration = Duration::from_secs(5);
/// Addresses that are told: more replicas than anybody runs.
const MOST: usize = 100;

/// What is known of the Service.
#[derive(Debug)]
pub(super) struct Replicas {
    /// Its name.
    pub(super) service: String,
    seen: Arc<Mutex<Seen>>,
    _resolving: Task,
}

/// What was found out last.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    /// The addresses that were found last, and when.
    pub(super) found: Option<(Found, Instant)>,
    /// Why the last try failed.
    pub(super) error: Option<String>,
}

/// The addresses of a Service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    /// One for each replica, and whether it is our own.
    pub(super) replicas: Vec<(IpAddr, bool)>,
    /// There are more of them.
    pub(super) more: bool,
}

impl Replicas {
    /// Resolves `service` for as long as this lives.
    pub(super) fn of(service: String) -> Self {
        let seen: Arc<Mutex<Seen>> = Arc::default();
        let (name, kept) = (service.clone(), Arc::clone(&seen));
        let resolving = task::supervise("replicas", move || follow(name.clone(), Arc::clone(&kept)));
        Self { service, seen, _resolving: resolving }
    }

    /// What is known now.
    pub(super) fn seen(&self) -> Seen {
        self.seen.lock().clone()
    }
}

async fn follow(service: String, seen: Arc<Mutex<Seen>>) {
    loop {
        let pause = match find(&service).await {
            Ok(found) => {
                *seen.lock() = Seen { found: Some((found, Instant::now())), error: None };
                EVERY
            }
            // What was found before stands beside it, with its age.
            Err(error) => {
                seen.lock().error = Some(error);
                AGAIN
            }
        };
        sleep(pause).await;
    }
}

async fn find(service: &str) -> Result<Found, String> {
    let until = Instant::now() + limits::DIAL;
    let addresses = resolve_up_to(MOST + 1, &Reach::of_operator(), service, until).await;
    let addresses = addresses.map_err(|error| {
        clean(&format!("`{service}` cannot be resolved: {error}: check `--service` and the cluster's DNS")).into_owned()
    })?;
    let mut replicas = Vec::new();
    for address in of_one_family(addresses) {
        replicas.push((address, is_ours(address).await));
    }
    let more = replicas.len() > MOST;
    replicas.truncate(MOST);
    Ok(Found { replicas, more })
}

/// A replica of a Service of both families has an address of each: those of the family with more of them, in order.
fn of_one_family(addresses: Vec<IpAddr>) -> Vec<IpAddr> {
    let (v4, v6): (Vec<_>, Vec<_>) = addresses.into_iter().partition(IpAddr::is_ipv4);
    let mut more = if v6.len() > v4.len() { v6 } else { v4 };
    more.sort_unstable();
    more.dedup();
    more
}

/// Only an address of this machine can be listened on.
async fn is_ours(address: IpAddr) -> bool {
    UdpSocket::bind((address, 0)).await.is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::TwoAddresses;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[tokio::test]
    async fn each_address_is_a_replica_and_our_own_is_known() {
        let two = TwoAddresses::of(1);
        let found = find(&two.name()).await.expect("it has two");
        assert_eq!((found.replicas.len(), found.more), (2, false));
        assert!(found.replicas.iter().all(|(address, ours)| address.is_loopback() && *ours), "{found:?}");
        // TEST-NET-1 (RFC 5737) is nobody's.
        assert!(!is_ours(ip("192.0.2.1")).await && is_ours(ip("127.0.0.1")).await);
    }

    #[test]
    fn a_replica_with_an_address_of_each_family_is_one() {
        let both = ["10.0.0.2", "fd00::1", "10.0.0.1", "fd00::2"].map(ip);
        assert_eq!(of_one_family(both.into()), ["10.0.0.1", "10.0.0.2"].map(ip));
        assert_eq!(of_one_family(["10.0.0.1", "fd00::2", "fd00::1"].map(ip).into()), ["fd00::1", "fd00::2"].map(ip));
    }

    #[tokio::test]
    async fn a_name_that_is_not_resolved_is_an_error_and_never_no_replica() {
        let replicas = Replicas::of("no-such-service.invalid".to_owned());
        let error = loop {
            let Seen { found, error } = replicas.seen();
            assert_eq!(found.map(|(found, _)| found), None);
            match error {
                Some(error) => break error,
                None => tokio::task::yield_now().await,
            }
        };
        assert!(error.starts_with("`no-such-service.invalid` cannot be resolved: its name has no address"), "{error}");
        assert!(error.contains("--service"), "{error}");
    }

    #[tokio::test]
    async fn what_was_found_stands_beside_a_later_failure() {
        let seen: Arc<Mutex<Seen>> = Arc::default();
        let found = Found { replicas: vec![(ip("10.0.0.1"), false)], more: false };
        seen.lock().found = Some((found.clone(), Instant::now()));
        let following = task::supervise("replicas", {
            let seen = Arc::clone(&seen);
            move || follow("no-such-service.invalid".to_owned(), Arc::clone(&seen))
        });
        while seen.lock().error.is_none() {
            tokio::task::yield_now().await;
        }
        assert_eq!(seen.lock().found.clone().map(|(found, _)| found), Some(found));
        drop(following);
    }
}
