//! The requests that we speak, what all of them share, and how often each was sent.

use std::{
    ops::RangeInclusive,
    sync::atomic::{AtomicU64, Ordering},
};

use kafka_protocol::{
    messages::{
        ApiVersionsRequest, FetchRequest, FindCoordinatorRequest, ListOffsetsRequest, MetadataRequest,
        OffsetFetchRequest, SaslAuthenticateRequest, SaslHandshakeRequest, ShareGroupDescribeRequest,
    },
    protocol::{Encodable, HeaderVersion, Message},
};

use super::{
    body::{Body, Malformed},
    replies::{
        ApiVersions, Fetch, FindCoordinator, ListOffsets, Metadata, OffsetFetch, SaslAuthenticate, SaslHandshake,
        ShareGroups,
    },
};
use crate::backend::Account;

/// A request of ours.
pub trait Ask: Message + Encodable + HeaderVersion {
    /// Its number on the wire.
    const KEY: i16;
    /// Its name in Kafka's documentation.
    const NAME: &'static str;
    /// The versions whose reply we read.
    const READ: RangeInclusive<i16>;
    /// The first version whose reply is flexible (KIP-482).
    const FLEXIBLE: i16;
    /// What answers it.
    type Reply: Send;
    /// Reads the reply behind its header.
    fn read(body: &mut Body<'_>, version: i16) -> Result<Self::Reply, Malformed>;
    /// Where [`Requests`] counts it.
    fn count(counts: &Counts) -> &AtomicU64;
    /// For how long the broker wants us to keep quiet after this answer, in milliseconds.
    fn throttle(reply: &Self::Reply) -> i32;
}

/// The greatest number of a request that we may make.
const LAST: i16 = 77;

macro_rules! asks {
    ($($key:literal $request:ident $reply:ident $field:ident $read:expr, $flexible:expr, $how:expr, $throttle:expr;)*) => {$(
        impl Ask for $request {
            const KEY: i16 = $key;
            const NAME: &'static str = stringify!($reply);
            const READ: RangeInclusive<i16> = $read;
            const FLEXIBLE: i16 = $flexible;
            type Reply = $reply;

            fn read(body: &mut Body<'_>, version: i16) -> Result<$reply, Malformed> {
                let read: fn(&mut Body<'_>, i16) -> Result<$reply, Malformed> = $how;
                read(body, version)
            }

            fn count(counts: &Counts) -> &AtomicU64 {
                &counts.$field
            }

            fn throttle(reply: &$reply) -> i32 {
                let throttle: fn(&$reply) -> i32 = $throttle;
                throttle(reply)
            }
        }
    )*};
}

const NEVER: i16 = i16::MAX;

asks! {
    18 ApiVersionsRequest ApiVersions api_versions 0..=4, 3, |b, v| ApiVersions::read(b, v, LAST), |r| r.throttle_ms;
    17 SaslHandshakeRequest SaslHandshake sasl 0..=1, NEVER, SaslHandshake::read, |_| 0;
    36 SaslAuthenticateRequest SaslAuthenticate sasl 0..=2, 2, SaslAuthenticate::read, |_| 0;
    3 MetadataRequest Metadata metadata 4..=13, 9, Metadata::read, |r| r.throttle_ms;
    10 FindCoordinatorRequest FindCoordinator find_coordinator 0..=6, 3, FindCoordinator::read, |r| r.throttle_ms;
    9 OffsetFetchRequest OffsetFetch offset_fetch 2..=9, 6, OffsetFetch::read, |r| r.throttle_ms;
    2 ListOffsetsRequest ListOffsets list_offsets 1..=10, 6, ListOffsets::read, |r| r.throttle_ms;
    1 FetchRequest Fetch fetch 4..=18, 12, Fetch::read, |r| r.throttle_ms;
    77 ShareGroupDescribeRequest ShareGroups share_groups 1..=1, 0, ShareGroups::read, |r| r.throttle_ms;
}

#[derive(Debug, Default)]
pub struct Counts {
    pub connections: AtomicU64,
    api_versions: AtomicU64,
    sasl: AtomicU64,
    metadata: AtomicU64,
    find_coordinator: AtomicU64,
    offset_fetch: AtomicU64,
    list_offsets: AtomicU64,
    share_groups: AtomicU64,
    fetch: AtomicU64,
    /// All requests, together with those of other clients.
    pub account: Account,
}

impl Counts {
    /// Counts that are on `account` too.
    pub fn on(account: Account) -> Self {
        Self { account, ..Self::default() }
    }

    /// One more request of a kind.
    pub fn add<R: Ask>(&self) {
        R::count(self).fetch_add(1, Ordering::Relaxed);
        self.account.sent(1);
    }
}

/// How many requests of each kind a client has sent since it was made: what its cost to the cluster is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Requests {
    /// TCP connections opened.
    pub connections: u64,
    /// Version negotiations, one per connection.
    pub api_versions: u64,
    /// Steps of logins.
    pub sasl: u64,
    /// Metadata.
    pub metadata: u64,
    /// Coordinator look-ups.
    pub find_coordinator: u64,
    /// Committed offsets.
    pub offset_fetch: u64,
    /// Start and end offsets.
    pub list_offsets: u64,
    /// Whether groups without commits are share groups.
    pub share_groups: u64,
    /// Parked requests that wait for new records.
    pub fetch: u64,
}

impl Requests {
    /// Those that reads make, in all: everything but connecting and waiting.
    #[must_use]
    pub fn of_reads(&self) -> u64 {
        self.metadata + self.find_coordinator + self.offset_fetch + self.list_offsets + self.share_groups
    }
}

impl Counts {
    pub fn snapshot(&self) -> Requests {
        let get = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Requests {
            connections: get(&self.connections),
            api_versions: get(&self.api_versions),
            sasl: get(&self.sasl),
            metadata: get(&self.metadata),
            find_coordinator: get(&self.find_coordinator),
            offset_fetch: get(&self.offset_fetch),
            list_offsets: get(&self.list_offsets),
            share_groups: get(&self.share_groups),
            fetch: get(&self.fetch),
        }
    }
}
