//! The terminal while `top` is live: keys in, pictures out, and as it was before at the end, whichever end that is.
//!
//! Not for: what a key means (`board`), or how it looks (`draw`).

use std::{future::Future, io, pin::Pin, time::Duration};

use crossterm::event::{Event, EventStream, KeyEventKind};
use futures::StreamExt;
use ratatui::DefaultTerminal;
use tokio::{
    signal::unix::{SignalKind, signal},
    time::{MissedTickBehavior, interval},
};

use super::{
    Answer,
    board::{Board, Then},
    draw,
};
use crate::cli::{exit::Unusable, output::Paint, remote::Server};

type Asking<'s> = Pin<Box<dyn Future<Output = Result<Answer, Unusable>> + 's>>;

/// The terminal, taken; given back when this is dropped. A panic gives it back before it is told.
struct Taken(DefaultTerminal);

impl Taken {
    fn new() -> io::Result<Self> {
        ratatui::try_init().map(Self)
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        // A terminal that is gone needs nothing back.
        ratatui::try_restore().ok();
    }
}

/// Shows the board until a key or a signal ends it.
pub(super) async fn run(servers: &[Server], first: usize, mut board: Board, every: Duration) -> anyhow::Result<()> {
    let mut ends = [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()].map(signal).into_iter();
    let mut next_end = || ends.next().unwrap_or_else(|| Err(io::ErrorKind::Other.into()));
    let (mut terminate, mut interrupt, mut hangup) = (next_end()?, next_end()?, next_end()?);
    let paint = Paint::of_stdout();
    let mut terminal = Taken::new()?;
    let mut keys = EventStream::new();
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut at = first;
    let mut asked = None;
    let mut asking: Option<Asking<'_>> = None;
    loop {
        let Some(server) = servers.get(at) else { return Ok(()) };
        let name = (servers.len() > 1).then(|| (server.name.as_str(), at + 1, servers.len()));
        terminal.0.draw(|frame| draw::draw(frame, &mut board, name, paint))?;
        // What is wanted has changed: what is under way is for nothing.
        let wanted = (at, board.screen(), board.one());
        if asked.as_ref() != Some(&wanted) {
            if asked.is_some() {
                board.curves.forget();
            }
            let mut query = wanted.1.clone();
            query.extend(board.curves.are_wanted().then(|| ("recent", "true".to_owned())));
            asking = Some(Box::pin(ask(server, query, wanted.2)));
            asked = Some(wanted);
        }
        tokio::select! {
            event = keys.next() => match event {
                Some(Ok(Event::Key(key))) if key.kind != KeyEventKind::Release => match board.key(key) {
                    Then::Quit => return Ok(()),
                    Then::Next => at = (at + 1) % servers.len().max(1),
                    Then::Draw => {}
                },
                Some(Ok(_)) => {}
                // The terminal is gone.
                Some(Err(_)) | None => return Ok(()),
            },
            answer = answered(&mut asking) => {
                asking = None;
                match answer {
                    Ok(answer) => board.take(answer),
                    Err(error) => board.trouble = Some(error.0),
                }
            }
            // One that has not been answered yet is not asked twice.
            _ = ticks.tick() => if asking.is_none() { asked = None },
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
            _ = hangup.recv() => return Ok(()),
        }
    }
}

async fn answered(asking: &mut Option<Asking<'_>>) -> Result<Answer, Unusable> {
    match asking {
        Some(asking) => asking.await,
        None => std::future::pending().await,
    }
}

async fn ask(server: &Server, query: Vec<(&'static str, String)>, one: Option<u64>) -> Result<Answer, Unusable> {
    let query: Vec<(&str, &str)> = query.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let page = server.get("/api/v1/triggers", &query).await?;
    let detail = match one {
        None => None,
        Some(id) => Some(server.get(&format!("/api/v1/triggers/{id}"), &[]).await?),
    };
    Ok(Answer { seen: server.get("/api/v1/server", &[]).await?, page, detail })
}
