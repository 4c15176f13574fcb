//! Asks the server's own pages what it took to answer, as anyone can with `curl`.

use std::{net::SocketAddr, time::Duration};

use anyhow::Result;
use serde::Deserialize;
use tokio::time::sleep;

use super::board::Board;
use crate::net::{
    Reach,
    http::{Http, Method, Request, Url},
};

/// How often it asks.
const EVERY: Duration = Duration::from_secs(1);

/// The part of `/api/v1/triggers` that is shown.
#[derive(Debug, Deserialize)]
struct Triggers {
    triggers: Vec<Trigger>,
}

#[derive(Debug, Deserialize)]
struct Trigger {
    reads: u64,
}

/// Notes the number of reads, for ever. A page that does not answer leaves the last number standing.
pub(super) async fn count_reads(admin: SocketAddr, board: &Board) -> Result<()> {
    let client = Http::of_system(Reach::of_operator())?;
    let page = Url::parse(&format!("http://{admin}/api/v1/triggers"))?;
    loop {
        let answer = client.send(Request::new(Method::GET, page.clone()), EVERY).await;
        let page = answer.ok().and_then(|answer| serde_json::from_slice::<Triggers>(&answer.body).ok());
        if let Some(Triggers { triggers }) = page {
            board.note(|facts| facts.reads = triggers.iter().map(|trigger| trigger.reads).sum());
        }
        sleep(EVERY).await;
    }
}
