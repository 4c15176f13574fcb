//! How many requests a second an account may cost in a region: a token bucket that narrows while SQS throttles.
//!
//! A request waits a little for its token; what would wait longer is refused, so that looks slow down rather than
//! pile up.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::time::{Instant, sleep_until};

use crate::{
    backend::{
        pool::Pool,
        sqs::{address::Address, connection::Connection},
    },
    error::{ReadError, ReadErrorKind},
};

/// 200 requests a second: a thousand queues each 5 s. SQS itself takes more.
const GAP: Duration = Duration::from_millis(5);
/// As narrow as it gets: a request a second.
const WIDEST_GAP: Duration = Duration::from_secs(1);
/// So much may be spent at once after a pause: two seconds' worth.
const BURST: u32 = 400;
/// A token that is further away is refused.
const PATIENCE: Duration = Duration::from_secs(2);
/// Throttled answers of one burst narrow it once.
const NARROWS_EVERY: Duration = Duration::from_secs(1);

/// The budgets in use, by account, region and endpoint.
#[derive(Debug, Default)]
pub struct Budgets(Pool<(Option<String>, String, Option<String>), Budget>);

impl Budgets {
    /// The budget that a look at `queue` counts against: its account's, or, for a bare name, our own account's.
    pub fn of(&self, connection: &Connection, queue: &Address) -> Arc<Budget> {
        let Connection { region, endpoint, .. } = connection;
        self.0.get(&(queue.account.clone(), region.clone(), endpoint.clone()), Budget::default)
    }
}

/// One account's requests in one region.
#[derive(Debug)]
pub struct Budget(Mutex<State>);

#[derive(Debug)]
struct State {
    /// Between two requests, on average.
    gap: Duration,
    /// When the bucket is full again.
    full_at: Instant,
    narrowed: Option<Instant>,
}

impl Default for Budget {
    fn default() -> Self {
        Self(Mutex::new(State { gap: GAP, full_at: Instant::now(), narrowed: None }))
    }
}

impl Budget {
    /// Waits for a token, or refuses if that would take too long.
    pub async fn spend(&self, connection: &Connection) -> Result<(), ReadError> {
        let now = Instant::now();
        let turn = {
            let mut state = self.0.lock();
            let State { gap, full_at, .. } = *state;
            let full_at = full_at.max(now) + gap;
            // While SQS throttles there is no burst.
            let burst = if gap > GAP { gap } else { GAP * BURST };
            let turn = full_at.checked_sub(burst).unwrap_or(now);
            if turn > now + PATIENCE {
                return Err(refusal(connection, gap));
            }
            state.full_at = full_at;
            turn
        };
        if turn > now {
            sleep_until(turn).await;
        }
        Ok(())
    }

    /// SQS throttles: half as many requests from now on.
    pub fn throttled(&self) {
        let now = Instant::now();
        let mut state = self.0.lock();
        if state.narrowed.is_none_or(|at| now >= at + NARROWS_EVERY) {
            state.narrowed = Some(now);
            state.gap = (state.gap * 2).min(WIDEST_GAP);
        }
    }

    /// SQS answers: a little more room, up to the whole again.
    pub fn served(&self) {
        let mut state = self.0.lock();
        if state.gap > GAP {
            state.gap = (state.gap - state.gap / 16).max(GAP);
        }
    }
}

/// Not the whole connection's fault: those who got a token go on.
fn refusal(connection: &Connection, gap: Duration) -> ReadError {
    let place = connection.place();
    let text = if gap > GAP {
        format!("{place} throttles, so fewer requests are sent: raise `pollingInterval` and `idlePollingInterval`")
    } else {
        let budget = Duration::from_secs(1).as_millis() / GAP.as_millis();
        format!(
            "the budget of {budget} requests a second for {place} is used up: raise `pollingInterval` and \
             `idlePollingInterval`"
        )
    };
    ReadError::new(ReadErrorKind::Throttled, text).of_source()
}

#[cfg(test)]
mod tests {
    use futures::future::join_all;

    use super::*;
    use crate::{identity::aws::Credentials, net::Reach};

    fn connection() -> Connection {
        Connection {
            region: "eu-west-1".into(),
            endpoint: None,
            credentials: Credentials::DefaultChain,
            reach: Reach::open(),
        }
    }

    /// Spends `count` tokens at once: how many came, and when the last one did.
    async fn spend(budget: &Budget, count: usize) -> (usize, Duration) {
        let (connection, began) = (connection(), Instant::now());
        let spent = join_all((0..count).map(|_| budget.spend(&connection))).await;
        (spent.iter().filter(|spent| spent.is_ok()).count(), began.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_goes_at_once_then_two_hundred_a_second_and_the_rest_is_refused() {
        let budget = Budget::default();
        let (spent, took) = spend(&budget, 400).await;
        assert_eq!((spent, took), (400, Duration::ZERO));
        let (spent, took) = spend(&budget, 1000).await;
        assert_eq!((spent, took.as_millis() / 100), (400, 20));
        let error = join_all((0..500).map(|_| async { budget.spend(&connection()).await })).await;
        let error = error.into_iter().find_map(Result::err).expect("some are refused");
        assert_eq!((error.kind, error.whole_connection), (ReadErrorKind::Throttled, false));
        assert!(error.to_string().starts_with("the budget of 200 requests a second"), "{error}");
    }

    #[tokio::test(start_paused = true)]
    async fn throttling_halves_the_budget_once_a_second_and_answers_restore_it() {
        let budget = Budget::default();
        for _ in 0..50 {
            budget.throttled();
        }
        assert_eq!(budget.0.lock().gap, GAP * 2);
        for _ in 0..20 {
            tokio::time::advance(NARROWS_EVERY).await;
            budget.throttled();
        }
        assert_eq!(budget.0.lock().gap, WIDEST_GAP);
        let (spent, took) = spend(&budget, 10).await;
        assert_eq!((spent, took.as_secs()), (3, 2), "one now, two within the patience");
        for _ in 0..200 {
            budget.served();
        }
        assert_eq!(budget.0.lock().gap, GAP);
    }

    #[test]
    fn queues_of_one_account_share_a_budget_and_others_do_not() {
        let budgets = Budgets::default();
        let of = |url: &str| budgets.of(&connection(), &Address::parse(url).expect("a queue"));
        let one = of("https://sqs.eu-west-1.amazonaws.com/1/a");
        assert!(Arc::ptr_eq(&one, &of("https://sqs.eu-west-1.amazonaws.com/1/b")));
        assert!(!Arc::ptr_eq(&one, &of("https://sqs.eu-west-1.amazonaws.com/2/b")));
        assert!(!Arc::ptr_eq(&one, &of("b")));
    }
}
