//! One sentinel's answer to where the master is.

use std::time::Duration;

use tokio::time::timeout;

use crate::{
    backend::redis::{
        address::Address,
        client::connect::{Opened, trouble},
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

/// A master that is one no more; its successor is known to the sentinels, or will be soon.
pub fn demoted(place: &Place) -> ReadError {
    ReadError::new(Unreachable, format!("{place} is not the master: wait until the sentinels name another"))
}

/// Asks a sentinel where `master` is.
pub async fn master(opened: &mut Opened, master: &str) -> Result<Address, ReadError> {
    let place = &opened.wire.place.clone();
    let command = Command::new("SENTINEL GET-MASTER-ADDR-BY-NAME", [master]);
    let asking = timeout(ANSWER_WITHIN, opened.wire.ask(&[command])).await;
    let replies = asking.map_err(|_| trouble::silent(place, ANSWER_WITHIN))?.map_err(|broken| broken.error)?;
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
        Some(Reply::Error(refusal)) => Err(refusal::of_server(place, refusal).unwrap_or_else(odd)),
        _ => Err(odd()),
    }
}
