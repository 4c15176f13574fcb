//! What a store said, kept for as long as it holds: one question at a time however many ask, the last good answer while the
//! store is away, and a "no" against it believed at the second time only.
//!
//! Not for: what a store is asked (its own file).

use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

use parking_lot::Mutex;
use tokio::time::{Instant, timeout};

use super::{Answer, Asked, Source, is_passing};
use crate::{
    clock::jittered,
    error::{ReadError, ReadErrorKind},
    identity::{
        cache::Cache,
        held::{Held, Keeper},
    },
    limits,
};

/// What failed is tried again after so long; less often while an old answer serves.
const AGAIN: Duration = Duration::from_secs(3);
const AGAIN_WHILE_SERVED: Duration = Duration::from_secs(10);
/// What is missing is looked for again after so long, whatever else of the answer holds longer.
const AGAIN_WHILE_MISSING: Duration = Duration::from_secs(30);
/// What has just gone is looked for again after so long, before that is believed.
const DOUBT: Duration = Duration::from_secs(2);
/// A refused login has a store asked again at once, and no more often than this.
const FORCED: Duration = Duration::from_secs(5);
/// For all questions of one reading.
const LONGEST: Duration = Duration::from_secs(15);
/// What was read at the same time is read again at different ones.
const SPREAD: std::ops::Range<f64> = 1.0..1.05;

static READERS: LazyLock<Cache<Asked, Reader>> = LazyLock::new(Cache::default);

/// The one who asks a store, for all who want the same of it.
pub struct Reader {
    field: &'static str,
    source: Result<Box<dyn Source>, ReadError>,
    state: tokio::sync::Mutex<State>,
    refused: Mutex<Refused>,
}

/// What is known.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The last good answer.
    pub answer: Arc<Answer>,
    /// Until when it need not be asked for again.
    pub due: Instant,
    /// When it was given.
    pub read: Option<Instant>,
    /// Since when the store has been away, and why.
    pub away: Option<(Instant, String)>,
}

#[derive(Default)]
struct Refused {
    /// A broker has refused what the answer says.
    pending: bool,
    last: Option<Instant>,
}

struct State {
    held: Option<Arc<Answer>>,
    read: Option<Instant>,
    due: Instant,
    /// Why nothing is held, or why it is not new.
    failure: Option<ReadError>,
    away: Option<(Instant, String)>,
    /// The last answer said no, against the one before.
    doubted: bool,
    mark: Held,
}

impl Reader {
    /// The reader of what is asked, for as long as somebody holds it. Asks nobody yet.
    #[must_use]
    pub fn of(asked: &Asked) -> Arc<Self> {
        READERS.get(asked.clone(), |asked| Self::new(asked.store.field(), asked.source()))
    }

    pub(super) fn new(field: &'static str, source: Result<Box<dyn Source>, ReadError>) -> Self {
        let mark = Held::by(Keeper::Store);
        let state =
            State { held: None, read: None, due: Instant::now(), failure: None, away: None, doubted: false, mark };
        Self { field, source, state: tokio::sync::Mutex::new(state), refused: Mutex::default() }
    }

    /// What is known, after asking if it is due. An error only if nothing is.
    pub async fn read(&self) -> Result<Seen, ReadError> {
        let source = self.source.as_ref().map_err(Clone::clone)?;
        let mut state = self.state.lock().await;
        let refused = std::mem::take(&mut self.refused.lock().pending);
        if refused || Instant::now() >= state.due {
            let read = timeout(LONGEST, source.read(refused)).await.unwrap_or_else(|_| {
                let text = format!(
                    "`{}` was not read within {LONGEST:?}: check the store's load, or ask less of it",
                    self.field
                );
                Err(ReadError::new(ReadErrorKind::Timeout, text).of_source())
            });
            state.take(read);
        }
        state.seen()
    }

    /// A broker refuses what came of it: the next one who reads gets what the store says then.
    pub fn forget(&self) {
        let (now, mut refused) = (Instant::now(), self.refused.lock());
        if refused.last.is_none_or(|last| now >= last + FORCED) {
            *refused = Refused { pending: true, last: Some(now) };
        }
    }
}

impl State {
    fn take(&mut self, read: Result<Answer, ReadError>) {
        let now = Instant::now();
        // With one answer that says yes after another, a no in between was none.
        let doubted = std::mem::take(&mut self.doubted);
        match (read, &self.held) {
            (Ok(answer), Some(held)) if !doubted && is_less(&answer, held) => {
                (self.doubted, self.due) = (true, now + DOUBT);
            }
            (Ok(answer), _) => {
                let misses = answer.values.iter().any(Result::is_err);
                let most = if misses { AGAIN_WHILE_MISSING } else { limits::LONGEST_LIFE };
                self.due = now + jittered(answer.holds.min(most), SPREAD);
                self.held = Some(Arc::new(answer));
                self.read = Some(now);
                (self.failure, self.away) = (None, None);
                self.mark.read(now);
            }
            (Err(error), Some(_)) if is_passing(&error) => {
                self.away.get_or_insert_with(|| (now, error.to_string()));
                self.mark.failed(now, &error);
                (self.due, self.doubted) = (now + AGAIN_WHILE_SERVED, doubted);
            }
            (Err(_), Some(_)) if !doubted => (self.doubted, self.due) = (true, now + DOUBT),
            (Err(error), _) => {
                (self.held, self.away) = (None, None);
                self.mark.gone();
                (self.failure, self.due) = (Some(error), now + AGAIN);
            }
        }
    }

    fn seen(&self) -> Result<Seen, ReadError> {
        match (&self.held, &self.failure) {
            (Some(answer), _) => {
                Ok(Seen { answer: Arc::clone(answer), due: self.due, read: self.read, away: self.away.clone() })
            }
            (None, Some(failure)) => Err(failure.clone()),
            (None, None) => {
                Err(ReadError::new(ReadErrorKind::Internal, "a store was not asked: see the log").of_source())
            }
        }
    }
}

/// Whether something that had a value has none now.
fn is_less(now: &Answer, before: &Answer) -> bool {
    now.values.iter().zip(&before.values).any(|(now, before)| now.is_err() && before.is_ok())
}
