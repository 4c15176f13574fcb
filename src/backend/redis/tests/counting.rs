//! What is counted, against a server that says what the test tells it to.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use serde::Deserialize;

use crate::{
    backend::redis::{
        measure::{Kind, Look, Measure, Memory, Step},
        refusal::Place,
        reply::{Command, Refusal, Reply},
    },
    error::{ReadError, ReadErrorKind},
};

/// A server with one key.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Scripted {
    xlen: Option<i64>,
    xpending: Option<i64>,
    /// The text of INFO.
    info: Option<String>,
    /// Lag by group.
    groups: BTreeMap<String, i64>,
    #[serde(skip)]
    r#type: Option<(String, i64)>,
    /// Replies given in place of the usual, by command.
    #[serde(skip)]
    instead: BTreeMap<&'static str, Reply>,
    #[serde(skip)]
    asked: Mutex<Vec<&'static str>>,
}

impl Scripted {
    pub fn key_of_type(word: &str, length: i64) -> Self {
        Self { r#type: Some((word.to_owned(), length)), ..Self::default() }
    }

    pub fn stream_of_length(length: i64) -> Self {
        Self { xlen: Some(length), ..Self::default() }
    }

    fn answering(replies: &[(&'static str, Reply)]) -> Self {
        Self { instead: replies.iter().cloned().collect(), ..Self::default() }
    }

    /// The last command that counted something.
    pub fn counted_with(&self) -> Option<String> {
        let (word, _) = self.r#type.as_ref()?;
        let counter = counter_of(word)?;
        self.asked.lock().contains(&counter).then(|| counter.to_owned())
    }

    fn answer(&self, command: &Command) -> Reply {
        self.asked.lock().push(command.name);
        if let Some(reply) = self.instead.get(command.name) {
            return reply.clone();
        }
        match command.name {
            "XLEN" => Reply::Int(self.xlen.unwrap_or(1_000_000)),
            "XPENDING" => list([Reply::Int(self.xpending.unwrap_or(0)), Reply::Nil, Reply::Nil, Reply::Nil]),
            "XINFO GROUPS" => {
                Reply::List(self.groups.iter().map(|(name, lag)| group(name, Reply::Int(*lag), Reply::Nil)).collect())
            }
            "INFO" => text(self.info.as_deref().unwrap_or("# Server\r\nredis_version:7.0.15\r\n")),
            "TYPE" => text(self.r#type.as_ref().map_or("none", |(word, _)| word)),
            counter => match &self.r#type {
                Some((word, length)) if counter_of(word) == Some(counter) => Reply::Int(*length),
                Some(_) => refused("WRONGTYPE", "Operation against a key holding the wrong kind of value"),
                None => Reply::Int(0),
            },
        }
    }
}

fn counter_of(word: &str) -> Option<&'static str> {
    [("list", "LLEN"), ("set", "SCARD"), ("zset", "ZCARD"), ("hash", "HLEN")]
        .into_iter()
        .find_map(|(known, counter)| (known == word).then_some(counter))
}

fn text(text: &str) -> Reply {
    Reply::Text(text.to_owned())
}

fn list<const N: usize>(items: [Reply; N]) -> Reply {
    Reply::List(items.into())
}

fn refused(code: &str, detail: &str) -> Reply {
    Reply::Error(Refusal { code: code.to_owned(), text: detail.to_owned() })
}

fn group(name: &str, lag: Reply, read: Reply) -> Reply {
    let last = [text("last-delivered-id"), text("5-1")];
    let [last_key, last_id] = last;
    list([
        text("name"),
        text(name),
        text("pending"),
        Reply::Int(0),
        last_key,
        last_id,
        text("entries-read"),
        read,
        text("lag"),
        lag,
    ])
}

fn look(measure: Measure, memory: Memory, server: &Scripted) -> Result<(f64, Memory), ReadError> {
    let place = Place::node(&"h:6379");
    let mut look = Look::new("k".into(), measure, memory);
    for _ in 0..3 {
        let replies: Vec<Reply> = look.commands().iter().map(|command| server.answer(command)).collect();
        match look.judge(&place, &replies)? {
            Step::Counted(value, memory) => return Ok((value, memory)),
            Step::Again(next) => look = next,
        }
    }
    panic!("a look takes two rounds at most");
}

pub fn count(measure: Measure, server: &Scripted) -> Result<f64, ReadError> {
    look(measure, Memory::default(), server).map(|(value, _)| value)
}

fn remembering(kind: Kind) -> Memory {
    Memory { kind, ..Memory::default() }
}

pub fn is_active(value: f64, activation: i64) -> bool {
    value > activation as f64
}

fn lag() -> Measure {
    Measure::Lag { group: "g".into() }
}

#[track_caller]
fn check(measure: Measure, replies: &[(&'static str, Reply)], expected: Result<f64, ReadErrorKind>) {
    let outcome = count(measure, &Scripted::answering(replies));
    assert_eq!(outcome.map_err(|error| error.kind), expected);
}

#[test]
fn the_type_of_last_time_is_tried_first_and_another_is_found_out() {
    let server = Scripted::key_of_type("zset", 3);
    assert_eq!(look(Measure::Length, Memory::default(), &server), Ok((3.0, remembering(Kind::SortedSet))));
    assert_eq!(server.asked.lock().first(), Some(&"LLEN"));
    server.asked.lock().clear();
    assert_eq!(look(Measure::Length, remembering(Kind::SortedSet), &server), Ok((3.0, remembering(Kind::SortedSet))));
    assert_eq!(*server.asked.lock(), ["ZCARD"]);
}

#[test]
fn a_missing_key_counts_nothing_whatever_it_was() {
    for kind in [Kind::List, Kind::Set, Kind::SortedSet, Kind::Hash] {
        assert_eq!(look(Measure::Length, remembering(kind), &Scripted::default()), Ok((0.0, remembering(kind))));
    }
}

#[test]
fn a_type_without_length_is_named() {
    for word in ["string", "stream", "ReJSON-RL"] {
        let error = count(Measure::Length, &Scripted::key_of_type(word, 1)).expect_err(word);
        assert_eq!(error.kind, ReadErrorKind::BadReply);
        assert!(error.to_string().contains("`k`") && error.to_string().contains(word), "{error}");
    }
}

#[test]
fn the_lag_is_what_redis_says_but_never_more_than_there_is() {
    let groups = |lag| ("XINFO GROUPS", list([group("other", Reply::Int(9), Reply::Nil), group("g", lag, Reply::Nil)]));
    check(lag(), &[groups(Reply::Int(4)), ("XLEN", Reply::Int(10))], Ok(4.0));
    check(lag(), &[groups(Reply::Int(14)), ("XLEN", Reply::Int(10))], Ok(10.0));
    check(lag(), &[groups(Reply::Int(0)), ("XLEN", Reply::Int(10))], Ok(0.0));
}

#[test]
fn a_missing_stream_has_no_lag_and_a_missing_group_lags_behind_all_of_it() {
    let missing = ("XINFO GROUPS", refused("ERR", "no such key"));
    check(lag(), &[missing, ("XLEN", Reply::Int(0))], Ok(0.0));
    check(lag(), &[("XINFO GROUPS", list([])), ("XLEN", Reply::Int(10))], Ok(10.0));
}

#[test]
fn any_other_error_is_an_error_and_no_lag() {
    for (code, kind) in [("NOPERM", ReadErrorKind::Denied), ("WRONGTYPE", ReadErrorKind::BadReply)] {
        check(lag(), &[("XINFO GROUPS", refused(code, "…")), ("XLEN", Reply::Int(10))], Err(kind));
        let groups = ("XINFO GROUPS", list([group("g", Reply::Int(1), Reply::Nil)]));
        check(lag(), &[groups, ("XLEN", refused(code, "…"))], Err(kind));
    }
}

/// A stream of ten entries of which the last is `last`, and of which `added` were ever added.
fn stream(added: i64, generated: &str, last: Reply) -> (&'static str, Reply) {
    let fields = [text("length"), Reply::Int(10), text("last-generated-id"), text(generated)];
    let more = [text("entries-added"), Reply::Int(added), text("last-entry"), last];
    ("XINFO STREAM", Reply::List(fields.into_iter().chain(more).collect()))
}

fn entry(id: &str) -> Reply {
    list([text(id), list([text("field"), text("value")])])
}

fn grouped(lag: Reply, read: Reply) -> (&'static str, Reply) {
    ("XINFO GROUPS", list([group("g", lag, read)]))
}

#[test]
fn a_lag_that_redis_cannot_tell_is_counted_and_never_zero_by_silence() {
    let length = ("XLEN", Reply::Int(10));
    let behind = |added| stream(added, "9-1", entry("9-1"));
    check(lag(), &[grouped(Reply::Nil, Reply::Int(8)), length.clone(), behind(15)], Ok(7.0));
    check(lag(), &[grouped(Reply::Nil, Reply::Int(1)), length.clone(), behind(15)], Ok(10.0));
    let range = ("XRANGE", list([Reply::Nil, Reply::Nil, Reply::Nil]));
    check(lag(), &[grouped(Reply::Nil, Reply::Nil), length.clone(), behind(15), range], Ok(3.0));
    let denied = ("XRANGE", refused("NOPERM", "…"));
    check(lag(), &[grouped(Reply::Nil, Reply::Nil), length.clone(), denied], Err(ReadErrorKind::Denied));
    let denied = ("XINFO STREAM", refused("NOPERM", "…"));
    check(lag(), &[grouped(Reply::Nil, Reply::Int(8)), length.clone(), denied], Err(ReadErrorKind::Denied));
    let empty = ("XINFO STREAM", list([]));
    check(lag(), &[grouped(Reply::Nil, Reply::Int(8)), length, empty], Err(ReadErrorKind::BadReply));
}

#[test]
fn a_group_that_has_read_to_the_end_lags_behind_nothing_whatever_redis_counts() {
    let length = ("XLEN", Reply::Int(10));
    // The group was given 5-1 last.
    for (generated, last) in [("5-1", entry("5-1")), ("7-0", entry("5-1")), ("5-1", Reply::Other), ("9-9", Reply::Nil)]
    {
        for counted in [Reply::Int(100), Reply::Int(1), Reply::Int(0), Reply::Int(-3), Reply::Nil] {
            for read in [Reply::Int(2), Reply::Nil] {
                let replies = [grouped(counted.clone(), read), length.clone(), stream(200, generated, last.clone())];
                check(lag(), &replies, Ok(0.0));
            }
        }
    }
    // Numbers, not texts: 10 is after 5.
    let replies = [grouped(Reply::Int(4), Reply::Int(2)), length.clone(), stream(6, "10-1", entry("10-1"))];
    check(lag(), &replies, Ok(4.0));
    // Who may not ask is told what Redis counts.
    let denied = ("XINFO STREAM", refused("NOPERM", "…"));
    check(lag(), &[grouped(Reply::Int(4), Reply::Int(2)), length, denied], Ok(4.0));
}

#[test]
fn books_that_say_less_than_is_left_are_not_believed() {
    let length = ("XLEN", Reply::Int(10));
    let range = ("XRANGE", list([Reply::Nil, Reply::Nil]));
    for (counted, read) in
        [(Reply::Int(0), Reply::Int(9)), (Reply::Int(-5), Reply::Int(20)), (Reply::Nil, Reply::Int(20))]
    {
        let stream = stream(15, "9-1", entry("9-1"));
        check(lag(), &[grouped(counted, read), length.clone(), stream, range.clone()], Ok(2.0));
    }
}

#[test]
fn the_entries_after_the_last_delivered_one_are_counted() {
    let groups = list([group("g", Reply::Nil, Reply::Nil)]);
    let look = Look::new("k".into(), lag(), Memory::default());
    let step = look.judge(&Place::node(&"h:6379"), &[groups, Reply::Int(9), Reply::Other]).expect("another question");
    let Step::Again(next) = step else { panic!("{step:?}") };
    assert_eq!(next.commands(), [Command::new("XRANGE", ["k", "(5-1", "+", "COUNT", "1000"])]);
}

#[test]
fn a_server_too_old_to_tell_the_lag_is_told_so() {
    let old = list([list([text("name"), text("g"), text("pending"), Reply::Int(0)])]);
    let server = Scripted::answering(&[("XINFO GROUPS", old), ("XLEN", Reply::Int(3))]);
    let error = count(lag(), &server).expect_err("no lag");
    assert!(error.to_string().contains("Redis 7"), "{error}");
    assert!(!server.asked.lock().contains(&"INFO"), "there is a group to tell by");
}

#[test]
fn without_a_group_to_tell_by_the_version_is_asked_for_once() {
    let server = |info| Scripted::answering(&[("XINFO GROUPS", list([])), ("XLEN", Reply::Int(3)), ("INFO", info)]);
    for old in ["redis_version:6.2.14", "redis_version:abc", "# Server"] {
        assert!(count(lag(), &server(text(old))).is_err(), "{old}");
    }
    let new = server(text("# Server\r\nredis_version:255.255.255\r\n"));
    let (value, memory) = look(lag(), Memory::default(), &new).expect("new enough");
    assert_eq!((value, memory.tells_lag), (3.0, true));
    new.asked.lock().clear();
    assert_eq!(look(lag(), memory, &new), Ok((3.0, memory)));
    assert!(!new.asked.lock().contains(&"INFO"));
    assert_eq!(count(lag(), &server(refused("NOPERM", "…"))), Ok(3.0));
}

#[test]
fn pending_entries_need_the_group() {
    let pending = || Measure::Pending { group: "g".into() };
    check(pending(), &[("XPENDING", list([Reply::Int(4), text("1-1"), text("2-1"), Reply::Nil]))], Ok(4.0));
    let refused = refused("NOGROUP", "No such key 'k' or consumer group 'g'");
    check(pending(), &[("XPENDING", refused)], Err(ReadErrorKind::NotFound));
}

#[test]
fn an_answer_that_is_none_is_no_number() {
    for odd in [Reply::Nil, Reply::Other, text("OK"), list([])] {
        check(Measure::Length, &[("LLEN", odd.clone())], Err(ReadErrorKind::BadReply));
        check(Measure::StreamLength, &[("XLEN", odd.clone())], Err(ReadErrorKind::BadReply));
        check(Measure::Pending { group: "g".into() }, &[("XPENDING", odd)], Err(ReadErrorKind::BadReply));
    }
}

#[test]
fn what_redis_refuses_says_what_to_do() {
    use ReadErrorKind::{BadReply, Denied, Throttled, Unreachable};
    for (code, detail, kind, cure) in [
        ("NOAUTH", "Authentication required.", Denied, "give `username` and `password`"),
        ("WRONGPASS", "invalid username-password pair", Denied, "correct `username` and `password`"),
        ("NOPERM", "this user has no permissions", Denied, "grant the user `+xlen ~k`"),
        ("WRONGTYPE", "Operation against a key", BadReply, "`k`"),
        ("LOADING", "Redis is loading the dataset in memory", Unreachable, "loading"),
        ("BUSY", "Redis is busy running a script", Unreachable, "SCRIPT KILL"),
        ("MASTERDOWN", "Link with MASTER is down", Unreachable, "replication"),
        ("CLUSTERDOWN", "The cluster is down", Unreachable, "CLUSTER INFO"),
        ("TRYAGAIN", "Multiple keys request during rehashing", Unreachable, "slot"),
        ("DENIED", "Redis is running in protected mode", Denied, "protected mode"),
        ("ERR", "max number of clients reached", Throttled, "maxclients"),
        ("ERR", "unknown command 'XLEN'", BadReply, "does not know `XLEN`"),
        ("ERR", "something else", BadReply, "something else"),
    ] {
        let server = Scripted::answering(&[("XLEN", refused(code, detail))]);
        let error = count(Measure::StreamLength, &server).expect_err(code);
        assert_eq!(error.kind, kind, "{error}");
        let text = error.to_string();
        assert!(text.contains(cure) && text.contains("h:6379"), "{text}");
        let whole = code != "NOPERM" && kind != BadReply;
        assert_eq!(error.whole_connection, whole, "{text}");
    }
}
