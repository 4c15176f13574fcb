//! What is counted, and the questions that find it out: commands go out, replies come in, a number or further
//! commands follow. Pure; no scripting, so that proxies and users without `@scripting` are served.
//!
//! Not for: how commands travel (`client`), or what an error of Redis's means to an operator (`refusal.rs`).

use std::sync::Arc;

use super::{
    refusal::{self, Place},
    reply::{Command, Reply},
};
use crate::error::{ReadError, ReadErrorKind};

/// How many entries are fetched at most to count a lag that Redis cannot tell.
const MOST_ENTRIES: i64 = 1_000;

/// The major version of Redis that first told the lag of a group.
const FIRST_WITH_LAG: u32 = 7;

/// What of a key is counted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Measure {
    /// The elements of a list, set, sorted set or hash; a missing key has none.
    Length,
    /// The entries of a stream; a missing one has none.
    StreamLength,
    /// The entries delivered to a group and not yet acknowledged.
    Pending {
        /// Its name.
        group: Arc<str>,
    },
    /// The entries not yet delivered to a group.
    Lag {
        /// Its name.
        group: Arc<str>,
    },
}

/// The types that [`Measure::Length`] counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Kind {
    /// What a missing key is taken for.
    #[default]
    List,
    /// A set.
    Set,
    /// A sorted set.
    SortedSet,
    /// A hash.
    Hash,
}

/// What one look leaves for the next, to ask less.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Memory {
    /// The type of the key.
    pub kind: Kind,
    /// The server is new enough to tell the lag of a group.
    pub tells_lag: bool,
}

/// One count under way.
#[derive(Debug, Clone)]
pub struct Look {
    key: Arc<str>,
    measure: Measure,
    memory: Memory,
    stage: Stage,
}

/// What a look has come to.
#[derive(Debug)]
pub enum Step {
    /// The number, and what to remember.
    Counted(f64, Memory),
    /// More is to be asked.
    Again(Look),
}

#[derive(Debug, Clone, PartialEq)]
enum Stage {
    /// Counting, as the type that the key had last time.
    First,
    /// It has another type: which, and its length as each that counts.
    Type,
    /// No group shows whether the server knows of lags at all, so `lag` stands only if it is new enough.
    Version { lag: i64 },
    /// Redis does not know the lag, or counts wrongly: what follows the last delivered entry? Of `length` entries.
    Range { after: String, length: i64 },
}

impl Kind {
    const ALL: [Self; 4] = [Self::List, Self::Set, Self::SortedSet, Self::Hash];

    /// As the command `TYPE` says it.
    fn word(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Set => "set",
            Self::SortedSet => "zset",
            Self::Hash => "hash",
        }
    }

    fn counter(self) -> &'static str {
        match self {
            Self::List => "LLEN",
            Self::Set => "SCARD",
            Self::SortedSet => "ZCARD",
            Self::Hash => "HLEN",
        }
    }
}

impl Measure {
    /// What is asked, and how it makes the value, in words.
    pub(super) fn explained(&self, kind: Kind) -> (&'static str, String) {
        match self {
            Self::Length => (kind.counter(), format!("the length of the {}", kind.word())),
            Self::StreamLength => ("XLEN", "the entries of the stream".to_owned()),
            Self::Pending { group } => {
                ("XPENDING", format!("entries delivered to group `{group}` and not yet acknowledged"))
            }
            Self::Lag { group } => ("XINFO GROUPS", format!("entries not yet delivered to group `{group}`")),
        }
    }
}

impl Look {
    /// Starts counting `measure` of `key`, with what the last look left.
    #[must_use]
    pub fn new(key: Arc<str>, measure: Measure, memory: Memory) -> Self {
        Self { key, measure, memory, stage: Stage::First }
    }

    /// What to ask now.
    #[must_use]
    pub fn commands(&self) -> Vec<Command> {
        let key: &str = &self.key;
        match (&self.stage, &self.measure) {
            (Stage::First, Measure::Length) => vec![Command::new(self.memory.kind.counter(), [key])],
            (Stage::First, Measure::StreamLength) => vec![Command::new("XLEN", [key])],
            (Stage::First, Measure::Pending { group }) => vec![Command::new("XPENDING", [key, group])],
            (Stage::First, Measure::Lag { .. }) => {
                ["XINFO GROUPS", "XLEN", "XINFO STREAM"].map(|name| Command::new(name, [key])).into()
            }
            (Stage::Type, _) => {
                let counters = Kind::ALL.map(|kind| Command::new(kind.counter(), [key]));
                [Command::new("TYPE", [key])].into_iter().chain(counters).collect()
            }
            (Stage::Version { .. }, _) => vec![Command::new("INFO", ["server"])],
            (Stage::Range { after, .. }, _) => {
                vec![Command::new("XRANGE", [key, &format!("({after}"), "+", "COUNT", &MOST_ENTRIES.to_string()])]
            }
        }
    }

    /// Judges the replies to [`commands`](Self::commands), given in their order by the server at `place`.
    pub fn judge(self, place: &Place, replies: &[Reply]) -> Result<Step, ReadError> {
        let asked = Asked { place, key: &self.key };
        let first = |name| asked.number(name, replies.first());
        match (&self.stage, &self.measure) {
            (Stage::First, Measure::Length) => {
                if replies.first().and_then(Reply::refusal).is_some_and(|refusal| refusal.code == "WRONGTYPE") {
                    return Ok(Step::Again(Self { stage: Stage::Type, ..self }));
                }
                Ok(self.counted(first(self.memory.kind.counter())?))
            }
            (Stage::First, Measure::StreamLength) => Ok(self.counted(first("XLEN")?)),
            (Stage::First, Measure::Pending { group }) => Ok(self.counted(asked.pending(group, replies)?)),
            (Stage::First, Measure::Lag { group }) => Ok(match asked.lag(group, replies)? {
                Lag::Known(lag) => self.counted_lag(lag),
                Lag::Unproven(lag) if self.memory.tells_lag => self.counted(lag),
                Lag::Unproven(lag) => Step::Again(Self { stage: Stage::Version { lag }, ..self }),
                Lag::Hidden(stage) => Step::Again(Self { stage, ..self }),
            }),
            (Stage::Type, _) => {
                let (kind, length) = asked.any_type(replies)?;
                Ok(Self { memory: Memory { kind, ..self.memory }, ..self }.counted(length))
            }
            (Stage::Version { lag }, _) => {
                let lag = *lag;
                // Who may not ask for the version is believed.
                let told = replies.first().and_then(Reply::refusal).is_none_or(|refusal| refusal.code != "NOPERM");
                if told {
                    asked.version(replies)?;
                    return Ok(self.counted_lag(lag));
                }
                Ok(self.counted(lag))
            }
            (Stage::Range { length, .. }, _) => {
                let entries = asked.list("XRANGE", replies.first())?;
                Ok(self.counted_lag(i64::try_from(entries.len()).unwrap_or(i64::MAX).min(*length)))
            }
        }
    }

    fn counted(&self, number: i64) -> Step {
        Step::Counted(number as f64, self.memory)
    }

    /// By a server that has proven to know of lags.
    fn counted_lag(&self, number: i64) -> Step {
        Step::Counted(number as f64, Memory { tells_lag: true, ..self.memory })
    }
}

/// Where a group stands.
enum Lag {
    Known(i64),
    /// Known if the server knows of lags.
    Unproven(i64),
    Hidden(Stage),
}

/// Whether nothing in the stream is later than what the group was given last; `None` where that is not told.
fn has_read_all(group: &Reply, stream: &Reply) -> Option<bool> {
    let given = id(group.field("last-delivered-id")?)?;
    let last = match stream.field("last-entry") {
        Some(Reply::Nil) => return Some(true),
        Some(entry) => entry.items().first().and_then(id),
        None => None,
    };
    match last {
        Some(last) => Some(last <= given),
        None => (id(stream.field("last-generated-id")?)? <= given).then_some(true),
    }
}

/// An id of a stream: milliseconds and a number within them.
fn id(text: &Reply) -> Option<(u64, u64)> {
    let (time, number) = text.text()?.split_once('-')?;
    Some((time.parse().ok()?, number.parse().ok()?))
}

/// Replies about one key, to be understood or refused by name.
struct Asked<'a> {
    place: &'a Place,
    key: &'a str,
}

impl Asked<'_> {
    fn any_type(&self, replies: &[Reply]) -> Result<(Kind, i64), ReadError> {
        let [word, lengths @ ..] = replies else { return Err(self.odd("TYPE")) };
        let word = match word {
            Reply::Error(refusal) => return Err(refusal::of_command(self.place, "TYPE", self.key, refusal)),
            word => word.text().ok_or_else(|| self.odd("TYPE"))?,
        };
        // It may have gone since: then it is an empty list.
        let word = if word == "none" { Kind::List.word() } else { word };
        let Some((kind, length)) = Kind::ALL.into_iter().zip(lengths).find(|(kind, _)| kind.word() == word) else {
            let text = format!(
                "key `{}` at {} is a {word}, which has no length to scale on: it must be a list, set, sorted set or hash",
                self.key, self.place
            );
            return Err(ReadError::new(ReadErrorKind::BadReply, text));
        };
        Ok((kind, self.number(kind.counter(), Some(length))?))
    }

    fn pending(&self, group: &str, replies: &[Reply]) -> Result<i64, ReadError> {
        let reply = replies.first();
        if reply.and_then(Reply::refusal).is_some_and(|refusal| refusal.code == "NOGROUP") {
            let text = format!(
                "stream `{}` at {} is missing or has no consumer group `{group}`: create both with \
                 `XGROUP CREATE … MKSTREAM`, or correct `stream` and `consumerGroup` in the trigger",
                self.key, self.place
            );
            return Err(ReadError::new(ReadErrorKind::NotFound, text));
        }
        let summary = self.list("XPENDING", reply)?;
        self.number("XPENDING", summary.first())
    }

    /// No stream, nothing to read; no such group, all of it (KEDA's rule: the group may come with its first
    /// consumer); else what Redis says, which is never more than there is. Redis counts what a group has read, not
    /// what was trimmed or deleted unread, so a group that has read to the end may lag in its books for ever; and a
    /// group whose books were written by hand (`ENTRIESREAD`) may not.
    fn lag(&self, group: &str, replies: &[Reply]) -> Result<Lag, ReadError> {
        let [groups, length, stream] = replies else { return Err(self.odd("XINFO GROUPS")) };
        if groups.refusal().is_some_and(|refusal| refusal.code == "ERR" && refusal.text == "no such key") {
            return Ok(Lag::Unproven(0));
        }
        let groups = self.list("XINFO GROUPS", Some(groups))?;
        let length = self.number("XLEN", Some(length))?;
        let Some(found) = groups.iter().find(|found| found.field("name").and_then(Reply::text) == Some(group)) else {
            let proven = groups.iter().any(|other| other.field("lag").is_some());
            return Ok(if proven { Lag::Known(length) } else { Lag::Unproven(length) });
        };
        let range = || {
            let after = found.field("last-delivered-id").and_then(Reply::text).map(str::to_owned);
            Ok(Lag::Hidden(Stage::Range { after: after.ok_or_else(|| self.odd("XINFO GROUPS"))?, length }))
        };
        let read_all = has_read_all(found, stream);
        let lag = match found.field("lag") {
            None => return Err(self.too_old()),
            Some(Reply::Int(_) | Reply::Nil) if read_all == Some(true) => 0,
            Some(Reply::Int(lag)) => *lag,
            Some(Reply::Nil) => match found.field("entries-read").and_then(Reply::int) {
                Some(read) => self.field("XINFO STREAM", Some(stream), "entries-added")?.saturating_sub(read),
                None => return range(),
            },
            Some(_) => return Err(self.odd("XINFO GROUPS")),
        };
        if lag < 0 || lag == 0 && read_all == Some(false) { range() } else { Ok(Lag::Known(lag.min(length))) }
    }

    fn version(&self, replies: &[Reply]) -> Result<(), ReadError> {
        let text = match replies.first() {
            Some(Reply::Text(text)) => text,
            Some(Reply::Error(refusal)) => return Err(refusal::of_command(self.place, "INFO", self.key, refusal)),
            _ => return Err(self.odd("INFO")),
        };
        let version = text.lines().find_map(|line| line.strip_prefix("redis_version:"));
        let major = version.and_then(|version| version.split('.').next()).and_then(|major| major.trim().parse().ok());
        if major.is_some_and(|major: u32| major >= FIRST_WITH_LAG) { Ok(()) } else { Err(self.too_old()) }
    }

    fn number(&self, command: &'static str, reply: Option<&Reply>) -> Result<i64, ReadError> {
        match reply {
            Some(Reply::Int(number)) => Ok(*number),
            Some(Reply::Error(refusal)) => Err(refusal::of_command(self.place, command, self.key, refusal)),
            _ => Err(self.odd(command)),
        }
    }

    fn list<'r>(&self, command: &'static str, reply: Option<&'r Reply>) -> Result<&'r [Reply], ReadError> {
        match reply {
            Some(Reply::List(items)) => Ok(items),
            Some(Reply::Error(refusal)) => Err(refusal::of_command(self.place, command, self.key, refusal)),
            _ => Err(self.odd(command)),
        }
    }

    fn field(&self, command: &'static str, reply: Option<&Reply>, field: &str) -> Result<i64, ReadError> {
        self.list(command, reply)?;
        reply.and_then(|reply| reply.field(field)).and_then(Reply::int).ok_or_else(|| self.odd(command))
    }

    fn too_old(&self) -> ReadError {
        let text = format!(
            "{} does not tell the lag of a consumer group, Redis 7 and newer do: upgrade it, or drop `lagCount` to \
             scale on pending entries",
            self.place
        );
        ReadError::new(ReadErrorKind::BadReply, text)
    }

    fn odd(&self, command: &str) -> ReadError {
        let text = format!(
            "{} answers `{command}` on key `{}` as no Redis does: look at the proxy or module in between",
            self.place, self.key
        );
        ReadError::new(ReadErrorKind::BadReply, text)
    }
}
