//! The requests that we speak, what all of them share, and how often each was sent.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use kafka_protocol::{
    messages::{
        ApiVersionsRequest, ApiVersionsResponse, FetchRequest, FetchResponse, FindCoordinatorRequest,
        FindCoordinatorResponse, ListOffsetsRequest, ListOffsetsResponse, MetadataRequest, MetadataResponse,
        OffsetFetchRequest, OffsetFetchResponse, SaslAuthenticateRequest, SaslAuthenticateResponse,
        SaslHandshakeRequest, SaslHandshakeResponse,
    },
    protocol::{Decodable, Encodable, HeaderVersion, Message},
};

/// A request of ours.
pub trait Ask: Message + Encodable + HeaderVersion {
    /// Its number on the wire.
    const KEY: i16;
    /// Its name in Kafka's documentation.
    const NAME: &'static str;
    /// What answers it.
    type Response: Message + Decodable + HeaderVersion;
    /// Where [`Requests`] counts it.
    fn count(counts: &Counts) -> &AtomicU64;
    /// For how long the broker wants us to keep quiet after this answer, in milliseconds.
    fn throttle(response: &Self::Response) -> i32;
}

macro_rules! asks {
    ($($key:literal $request:ident $response:ident $name:literal $field:ident $throttle:expr;)*) => {$(
        impl Ask for $request {
            const KEY: i16 = $key;
            const NAME: &'static str = $name;
            type Response = $response;

            fn count(counts: &Counts) -> &AtomicU64 {
                &counts.$field
            }

            fn throttle(response: &$response) -> i32 {
                let throttle: fn(&$response) -> i32 = $throttle;
                throttle(response)
            }
        }
    )*};
}

asks! {
    18 ApiVersionsRequest ApiVersionsResponse "ApiVersions" api_versions |r| r.throttle_time_ms;
    17 SaslHandshakeRequest SaslHandshakeResponse "SaslHandshake" sasl |_| 0;
    36 SaslAuthenticateRequest SaslAuthenticateResponse "SaslAuthenticate" sasl |_| 0;
    3 MetadataRequest MetadataResponse "Metadata" metadata |r| r.throttle_time_ms;
    10 FindCoordinatorRequest FindCoordinatorResponse "FindCoordinator" find_coordinator |r| r.throttle_time_ms;
    9 OffsetFetchRequest OffsetFetchResponse "OffsetFetch" offset_fetch |r| r.throttle_time_ms;
    2 ListOffsetsRequest ListOffsetsResponse "ListOffsets" list_offsets |r| r.throttle_time_ms;
    1 FetchRequest FetchResponse "Fetch" fetch |r| r.throttle_time_ms;
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
    fetch: AtomicU64,
    /// All requests, together with those of other clients.
    total: Arc<AtomicU64>,
}

impl Counts {
    /// Counts that add to `total` too.
    pub fn adding_to(total: Arc<AtomicU64>) -> Self {
        Self { total, ..Self::default() }
    }

    /// One more request of a kind.
    pub fn add<R: Ask>(&self) {
        R::count(self).fetch_add(1, Ordering::Relaxed);
        self.total.fetch_add(1, Ordering::Relaxed);
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
    /// Parked requests that wait for new records.
    pub fetch: u64,
}

impl Requests {
    /// Those that reads make, in all: everything but connecting and waiting.
    #[must_use]
    pub fn of_reads(&self) -> u64 {
        self.metadata + self.find_coordinator + self.offset_fetch + self.list_offsets
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
            fetch: get(&self.fetch),
        }
    }
}
