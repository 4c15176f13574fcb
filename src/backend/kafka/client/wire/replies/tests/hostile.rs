//! What a hostile reply may cost: no panic, and memory for what it holds rather than for what it claims.

use std::mem::size_of;

use bytes::BufMut;
use kafka_protocol::messages::{ApiVersionsRequest, MetadataRequest, SaslHandshakeRequest};
use proptest::{collection::vec, prelude::*, sample::Index};

use super::{
    super::*,
    samples::{Sample, samples},
};
use crate::{
    backend::kafka::client::wire::{body::Malformed, frames},
    limits,
};

/// Memory that a reply holds, by the capacity of its lists.
pub trait Weight {
    fn weight(&self) -> usize;
}

impl Weight for ApiVersions {
    fn weight(&self) -> usize {
        self.versions.capacity() * size_of::<(i16, i16, i16)>()
    }
}

impl Weight for SaslHandshake {
    fn weight(&self) -> usize {
        self.mechanisms.capacity() * size_of::<String>() + self.mechanisms.iter().map(String::capacity).sum::<usize>()
    }
}

impl Weight for SaslAuthenticate {
    fn weight(&self) -> usize {
        self.bytes.capacity() + self.message.as_ref().map_or(0, String::capacity)
    }
}

impl Weight for Metadata {
    fn weight(&self) -> usize {
        let brokers = self.brokers.capacity() * size_of::<BrokerAddress>();
        let hosts: usize = self.brokers.iter().map(|broker| broker.host.capacity()).sum();
        let topics = self.topics.capacity() * size_of::<TopicAnswer>();
        let inside = |t: &TopicAnswer| 16 + t.name.len() + t.partitions.capacity() * size_of::<PartitionLeader>();
        brokers + hosts + topics + self.topics.iter().map(inside).sum::<usize>()
    }
}

impl Weight for FindCoordinator {
    fn weight(&self) -> usize {
        let inside = |c: &CoordinatorAnswer| c.group.capacity() + c.broker.host.capacity();
        self.coordinators.capacity() * size_of::<CoordinatorAnswer>()
            + self.coordinators.iter().map(inside).sum::<usize>()
    }
}

impl Weight for OffsetFetch {
    fn weight(&self) -> usize {
        let topic = |t: &TopicCommits| 16 + t.topic.len() + t.partitions.capacity() * size_of::<PartitionCommit>();
        let group = |g: &GroupAnswer| {
            let topics: usize = g.topics.iter().map(topic).sum();
            g.group.capacity() + g.topics.capacity() * size_of::<TopicCommits>() + topics
        };
        self.groups.capacity() * size_of::<GroupAnswer>() + self.groups.iter().map(group).sum::<usize>()
    }
}

impl Weight for ShareGroups {
    fn weight(&self) -> usize {
        self.groups.capacity() * size_of::<String>() + self.groups.iter().map(String::capacity).sum::<usize>()
    }
}

impl Weight for ListOffsets {
    fn weight(&self) -> usize {
        let names: usize = self.partitions.iter().map(|p| 16 + p.topic.len()).sum();
        self.partitions.capacity() * size_of::<ListedPartition>() + names
    }
}

impl Weight for Fetch {
    fn weight(&self) -> usize {
        // A topic's name is shared by its partitions, of which each is at least as long on the wire as this is short.
        self.partitions.capacity() * size_of::<FetchedPartition>()
    }
}

/// What a reply of so many bytes may weigh, whatever is in it.
fn most(bytes: usize) -> usize {
    // An empty list, once it has something, makes room for four.
    4 * limits::KAFKA_READ * bytes + 1_024
}

#[test]
fn a_reply_that_is_cut_short_is_an_error_and_never_a_panic() {
    for Sample { what, version, frame, read } in samples() {
        assert!(read(&frame, version).is_ok(), "{what} {version}");
        for end in 0..frame.len() {
            assert!(read(&frame[..end], version).is_err(), "{what} {version} cut at {end} of {}", frame.len());
        }
    }
}

#[test]
fn a_claim_of_four_billion_elements_costs_nothing_wherever_it_stands() {
    let claims = [&[0xff, 0xff, 0xff, 0xfe][..], &[0x7f, 0xff, 0xff, 0xff], &[0xff, 0xff, 0xff, 0xff, 0x0f]];
    for Sample { what, version, frame, read } in samples() {
        for at in 4..frame.len() {
            for claim in claims {
                let mut hostile = frame[..at].to_vec();
                hostile.put_slice(claim);
                hostile.put_slice(&frame[at..]);
                if let Ok(weight) = read(&hostile, version) {
                    assert!(weight <= most(hostile.len()), "{what} {version} at {at}: {weight}");
                }
            }
        }
    }
}

#[test]
fn twenty_bytes_that_claim_a_cluster_are_refused() {
    let mut hostile = vec![0; 4 + 4];
    hostile.put_i32(-2);
    hostile.put_bytes(0, 8);
    for version in 4..9 {
        assert_eq!(frames::decode::<MetadataRequest>(&hostile, version), Err(Malformed::Number));
    }
    let mut hostile = vec![0; 4 + 4];
    hostile.put_i32(i32::MAX);
    hostile.put_bytes(0, 8);
    assert_eq!(frames::decode::<MetadataRequest>(&hostile, 8), Err(Malformed::Count));
    let compact = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0];
    assert_eq!(frames::decode::<MetadataRequest>(&compact, 13), Err(Malformed::Count));
    let greeting = [0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0];
    assert_eq!(frames::decode::<ApiVersionsRequest>(&greeting, 3), Err(Malformed::Count));
}

#[test]
fn the_densest_replies_weigh_a_small_multiple_of_their_bytes() {
    // As many of the smallest elements as fit into some bytes.
    let crowd = |head: &[u8], element: &[u8], count: u16| {
        let mut frame = vec![0; 4];
        frame.put_slice(head);
        frame.put_u32(count.into());
        for _ in 0..count {
            frame.put_slice(element);
        }
        frame.put_bytes(0, 64);
        frame
    };
    let brokers = crowd(&[0; 4], &[0; 12], 9_000);
    let topics = crowd(&[0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 0, 0, 0, 0], &[0; 9], 60_000);
    let mechanisms = crowd(&[0; 2], &[0; 2], 60);
    for (what, frame, weight) in [
        ("brokers", &brokers, frames::decode::<MetadataRequest>(&brokers, 4).unwrap().weight()),
        ("topics", &topics, frames::decode::<MetadataRequest>(&topics, 4).unwrap().weight()),
        ("mechanisms", &mechanisms, frames::decode::<SaslHandshakeRequest>(&mechanisms, 1).unwrap().weight()),
    ] {
        assert!(weight <= most(frame.len()), "{what}: {weight} for {} bytes", frame.len());
    }
    let many = crowd(&[0; 4], &[0; 12], 10_001);
    assert_eq!(frames::decode::<MetadataRequest>(&many, 4), Err(Malformed::TooMany("brokers", limits::KAFKA_BROKERS)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_bytes_are_a_reply_or_an_error(bytes in vec(any::<u8>(), 0..300), which in any::<Index>()) {
        let samples = samples();
        let Sample { version, read, .. } = which.get(&samples);
        if let Ok(weight) = read(&bytes, *version) {
            prop_assert!(weight <= most(bytes.len()));
        }
    }

    #[test]
    fn a_changed_reply_is_a_reply_or_an_error(
        which in any::<Index>(),
        changes in vec((any::<Index>(), any::<u8>()), 1..6),
    ) {
        let samples = samples();
        let Sample { version, read, frame, .. } = which.get(&samples);
        let mut frame = frame.clone();
        for (at, byte) in changes {
            let at = at.index(frame.len());
            frame[at] = byte;
        }
        if let Ok(weight) = read(&frame, *version) {
            prop_assert!(weight <= most(frame.len()));
        }
    }
}
