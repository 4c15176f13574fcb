//! What is looked at, and what each key makes of it. Pure.
//!
//! Not for: how it looks (`draw`), or who is asked (`screen`).

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::{Answer, curves::Curves};
use crate::cli::remote::{Detail, Page, Row, Seen};

/// The longest text that is searched for.
const TEXT: usize = 200;

/// By what triggers are in order: the server's own words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    /// The worst first.
    State,
    /// By the objects' names.
    Name,
    /// The largest value first.
    Value,
    /// The most replicas first.
    Replicas,
    /// The oldest sample first.
    Age,
    /// As they came.
    Came,
}

/// Which triggers: the server's own words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filter {
    /// Every one.
    All,
    /// What somebody must look at.
    Failing,
    /// Those that should run.
    Active,
    /// Those with nothing to do.
    Idle,
    /// What nobody has asked for, and what has not been read.
    Unasked,
    /// With warnings.
    Warned,
}

/// What a key leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    /// Nothing but a new picture.
    Draw,
    /// The next replica.
    Next,
    /// The end.
    Quit,
}

/// What is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum View {
    /// The table.
    Table,
    /// The table, while a text to search for is typed; what was searched for before.
    Typing(Option<String>),
    /// One trigger, from question to answer, so many lines down.
    One(u64, u16),
    /// The keys.
    Keys,
}

/// What is looked at.
#[derive(Debug)]
pub(super) struct Board {
    pub namespace: Option<String>,
    pub text: Option<String>,
    pub filter: Filter,
    pub sort: Sort,
    /// Against the usual direction.
    pub reverse: bool,
    pub view: View,
    /// The place of the marked row among all.
    pub marked: usize,
    /// The place of the first row that is shown.
    pub first: usize,
    /// How many rows have room.
    pub room: usize,
    pub page: Page,
    pub seen: Option<Seen>,
    pub detail: Option<Box<Detail>>,
    /// Why there is no answer, while there is none.
    pub trouble: Option<String>,
    pub curves: Curves,
}

impl Sort {
    pub(super) const ALL: [Self; 6] = [Self::State, Self::Name, Self::Value, Self::Replicas, Self::Age, Self::Came];

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::State => "state",
            Self::Name => "name",
            Self::Value => "value",
            Self::Replicas => "replicas",
            Self::Age => "age",
            Self::Came => "came",
        }
    }

    /// Whether people want it from the top down: the server sorts up.
    fn is_down(self) -> bool {
        matches!(self, Self::Value | Self::Replicas | Self::Age)
    }
}

impl Filter {
    pub(super) const ALL: [Self; 6] = [Self::All, Self::Failing, Self::Active, Self::Idle, Self::Unasked, Self::Warned];

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Failing => "failing",
            Self::Active => "active",
            Self::Idle => "idle",
            Self::Unasked => "unasked",
            Self::Warned => "warned",
        }
    }

    fn states(self) -> Option<&'static str> {
        match self {
            Self::All => None,
            Self::Failing => Some("failing,refused,stale"),
            Self::Unasked => Some("unasked,unknown"),
            Self::Active | Self::Idle | Self::Warned => Some(self.word()),
        }
    }
}

impl Board {
    pub(super) fn new(asked: (Option<String>, Option<String>), filter: Filter, sort: Sort, reverse: bool) -> Self {
        Self {
            namespace: asked.0,
            text: asked.1,
            filter,
            sort,
            reverse,
            view: View::Table,
            marked: 0,
            first: 0,
            room: 20,
            page: Page::default(),
            seen: None,
            detail: None,
            trouble: None,
            curves: Curves::default(),
        }
    }

    /// As the server is asked, but for which page.
    pub(super) fn query(&self) -> Vec<(&'static str, String)> {
        let direction = if self.sort.is_down() == self.reverse { "" } else { "-" };
        let mut query = vec![("sort", format!("{direction}{}", self.sort.word()))];
        let given = |text: &Option<String>| text.clone().filter(|text| !text.trim().is_empty());
        query.extend(given(&self.namespace).map(|text| ("namespace", text)));
        query.extend(given(&self.text).map(|text| ("q", text)));
        query.extend(self.filter.states().map(|states| ("state", states.to_owned())));
        query
    }

    /// The same for what is on the screen.
    pub(super) fn screen(&self) -> Vec<(&'static str, String)> {
        let mut query = self.query();
        query.push(("offset", self.first.to_string()));
        query.push(("limit", self.room.clamp(1, 500).to_string()));
        query
    }

    /// Of which trigger more is wanted.
    pub(super) fn one(&self) -> Option<u64> {
        match self.view {
            View::One(id, _) => Some(id),
            _ => None,
        }
    }

    /// What the server has said.
    pub(super) fn take(&mut self, answer: Answer) {
        let before = std::mem::replace(&mut self.page, answer.page);
        self.curves.keep(before.triggers, &mut self.page.triggers);
        self.seen = Some(answer.seen);
        if answer.detail.is_some() || self.one().is_none() {
            self.detail = answer.detail;
        }
        self.trouble = None;
        self.hold();
    }

    /// So many rows have room.
    pub(super) fn resize(&mut self, room: usize) {
        self.room = room.max(1);
        self.hold();
    }

    /// The row that is marked, where it is on the screen.
    pub(super) fn row(&self) -> Option<&Row> {
        self.page.triggers.get(self.marked.checked_sub(self.first)?)
    }

    /// What follows from a key.
    pub(super) fn key(&mut self, key: KeyEvent) -> Then {
        if key.modifiers.contains(KeyModifiers::CONTROL) && key.code == KeyCode::Char('c') {
            return Then::Quit;
        }
        match self.view.clone() {
            View::Typing(before) => self.typed(key.code, before),
            View::One(id, line) => return self.in_one(key.code, id, line),
            View::Keys => self.view = View::Table,
            View::Table => return self.in_table(key.code),
        }
        Then::Draw
    }

    fn typed(&mut self, key: KeyCode, before: Option<String>) {
        let mut text = self.text.take().unwrap_or_default();
        match key {
            KeyCode::Enter => self.view = View::Table,
            KeyCode::Esc => {
                text = before.unwrap_or_default();
                self.view = View::Table;
            }
            KeyCode::Backspace => drop(text.pop()),
            KeyCode::Char(typed) if text.len() < TEXT && !typed.is_control() => text.push(typed),
            _ => {}
        }
        self.text = Some(text).filter(|text| !text.is_empty());
        self.to(0);
    }

    fn in_one(&mut self, key: KeyCode, id: u64, line: u16) -> Then {
        let page = u16::try_from(self.room).unwrap_or(u16::MAX).max(1);
        let line = match key {
            KeyCode::Esc | KeyCode::Char('q') | KeyCode::Enter | KeyCode::Left | KeyCode::Char('h') => {
                (self.view, self.detail) = (View::Table, None);
                return Then::Draw;
            }
            KeyCode::Down | KeyCode::Char('j') => line.saturating_add(1),
            KeyCode::Up | KeyCode::Char('k') => line.saturating_sub(1),
            KeyCode::PageDown | KeyCode::Char(' ') => line.saturating_add(page),
            KeyCode::PageUp => line.saturating_sub(page),
            KeyCode::Home | KeyCode::Char('g') => 0,
            _ => line,
        };
        self.view = View::One(id, line);
        Then::Draw
    }

    fn in_table(&mut self, key: KeyCode) -> Then {
        let last = self.page.total.saturating_sub(1);
        match key {
            KeyCode::Char('q') => return Then::Quit,
            KeyCode::Esc if self.text.is_none() && self.filter == Filter::All => return Then::Quit,
            KeyCode::Esc => {
                (self.text, self.filter) = (None, Filter::All);
                self.to(0);
            }
            KeyCode::Tab => return Then::Next,
            KeyCode::Char('?' | 'h') | KeyCode::F(1) => self.view = View::Keys,
            KeyCode::Char('/') => self.view = View::Typing(self.text.clone()),
            KeyCode::Char('s' | '>') => self.sort_by(1),
            KeyCode::Char('S' | '<') => self.sort_by(Sort::ALL.len() - 1),
            KeyCode::Char('r') => {
                self.reverse = !self.reverse;
                self.to(0);
            }
            KeyCode::Char('f') => {
                self.filter = after(&Filter::ALL, self.filter, 1);
                self.to(0);
            }
            KeyCode::Enter | KeyCode::Right | KeyCode::Char('l') => {
                if let Some(id) = self.row().map(|row| row.id) {
                    (self.view, self.detail) = (View::One(id, 0), None);
                }
            }
            KeyCode::Down | KeyCode::Char('j') => self.to(self.marked.saturating_add(1).min(last)),
            KeyCode::Up | KeyCode::Char('k') => self.to(self.marked.saturating_sub(1)),
            KeyCode::PageDown | KeyCode::Char(' ') => self.to(self.marked.saturating_add(self.room).min(last)),
            KeyCode::PageUp => self.to(self.marked.saturating_sub(self.room)),
            KeyCode::Home | KeyCode::Char('g') => self.to(0),
            KeyCode::End | KeyCode::Char('G') => self.to(last),
            _ => {}
        }
        Then::Draw
    }

    fn sort_by(&mut self, steps: usize) {
        self.sort = after(&Sort::ALL, self.sort, steps);
        self.reverse = false;
        self.to(0);
    }

    fn to(&mut self, row: usize) {
        self.marked = row;
        // The row below may come before the answer that has it does.
        self.first = self.first.min(row).max((row + 1).saturating_sub(self.room));
    }

    /// Keeps the marked row among those there are, and on the screen.
    fn hold(&mut self) {
        self.first = self.first.min(self.page.total.saturating_sub(self.room));
        self.to(self.marked.min(self.page.total.saturating_sub(1)));
    }
}

/// The one that is `steps` after `of`, round and round.
fn after<T: Copy + PartialEq>(all: &[T], of: T, steps: usize) -> T {
    let at = all.iter().position(|one| *one == of).unwrap_or_default();
    all.get((at + steps) % all.len().max(1)).copied().unwrap_or(of)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn board(total: usize) -> Board {
        let mut board = Board::new((None, None), Filter::All, Sort::State, false);
        board.page =
            Page { total, triggers: (0..20).map(|id| Row { id, ..Row::default() }).collect(), ..Page::default() };
        board.resize(20);
        board
    }

    fn press(board: &mut Board, keys: &[KeyCode]) -> Then {
        keys.iter().map(|key| board.key(KeyEvent::from(*key))).last().unwrap()
    }

    fn asked(board: &Board) -> String {
        board.screen().into_iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
    }

    #[test]
    fn a_screen_is_a_page_of_the_servers_and_follows_the_mark() {
        let mut board = board(20_000);
        assert_eq!(asked(&board), "sort=state&offset=0&limit=20");
        press(&mut board, &[KeyCode::PageDown, KeyCode::Down]);
        assert_eq!((board.marked, board.first), (21, 2));
        press(&mut board, &[KeyCode::End]);
        assert_eq!((board.marked, board.first), (19_999, 19_980));
        press(&mut board, &[KeyCode::Down, KeyCode::Up]);
        assert_eq!((board.marked, board.first), (19_998, 19_980));
        board.resize(5);
        assert_eq!(board.first, 19_994);
        board.page.total = 3;
        board.resize(5);
        assert_eq!((board.marked, board.first), (2, 0));
        press(&mut board, &[KeyCode::Home]);
        assert_eq!((board.marked, board.first), (0, 0));
    }

    #[test]
    fn keys_sort_filter_and_search() {
        let mut board = board(20);
        press(&mut board, &[KeyCode::Down, KeyCode::Char('s'), KeyCode::Char('s')]);
        assert_eq!(asked(&board), "sort=-value&offset=0&limit=20");
        press(&mut board, &[KeyCode::Char('r'), KeyCode::Char('f')]);
        assert_eq!(asked(&board), "sort=value&state=failing,refused,stale&offset=0&limit=20");
        press(
            &mut board,
            &[KeyCode::Char('/'), KeyCode::Char('q'), KeyCode::Char('x'), KeyCode::Backspace, KeyCode::Enter],
        );
        assert!(asked(&board).contains("&q=q&"), "{}", asked(&board));
        press(&mut board, &[KeyCode::Char('/'), KeyCode::Char('y'), KeyCode::Esc]);
        assert!(asked(&board).contains("&q=q&"), "what was typed is given up");
        press(&mut board, &[KeyCode::Esc]);
        assert!(!asked(&board).contains("q="), "all again");
        assert_eq!(press(&mut board, &[KeyCode::Esc]), Then::Quit);
        assert_eq!(press(&mut board, &[KeyCode::Char('/'), KeyCode::Char('q')]), Then::Draw, "a letter, and no end");
        let end = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        assert_eq!(board.key(end), Then::Quit);
    }

    #[test]
    fn a_key_leads_into_the_marked_trigger_and_back() {
        let mut board = board(20);
        press(&mut board, &[KeyCode::Down, KeyCode::Enter]);
        assert_eq!(board.one(), Some(1));
        press(&mut board, &[KeyCode::Down, KeyCode::Down, KeyCode::Up]);
        assert_eq!(board.view, View::One(1, 1));
        press(&mut board, &[KeyCode::Char('q')]);
        assert_eq!((board.view.clone(), board.marked), (View::Table, 1));
        let mut nothing = Board::new((None, None), Filter::All, Sort::State, false);
        press(&mut nothing, &[KeyCode::Enter, KeyCode::End, KeyCode::PageDown, KeyCode::Down]);
        assert_eq!((nothing.one(), nothing.marked), (None, 0));
        assert_eq!(press(&mut nothing, &[KeyCode::Char('?'), KeyCode::Char('x'), KeyCode::Tab]), Then::Next);
    }
}
