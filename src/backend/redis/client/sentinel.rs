//! Finds the master: all sentinels are asked at once and the first that knows is believed, since a master that
//! is none is found out by its role.

use std::time::Duration;

use futures::{StreamExt, stream::FuturesUnordered};
use tokio::time::timeout;

use super::connect::{Dialer, trouble};
use crate::{
    backend::redis::{
        address::Address,
        connection::{Login, Topology},
        refusal::{self, Place},
        reply::{Command, Reply},
    },
    error::{
        ReadError,
        ReadErrorKind::{self, BadReply, NotFound, Unreachable},
    },
};

/// How long a sentinel may take over its answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// Where the master is now.
pub async fn find_master(dialer: &Dialer) -> Result<Address, ReadError> {
    let connection = &dialer.connection;
    let Topology::Sentinel { master: Some(master), login } = &connection.topology else {
        let text = "redis sentinel cannot be asked for a master without a name: set `sentinelMaster` in the trigger";
        return Err(ReadError::new(NotFound, text).of_connection());
    };
    let sentinels = connection.addresses.iter().filter(|address| !address.is_empty());
    let mut answers: FuturesUnordered<_> =
        sentinels.map(|sentinel| ask_one(dialer, sentinel, master, login.as_ref())).collect();
    let mut errors = Vec::new();
    while let Some(answer) = answers.next().await {
        match answer {
            Ok(address) => return Ok(address),
            Err(error) => errors.push(error),
        }
    }
    // The most telling one, the same each time.
    errors.sort_by_key(|error| (rank(error), error.to_string()));
    let none = || ReadError::new(Unreachable, "no sentinel to ask: set `address` in the trigger");
    Err(errors.into_iter().next().unwrap_or_else(none))
}

/// A master that is one no more; its successor is known to the sentinels, or will be soon.
pub fn demoted(place: &Place) -> ReadError {
    ReadError::new(Unreachable, format!("{place} is not the master: wait until the sentinels name another"))
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

async fn ask_one(dialer: &Dialer, at: &str, master: &str, login: Option<&Login>) -> Result<Address, ReadError> {
    let mut opened = dialer.open_sentinel(&Address::parse(at)?, login).await?;
    let place = opened.wire.place.clone();
    let command = Command::new("SENTINEL GET-MASTER-ADDR-BY-NAME", [master]);
    let asking = timeout(ANSWER_WITHIN, opened.wire.ask(&[command])).await;
    let replies = asking.map_err(|_| trouble::silent(&place, ANSWER_WITHIN))?.map_err(|broken| broken.error)?;
    let odd = || {
        let text = format!("{place} does not answer as a sentinel: correct `address` in the trigger");
        ReadError::new(BadReply, text).of_connection()
    };
    match replies.first() {
        Some(Reply::List(parts)) => match parts.as_slice() {
            [host, port] => {
                let port = port.text().and_then(|port| port.parse().ok()).ok_or_else(odd)?;
                Ok(Address::new(host.text().ok_or_else(odd)?, port))
            }
            _ => Err(odd()),
        },
        Some(Reply::Nil) => {
            let text = format!("{place} knows no master `{master}`: correct `sentinelMaster` in the trigger");
            Err(ReadError::new(NotFound, text).of_connection())
        }
        Some(Reply::Error(refusal)) if refusal.code == "NOPERM" => {
            let text = format!("{place} denies its question: grant the user `+sentinel|get-master-addr-by-name`");
            Err(ReadError::new(ReadErrorKind::Denied, text).of_connection())
        }
        Some(Reply::Error(refusal)) => Err(refusal::of_server(&place, refusal).unwrap_or_else(odd)),
        _ => Err(odd()),
    }
}
