//! What of each reply we keep, and how it is written in every version that we ask in.
//!
//! Read here rather than by the codecs of `kafka-protocol`, which make room for as many elements as a reply claims to
//! have before they look whether it has them. Here each list grows with what was read. Not for: what a reply means.

mod greeting;
mod groups;
mod offsets;
mod topology;

#[cfg(test)]
mod tests;

pub use greeting::{ApiVersions, SaslAuthenticate, SaslHandshake};
pub use groups::ShareGroups;
pub use offsets::{Fetch, GroupAnswer, ListOffsets, ListedPartition, OffsetFetch, TopicCommits};
#[cfg(test)]
pub use offsets::{FetchedPartition, PartitionCommit};
pub use topology::{BrokerAddress, CoordinatorAnswer, FindCoordinator, Metadata, PartitionLeader, TopicAnswer};
