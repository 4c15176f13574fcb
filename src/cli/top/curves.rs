//! Curves of the rows on the screen. They are half of all that a server sends, and of a quarter of an hour: so they are asked for
//! once in a while, and a row that comes without one keeps what it had. Pure.

use std::collections::HashMap;

use crate::cli::remote::Row;

/// So many answers may come without.
const EVERY: u32 = 10;

/// How old the curves are.
#[derive(Debug, Default)]
pub(super) struct Curves {
    /// Answers since they came; none where they are to be asked for.
    since: Option<u32>,
}

impl Curves {
    /// Whether they are to come with the rows.
    pub(super) fn are_wanted(&self) -> bool {
        self.since.is_none()
    }

    /// Other rows are asked for.
    pub(super) fn forget(&mut self) {
        self.since = None;
    }

    /// Rows have come, in the place of others.
    pub(super) fn keep(&mut self, before: Vec<Row>, rows: &mut [Row]) {
        if rows.iter().all(|row| row.recent.is_some()) {
            self.since = Some(0);
            return;
        }
        let mut known: HashMap<u64, _> = before.into_iter().map(|row| (row.id, row.recent)).collect();
        for row in rows.iter_mut().filter(|row| row.recent.is_none()) {
            row.recent = known.remove(&row.id).flatten();
        }
        let whole = rows.iter().all(|row| row.recent.is_some());
        self.since = self.since.map(|since| since + 1).filter(|since| whole && *since < EVERY);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(ids: std::ops::Range<u64>, recent: Option<f64>) -> Vec<Row> {
        ids.map(|id| Row { id, recent: recent.map(|value| vec![Some(value)]), ..Row::default() }).collect()
    }

    #[test]
    fn curves_are_asked_for_once_in_a_while_and_for_rows_that_have_none() {
        let mut curves = Curves::default();
        assert!(curves.are_wanted(), "in the beginning");
        let mut shown = rows(0..3, Some(1.0));
        curves.keep(Vec::new(), &mut shown);
        let mut asked = 0;
        for _ in 0..100 {
            asked += usize::from(curves.are_wanted());
            let mut new = rows(0..3, curves.are_wanted().then_some(2.0));
            curves.keep(shown, &mut new);
            assert!(new.iter().all(|row| row.recent.is_some()), "none is lost");
            shown = new;
        }
        assert!((8..=10).contains(&asked), "{asked}");
        // Another row has come up.
        let mut new = rows(1..4, None);
        curves.keep(shown, &mut new);
        assert!(curves.are_wanted() && new[0].recent.is_some() && new[2].recent.is_none());
    }
}
