//! `plimsoll kerberos`: not for people. The server starts it for one Kerberos login; see `backend/kafka/kerberos`.

use anyhow::{Context, Result};
use clap::Args;

use crate::{backend::kafka::kerberos::helper, task};

/// Speaks Kerberos for the server that started it.
#[derive(Debug, Args)]
pub(super) struct Kerberos {}

impl Kerberos {
    pub(super) async fn run(self) -> Result<()> {
        task::blocking(helper::run).await.context("a bug")?.context("the server has gone")
    }
}
