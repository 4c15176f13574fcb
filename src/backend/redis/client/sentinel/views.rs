//! What each sentinel says of the master, and what is to be believed when they differ. Pure.
//!
//! A failover is known to the sentinel that leads it first, and to the others a second or two later, so who has changed
//! his mind last is believed. While nobody has, the majority is: one that is cut off from the others names the former
//! master for ever. A node that is named and is no master is found out by its role.

use crate::{
    backend::redis::address::Address,
    error::{ReadError, ReadErrorKind},
};

/// What all of them say.
#[derive(Debug)]
pub struct Views {
    views: Vec<View>,
    /// Counts the changes of mind.
    changes: u64,
}

#[derive(Debug, Default)]
struct View {
    /// The last master he has named.
    named: Option<Address>,
    /// What stops him from naming one now.
    failure: Option<ReadError>,
    /// Which change of mind of all was his last; 0 for none.
    changed: u64,
}

impl Views {
    /// Nobody of `sentinels` has said a word.
    pub fn new(sentinels: usize) -> Self {
        Self { views: std::iter::repeat_with(View::default).take(sentinels).collect(), changes: 0 }
    }

    /// Sentinel number `who` names `master`.
    pub fn names(&mut self, who: usize, master: Address) {
        let Some(view) = self.views.get_mut(who) else { return };
        view.failure = None;
        if view.named.as_ref().is_some_and(|before| *before != master) {
            self.changes += 1;
            view.changed = self.changes;
        }
        view.named = Some(master);
    }

    /// Sentinel number `who` names nobody.
    pub fn fails(&mut self, who: usize, error: ReadError) {
        if let Some(view) = self.views.get_mut(who) {
            view.failure = Some(error);
        }
    }

    /// The master to be believed in; `None` while it is worth waiting for those who have not answered yet, at all or,
    /// if `patient`, for more of them.
    pub fn verdict(&self, patient: bool) -> Option<Result<&Address, ReadError>> {
        let voting = self.views.iter().filter(|view| view.failure.is_none());
        let votes: Vec<(&Address, u64)> =
            voting.clone().filter_map(|view| Some((view.named.as_ref()?, view.changed))).collect();
        if let Some((master, _)) = votes.iter().max_by_key(|(_, changed)| changed).filter(|(_, changed)| *changed > 0) {
            return Some(Ok(master));
        }
        let count = |master: &Address| votes.iter().filter(|(other, _)| *other == master).count();
        // Of several with as many votes the first in the trigger's list: the same each time.
        let favourite = votes.iter().rev().map(|(master, _)| *master).max_by_key(|master| count(master));
        let silent = voting.clone().any(|view| view.named.is_none());
        match favourite {
            Some(master) if !silent || !patient || count(master) * 2 > self.views.len() => Some(Ok(master)),
            None if !silent => Some(Err(self.failure())),
            _ => None,
        }
    }

    /// The most telling one, the same each time.
    fn failure(&self) -> ReadError {
        let failures = self.views.iter().filter_map(|view| view.failure.as_ref());
        let none = || ReadError::new(ReadErrorKind::Unreachable, "no sentinel to ask: set `address` in the trigger");
        failures.min_by_key(|error| (rank(error), error.to_string())).cloned().unwrap_or_else(none)
    }
}

fn rank(error: &ReadError) -> usize {
    match error.kind {
        ReadErrorKind::Denied => 0,
        ReadErrorKind::NotFound => 1,
        ReadErrorKind::Unreachable => 3,
        ReadErrorKind::Timeout => 4,
        _ => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(port: u16) -> Address {
        Address::new("h", port)
    }

    fn failure(kind: ReadErrorKind) -> ReadError {
        ReadError::new(kind, "why")
    }

    #[track_caller]
    fn believed(views: &Views) -> u16 {
        views.verdict(false).expect("a verdict").expect("a master").port
    }

    #[test]
    fn the_majority_is_believed_and_waited_for() {
        let mut views = Views::new(3);
        assert!(views.verdict(true).is_none() && views.verdict(false).is_none());
        views.names(0, node(1));
        assert!(views.verdict(true).is_none());
        assert_eq!(believed(&views), 1);
        views.names(1, node(2));
        assert_eq!(believed(&views), 1, "the first of equals");
        views.names(2, node(2));
        assert_eq!(views.verdict(true).expect("a majority").expect("a master").port, 2);
    }

    #[test]
    fn who_changes_his_mind_is_ahead_of_the_others() {
        let mut views = Views::new(3);
        (0..3).for_each(|who| views.names(who, node(1)));
        views.names(2, node(2));
        assert_eq!(believed(&views), 2);
        // The others follow, and then all of it goes back.
        (0..2).for_each(|who| views.names(who, node(2)));
        views.names(1, node(1));
        assert_eq!(believed(&views), 1);
        // One that was away is no news.
        views.fails(0, failure(ReadErrorKind::Unreachable));
        views.names(0, node(2));
        assert_eq!(believed(&views), 1);
    }

    #[test]
    fn one_that_fails_has_no_vote_and_all_that_fail_say_the_most_telling_thing() {
        let mut views = Views::new(3);
        views.names(0, node(1));
        views.names(0, node(2));
        views.names(1, node(1));
        views.fails(0, failure(ReadErrorKind::Timeout));
        assert_eq!(believed(&views), 1);
        views.fails(1, failure(ReadErrorKind::Unreachable));
        assert!(views.verdict(false).is_none(), "the third may know");
        views.fails(2, failure(ReadErrorKind::NotFound));
        assert_eq!(views.verdict(true).expect("a verdict").expect_err("nobody").kind, ReadErrorKind::NotFound);
    }
}
