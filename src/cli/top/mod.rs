//! `plimsoll top`: the triggers of a running server, live: as `htop` shows processes.
//!
//! The server sorts, filters and pages, so that a screen costs what a screen holds, of twenty thousand triggers as of ten. Not
//! for: one trigger in words (`explain`), which a key leads to.

mod board;
mod curves;
mod draw;
mod order;
mod plain;
mod screen;

use std::{
    io::{self, IsTerminal},
    time::Duration,
};

use anyhow::Result;
use clap::{Args, ValueEnum};

use self::board::{Board, Filter, Sort};
use super::{
    exit::{Exit, Unusable},
    output::Format,
    remote::{Page, Seen, Server, Which},
    serve::duration,
};

/// Watch the triggers of a running server: sort, filter, look into one.
///
/// On a terminal it is live, and `?` says the keys. Anywhere else, and with `--once`, it prints a line for each trigger and ends.
#[derive(Debug, Args)]
pub(super) struct Top {
    /// Only triggers with this text in their objects' names, their source, their connection or their error.
    #[arg(value_name = "TEXT")]
    text: Option<String>,
    /// Only triggers of this namespace.
    #[arg(long, short, value_name = "NAME")]
    namespace: Option<String>,
    /// Only triggers that stand so.
    #[arg(long, value_enum, default_value = "all")]
    state: Filter,
    /// By what they are in order.
    #[arg(long, value_enum, default_value = "state")]
    sort: Sort,
    /// The other way round.
    #[arg(long, short)]
    reverse: bool,
    /// How often the server is asked.
    #[arg(long, value_name = "TIME", value_parser = every, default_value = "1s")]
    every: Duration,
    /// Print all once and end, on a terminal too.
    #[arg(long)]
    once: bool,
    /// How it is printed, where it is not live.
    #[arg(long, short, value_enum, default_value = "text")]
    output: Format,
    #[command(flatten)]
    which: Which,
}

fn every(text: &str) -> Result<Duration, &'static str> {
    let every = duration(text)?;
    if every < Duration::from_millis(200) { Err("must be 200ms at least") } else { Ok(every) }
}

impl Top {
    pub(super) async fn run(self) -> Result<Exit> {
        let servers = self.which.connect().await?;
        let asked = (self.namespace.clone(), self.text.clone());
        let board = Board::new(asked, self.state, self.sort, self.reverse);
        let first = busiest(&servers).await?;
        let live = io::stdout().is_terminal() && io::stdin().is_terminal() && !self.once && self.output == Format::Text;
        if live {
            screen::run(&servers, first, board, self.every).await?;
        } else {
            let server = servers.get(first).ok_or_else(|| Unusable("there is no such server".to_owned()))?;
            plain::print(server, &board, self.output).await?;
        }
        Ok(Exit::Done)
    }
}

/// Of several replicas, the one that knows the most triggers: KEDA's operator has one connection for all of them.
async fn busiest(servers: &[Server]) -> Result<usize, Unusable> {
    let mut best = (0, 0);
    for (at, server) in servers.iter().enumerate().skip(usize::from(servers.len() == 1)) {
        let page: Page = server.get("/api/v1/triggers", &[("limit", "1")]).await?;
        let unasked = page.counts.get("unasked").copied().unwrap_or_default();
        let known = (page.total as u64).saturating_sub(unasked) + 1;
        if known > best.1 {
            best = (at, known);
        }
    }
    Ok(best.0)
}

impl ValueEnum for Sort {
    fn value_variants<'a>() -> &'a [Self] {
        &Self::ALL
    }

    fn to_possible_value(&self) -> Option<clap::builder::PossibleValue> {
        Some(clap::builder::PossibleValue::new(self.word()))
    }
}

impl ValueEnum for Filter {
    fn value_variants<'a>() -> &'a [Self] {
        &Self::ALL
    }

    fn to_possible_value(&self) -> Option<clap::builder::PossibleValue> {
        Some(clap::builder::PossibleValue::new(self.word()))
    }
}

/// One answer to what the board wants.
#[derive(Debug)]
struct Answer {
    seen: Seen,
    page: Page,
    detail: Option<Box<super::remote::Detail>>,
}
