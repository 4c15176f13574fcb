//! Asks the server's own pages what it took to answer, as anyone can with `curl`.

use std::{net::SocketAddr, time::Duration};

use anyhow::Result;
use serde::Deserialize;
use tokio::time::sleep;

use super::board::Board;

/// How often it asks.
const EVERY: Duration = Duration::from_secs(1);

/// The part of `/api/triggers` that is shown.
#[derive(Debug, Deserialize)]
struct Trigger {
    reads: u64,
}

/// Notes the number of reads, for ever. A page that does not answer leaves the last number standing.
pub(super) async fn count_reads(admin: SocketAddr, board: &Board) -> Result<()> {
    let client = reqwest::Client::builder().no_proxy().timeout(EVERY).build()?;
    let page = format!("http://{admin}/api/triggers");
    loop {
        let triggers: reqwest::Result<Vec<Trigger>> =
            async { client.get(&page).send().await?.error_for_status()?.json().await }.await;
        if let Ok(triggers) = triggers {
            board.note(|facts| facts.reads = triggers.iter().map(|trigger| trigger.reads).sum());
        }
        sleep(EVERY).await;
    }
}
