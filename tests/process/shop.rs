//! A server with triggers to look at, and the commands that ask it: what they print, and how they end.

use std::{
    process::{Output, Stdio},
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{process::Command, time::timeout};

use crate::{
    emulator::Keda,
    process::Process,
    stand_in::{Reply, StandIn},
};

pub const PATIENCE: Duration = Duration::from_secs(30);

/// A server, and a Prometheus whose one number the test decides.
pub struct Shop {
    pub server: Process,
    source: StandIn,
    value: Arc<Mutex<String>>,
}

impl Shop {
    pub async fn open(options: &[&str]) -> Self {
        let value = Arc::new(Mutex::new("42".to_owned()));
        let now = Arc::clone(&value);
        let source = StandIn::new(move |_| {
            let value = now.lock().clone();
            match value.as_str() {
                "denied" => Reply::new(403, "no"),
                value => Reply::new(
                    200,
                    format!(r#"{{"status":"success","data":{{"resultType":"vector","result":[{{"metric":{{}},"value":[1,"{value}"]}}]}}}}"#),
                ),
            }
        })
        .await;
        let options = [&["--allow-loopback", "--endpoint-delay", "0s"], options].concat();
        Self { server: Process::start(&options), source, value }
    }

    pub fn says(&self, value: &str) {
        *self.value.lock() = value.to_owned();
    }

    /// KEDA, as it asks for a query of an object.
    pub fn keda(&self, object: (&str, &str), query: &str) -> Keda {
        let url = self.source.url();
        let metadata = [
            ("scalerType", "prometheus"),
            ("scalerAddress", "plimsoll:6000"),
            ("serverAddress", url.as_str()),
            ("query", query),
            ("threshold", "10"),
            ("pollingInterval", "1"),
        ];
        Keda::of(self.server.channel(), object, &metadata)
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.server.admin)
    }

    /// `plimsoll …` at this server, to its end.
    pub async fn ask(&self, arguments: &[&str]) -> Told {
        let url = self.url();
        run(&[arguments, &["--server", &url]].concat()).await
    }
}

/// What a command printed, and how it ended.
#[derive(Debug)]
pub struct Told {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

pub fn plimsoll(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_plimsoll"));
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    // Nothing of who runs the tests.
    command.env_remove("PLIMSOLL_SERVER").env_remove("PLIMSOLL_TOKEN_FILE").env("TERM", "xterm-256color");
    command
}

pub async fn run(arguments: &[&str]) -> Told {
    of(timeout(PATIENCE, plimsoll(arguments).output()).await.expect("it ends").expect("the binary is built"))
}

pub fn of(output: Output) -> Told {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    Told { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

impl Told {
    /// It ended so and printed all of these, in this order.
    #[track_caller]
    pub fn is(&self, code: i32, words: &[&str]) {
        assert_eq!(self.code, Some(code), "{self:#?}");
        let said = if code == 2 { &self.err } else { &self.out };
        let mut rest = said.as_str();
        for word in words {
            let (_, after) =
                rest.split_once(word).unwrap_or_else(|| panic!("no `{word}` where it should be in\n{said}"));
            rest = after;
        }
        harmless(said);
    }
}

/// Nothing in it does anything to a terminal.
#[track_caller]
pub fn harmless(text: &str) {
    let bad = |c: char| {
        c.is_control() && c != '\n' || ('\u{200b}'..='\u{200f}').contains(&c) || ('\u{202a}'..='\u{202e}').contains(&c)
    };
    assert!(!text.contains(bad), "{text:?}");
}
