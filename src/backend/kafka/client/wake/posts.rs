//! The posts of all brokers, and with which one a partition is.
//!
//! A broker goes through all partitions of a parked Fetch, twice, when a record comes to one of them: with 1,000 of them
//! that takes 8 ms. So a broker has several posts, each for some partitions. Pure bookkeeping, apart from the tasks.

use std::{collections::HashMap, sync::Arc};

use tokio::sync::Notify;

use super::super::query::Isolation;
use super::watchlist::Watchlist;
use crate::task::Task;

/// One more post is opened when those that there are have so many partitions each.
const FULL: usize = 125;
/// The most posts, and so connections, of one broker; beyond `FULL` × `MOST` partitions, each has more.
const MOST: usize = 8;

/// Which post.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PostKey {
    pub broker: i32,
    /// What counts as a record.
    pub isolation: Isolation,
    /// Which one of the broker's.
    pub number: usize,
}

/// One connection that is listened at.
pub struct Post {
    pub list: Watchlist,
    pub changed: Arc<Notify>,
    pub _task: Task,
}

/// All posts.
#[derive(Default)]
pub struct Posts(HashMap<PostKey, Post>);

impl Posts {
    /// The post that has this partition of the broker's, or is to have it.
    pub fn choose(&self, broker: i32, isolation: Isolation, topic: &str, partition: i32) -> PostKey {
        let key = |number| PostKey { broker, isolation, number };
        let lists: Vec<Option<&Watchlist>> =
            (0..MOST).map(|number| self.0.get(&key(number)).map(|post| &post.list)).collect();
        let sizes: Vec<usize> = lists.iter().map(|list| list.map_or(0, Watchlist::len)).collect();
        let home = lists.iter().position(|list| list.is_some_and(|list| list.has(topic, partition)));
        key(choose(&sizes, home))
    }

    pub fn get_or_open(&mut self, key: PostKey, open: impl FnOnce() -> Post) -> &mut Post {
        self.0.entry(key).or_insert_with(open)
    }

    pub fn get_mut(&mut self, key: PostKey) -> Option<&mut Post> {
        self.0.get_mut(&key)
    }

    pub fn close(&mut self, key: PostKey) {
        self.0.remove(&key);
    }

    pub fn close_all(&mut self) {
        self.0.clear();
    }
}

/// Where a partition goes: it stays where it is, unless that post is one too many; else to the first one with room.
fn choose(sizes: &[usize], home: Option<usize>) -> usize {
    let total: usize = sizes.iter().sum();
    // One more than it takes may stay, so that a partition more or less does not make it come and go.
    let enough = total.div_ceil(FULL);
    if let Some(home) = home.filter(|home| *home <= enough) {
        return home;
    }
    let smallest = || sizes.iter().enumerate().min_by_key(|(_, size)| **size).map_or(0, |(number, _)| number);
    sizes.iter().position(|size| *size < FULL).unwrap_or_else(smallest)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Adds `count` partitions to the posts that there are.
    fn fill(sizes: &mut [usize], count: usize) {
        for _ in 0..count {
            sizes[choose(sizes, None)] += 1;
        }
    }

    #[test]
    fn posts_are_filled_one_after_the_other_and_grow_alike_when_there_are_no_more() {
        for (partitions, expected) in [
            (1, [1, 0, 0, 0, 0, 0, 0, 0]),
            (125, [125, 0, 0, 0, 0, 0, 0, 0]),
            (126, [125, 1, 0, 0, 0, 0, 0, 0]),
            (1_000, [125; MOST]),
            (8_000, [1_000; MOST]),
        ] {
            let mut sizes = [0; MOST];
            fill(&mut sizes, partitions);
            assert_eq!(sizes, expected);
        }
    }

    #[test]
    fn a_partition_stays_where_it_is() {
        let mut sizes = [0; MOST];
        fill(&mut sizes, 1_000);
        sizes[0] = 100;
        assert_eq!(choose(&sizes, Some(7)), 7);
    }

    #[test]
    fn posts_that_are_too_many_lose_their_partitions_to_the_first_ones() {
        // A hundred are left of a thousand.
        let mut sizes = [12; MOST];
        // Each comes back once.
        for number in 0..MOST {
            for _ in 0..12 {
                let chosen = choose(&sizes, Some(number));
                sizes[number] -= 1;
                sizes[chosen] += 1;
            }
        }
        assert_eq!(sizes, [84, 12, 0, 0, 0, 0, 0, 0]);
    }
}
