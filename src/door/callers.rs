//! Who is connected to a port, and who has to leave when it is full.
//!
//! One address never takes all places, and a caller that does nothing never keeps out one that would: where there is no
//! place, the one that has been idle for longest leaves.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv6Addr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::limits::Limit;

/// The callers of one port. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Callers(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    port: &'static str,
    most: usize,
    most_of_one: usize,
    present: Mutex<Present>,
}

#[derive(Debug, Default)]
struct Present {
    next: u64,
    /// In the order of their coming.
    seats: BTreeMap<u64, Seat>,
    full: bool,
}

#[derive(Debug)]
struct Seat {
    address: IpAddr,
    work: Arc<AtomicUsize>,
    leave: CancellationToken,
}

/// One caller's place; free again when it is dropped.
#[derive(Debug)]
pub struct Caller {
    address: Option<IpAddr>,
    place: Option<(Callers, u64)>,
    work: Arc<AtomicUsize>,
    leave: CancellationToken,
}

/// A caller that has something to be done: it keeps its place while this lives.
#[derive(Debug)]
pub struct Working(Arc<AtomicUsize>);

impl Callers {
    /// Nobody yet: at most `most` at a time, and `most_of_one` from one address. `port` is its name in the log.
    #[must_use]
    pub fn new(port: &'static str, most: usize, most_of_one: usize) -> Self {
        Self(Arc::new(Shared { port, most, most_of_one, present: Mutex::default() }))
    }

    /// A place for a caller from `address`, if need be that of an idle one; `None` where all are at work.
    #[must_use]
    pub fn admit(&self, address: IpAddr) -> Option<Caller> {
        let (from, address, mut present) = (address, network(address), self.0.present.lock());
        let mut places = self.place(&mut present, |seat| seat.address == address, self.0.most_of_one);
        places &= self.place(&mut present, |_| true, self.0.most);
        if !places {
            return None;
        }
        let number = present.next;
        present.next += 1;
        let seat = Seat { address, work: Arc::default(), leave: CancellationToken::new() };
        let (work, leave) = (Arc::clone(&seat.work), seat.leave.clone());
        present.seats.insert(number, seat);
        Some(Caller { address: Some(from.to_canonical()), place: Some((self.clone(), number)), work, leave })
    }

    /// How many are here.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.present.lock().seats.len()
    }

    /// Makes a place among those that `counts`, if there is one to be had.
    fn place(&self, present: &mut Present, counts: impl Fn(&Seat) -> bool, most: usize) -> bool {
        if present.seats.values().filter(|seat| counts(seat)).count() < most {
            return true;
        }
        Limit::Callers.crossed();
        if !present.full {
            present.full = true;
            warn!(
                port = self.0.port,
                connections = most,
                "a port is full: connections that do nothing are closed; see who holds so many, and let in only those who \
                 need it (NetworkPolicy)"
            );
        }
        let idle = |seat: &Seat| counts(seat) && seat.work.load(Ordering::Relaxed) == 0;
        let Some(number) = present.seats.iter().find(|(_, seat)| idle(seat)).map(|(number, _)| *number) else {
            return false;
        };
        if let Some(seat) = present.seats.remove(&number) {
            seat.leave.cancel();
        }
        true
    }

    fn left(&self, number: u64) {
        let mut present = self.0.present.lock();
        present.seats.remove(&number);
        // Half empty before it is news again: a port at its limit would log each caller.
        if present.full && present.seats.len() <= self.0.most_of_one / 2 {
            present.full = false;
            info!(port = self.0.port, "the port has places again");
        }
    }
}

impl Caller {
    /// One that nobody counts, for a connection that came through no port.
    #[must_use]
    pub fn uncounted() -> Self {
        Self { address: None, place: None, work: Arc::default(), leave: CancellationToken::new() }
    }

    /// Where it calls from.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        self.address
    }

    /// Says that it has something to be done.
    #[must_use]
    pub fn working(&self) -> Working {
        self.work.fetch_add(1, Ordering::Relaxed);
        Working(Arc::clone(&self.work))
    }

    /// Resolves when its place is given to another.
    pub async fn must_leave(&self) {
        self.leave.cancelled().await;
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        if let Some((callers, number)) = self.place.take() {
            callers.left(number);
        }
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Whoever has one address of IPv6 has its whole /64.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn left(caller: &Caller) -> bool {
        caller.leave.is_cancelled()
    }

    #[test]
    fn the_longest_idle_caller_makes_room_and_one_at_work_does_not() {
        let callers = Callers::new("grpc", 3, 2);
        let [a, b] = ["10.0.0.1", "10.0.0.1"].map(|address| callers.admit(ip(address)).expect("a place"));
        let at_work = a.working();
        let c = callers.admit(ip("10.0.0.1")).expect("the idle one's place");
        assert_eq!((left(&a), left(&b), left(&c), callers.count()), (false, true, false, 2));
        let _busy = c.working();
        assert!(callers.admit(ip("10.0.0.1")).is_none(), "both of this address are at work");
        let d = callers.admit(ip("10.0.0.2")).expect("another address has places of its own");
        let e = callers.admit(ip("10.0.0.3")).expect("the idle one's place");
        assert_eq!((left(&d), callers.count()), (true, 3));
        drop((b, d));
        assert_eq!(callers.count(), 3, "those that left are gone already");
        drop((at_work, a, c, e));
        assert_eq!(callers.count(), 0);
    }

    #[test]
    fn a_whole_network_of_ipv6_is_one_caller() {
        let callers = Callers::new("grpc", 10, 1);
        let first = callers.admit(ip("2001:db8::1")).expect("a place");
        let _second = callers.admit(ip("2001:db8::2")).expect("the idle one's place");
        assert!(left(&first));
        let _mapped = callers.admit(ip("::ffff:10.0.0.1")).expect("a place");
        let _plain = callers.admit(ip("10.0.0.1")).expect("the idle one's place");
        assert_eq!(callers.count(), 2);
    }
}
