//! `plimsoll explain`: from question to answer, for one object's triggers, as a running server knows it.
//!
//! Not for: many triggers at a glance (`top`), or a file that is not applied yet (`check`).

mod chain;
mod connection;
mod follow;
mod name;
mod parts;
#[cfg(test)]
mod tests;

use std::io::{self, IsTerminal, Write};

use anyhow::Result;
use clap::Args;
use serde_json::{Value, json};

pub(super) use self::chain::Chain;
use self::name::{Found, Name};
use super::{
    exit::{Exit, Unusable},
    output::{self, Format, Paint},
    remote::{Detail, Seen, Server, Which, until_signal},
};

/// Say why a workload scales as it does, or does not: who asks, what is read, and what comes of it.
///
/// Asks a running server, which reads nothing anew for it. Ends with 0 where all is well, with 1 where a trigger fails, is stale
/// or was refused, with 2 where nothing can be said: no server, no such name, or several.
#[derive(Debug, Args)]
pub(super) struct Explain {
    /// The ScaledObject or ScaledJob, and which of its triggers: by its name, its index, its metric or its type.
    #[arg(value_name = "[NAMESPACE/]NAME[/TRIGGER]")]
    name: String,
    /// Go on, and print what changes as it does.
    #[arg(long, short)]
    follow: bool,
    /// How it is written. With `--follow`, a JSON document a line.
    #[arg(long, short, value_enum, default_value = "text")]
    output: Format,
    #[command(flatten)]
    which: Which,
}

/// A trigger, and the replica that knows it best.
struct Known<'s> {
    server: &'s Server,
    seen: Seen,
    /// As the server says it.
    json: Value,
    detail: Detail,
}

impl Explain {
    pub(super) async fn run(self) -> Result<Exit> {
        let name = Name::parse(&self.name)?;
        let servers = self.which.connect().await?;
        let found = name::find(&servers, &name).await?;
        let mut known = Vec::new();
        for found in found {
            known.push(Known::read(&servers, &found).await?);
        }
        let exit = if known.iter().any(|known| known.detail.trigger.is_failing()) { Exit::Found } else { Exit::Done };
        self.write(&known)?;
        if self.follow {
            until_signal(follow::follow(&servers, &name, known, self.output)).await?.transpose()?;
        }
        Ok(exit)
    }

    fn write(&self, known: &[Known<'_>]) -> io::Result<()> {
        let mut out = io::stdout().lock();
        match self.output {
            Format::Text => {
                let columns = columns();
                for (at, known) in known.iter().enumerate() {
                    if at > 0 {
                        writeln!(out)?;
                    }
                    let server = (known.server.name.as_str(), &known.seen);
                    let chain = Chain::new(&known.detail, server, Paint::of_stdout()).within(columns);
                    out.write_all(chain.text().as_bytes())?;
                }
            }
            Format::Json => {
                let triggers: Vec<Value> = known.iter().map(Known::document).collect();
                let document = json!({"triggers": triggers});
                if self.follow { writeln!(out, "{document}")? } else { output::json(&mut out, &document)? }
            }
        }
        out.flush()
    }
}

/// How wide a line may be: as the terminal is; what is no terminal breaks none.
fn columns() -> usize {
    let terminal = io::stdout().is_terminal().then(crossterm::terminal::size);
    terminal.and_then(Result::ok).map_or(usize::MAX, |(columns, _)| usize::from(columns))
}

impl<'s> Known<'s> {
    async fn read(servers: &'s [Server], found: &Found) -> Result<Self, Unusable> {
        let server = servers.get(found.server).ok_or_else(|| Unusable("there is no such server".to_owned()))?;
        let seen = server.get("/api/v1/server", &[]).await?;
        let json = server.value(&format!("/api/v1/triggers/{}", found.row.id), &[]).await?;
        let detail = serde_json::from_value(json.clone())
            .map_err(|_| Unusable(format!("`{}` answers in a way that this version does not know", server.name)))?;
        Ok(Self { server, seen, json, detail })
    }

    /// What the server says, and which one it is.
    fn document(&self) -> Value {
        let mut document = self.json.clone();
        if let Some(fields) = document.as_object_mut() {
            fields.insert(
                "server".to_owned(),
                json!({"name": self.server.name, "version": self.seen.version, "nowAt": self.seen.now_at}),
            );
        }
        document
    }
}
