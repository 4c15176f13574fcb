//! The server's own orders, for rows that are all here.
//!
//! Not for: a screen, whose page the server puts in order.

use std::cmp::Ordering;

use super::board::{Board, Sort};
use crate::{cli::remote::Row, sampler::Standing};

impl Board {
    /// Puts `rows`, which stand as they came, in the order that is asked for.
    pub(super) fn order<T>(&self, rows: &mut [T], row: impl Fn(&T) -> &Row) {
        rows.sort_by(|one, other| self.compared(row(one), row(other)));
        if self.sort == Sort::Came && self.reverse {
            rows.reverse();
        }
    }

    fn compared(&self, one: &Row, other: &Row) -> Ordering {
        fn name(row: &Row) -> &str {
            row.scaled_objects.first().map_or("", String::as_str)
        }
        let rank = |row: &Row| Standing::ALL.iter().position(|standing| standing.as_str() == row.state);
        let directed = |ordering: Ordering| if self.reverse { ordering.reverse() } else { ordering };
        let by_number = |one: Option<f64>, other: Option<f64>, up: bool| match (one, other) {
            (Some(one), Some(other)) if up => directed(one.total_cmp(&other)),
            (Some(one), Some(other)) => directed(other.total_cmp(&one)),
            // What is not known comes last, whichever way the others stand.
            (known, other) => other.is_some().cmp(&known.is_some()),
        };
        let ordering = match self.sort {
            Sort::Came => return Ordering::Equal,
            Sort::State => directed(rank(one).cmp(&rank(other))),
            Sort::Name => directed(name(one).cmp(name(other))),
            Sort::Value => by_number(one.value, other.value, false),
            Sort::Replicas => by_number(one.replicas, other.replicas, false),
            Sort::Age => by_number(one.sampled_at, other.sampled_at, true),
        };
        ordering.then_with(|| name(one).cmp(name(other)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::top::Filter;

    #[track_caller]
    fn check(sort: Sort, reverse: bool, expected: [u64; 3]) {
        let row = |id, state: &str, name: &str, value, at| Row {
            id,
            state: state.into(),
            scaled_objects: vec![name.into()],
            value,
            sampled_at: at,
            ..Row::default()
        };
        let mut rows = [
            row(1, "idle", "b", Some(1.0), Some(5.0)),
            row(2, "failing", "c", None, None),
            row(3, "active", "a", Some(7.0), Some(3.0)),
        ];
        Board::new((None, None), Filter::All, sort, reverse).order(&mut rows, |row| row);
        assert_eq!(rows.map(|row| row.id), expected, "{sort:?} {reverse}");
    }

    #[test]
    fn each_order_has_its_first_and_what_is_not_known_is_last() {
        check(Sort::Came, false, [1, 2, 3]);
        check(Sort::Came, true, [3, 2, 1]);
        check(Sort::State, false, [2, 3, 1]);
        check(Sort::Name, false, [3, 1, 2]);
        check(Sort::Value, false, [3, 1, 2]);
        check(Sort::Value, true, [1, 3, 2]);
        check(Sort::Age, false, [3, 1, 2]);
    }
}
