//! `plimsoll top` at a real server: lines in a pipe, a screen on a terminal, and the terminal as it was at the end.

use std::{process::Stdio, time::Duration};

use futures::{StreamExt, stream};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    process::{Child, Command},
    time::timeout,
};

use crate::{
    emulator::Keda,
    shop::{PATIENCE, Shop},
};

/// Enters and leaves the terminal's second screen.
const TAKEN: &str = "\x1b[?1049h";
const GIVEN_BACK: &str = "\x1b[?1049l";

#[tokio::test(flavor = "multi_thread")]
async fn in_a_pipe_each_trigger_is_a_line_page_after_page() {
    let shop = Shop::open(&[]).await;
    shop.keda(("shop", "orders"), "a").poll().await.unwrap();
    // More than a page of the server's.
    let ask = async |n: usize| {
        let list = format!("list{n}");
        let metadata = [("scalerType", "redis"), ("address", "127.0.0.1:1"), ("listName", list.as_str())];
        let mut keda = Keda::of(shop.server.channel(), ("bank", &format!("books{n}")), &metadata);
        keda.value("x", None).await.unwrap_err();
    };
    stream::iter(0..1100).for_each_concurrent(32, ask).await;
    let told = shop.ask(&["top"]).await;
    assert_eq!((told.code, told.out.lines().count()), (Some(0), 1102), "{}", told.err);
    let lines: Vec<&str> = told.out.lines().collect();
    assert!(lines[0].starts_with("STATE    OBJECT"), "{}", lines[0]);
    assert!(lines[1].starts_with("failing  bank/books") && lines[1].contains("unreachable: "), "{}", lines[1]);
    assert!(
        lines[1101].starts_with("active   shop/orders  ") && lines[1101].contains("  42      10  "),
        "{}",
        lines[1101]
    );
    let some = shop.ask(&["top", "--state", "active", "--output", "json"]).await;
    let some: Value = serde_json::from_str(&some.out).unwrap();
    assert_eq!((some["triggers"].as_array().unwrap().len(), &some["triggers"][0]["value"]), (1, &42.0.into()));
    let named = shop.ask(&["top", "books77", "--namespace", "bank"]).await;
    // 77, 770 to 779.
    assert_eq!(named.out.lines().count(), 12, "{}", named.out);
}

/// A command on a terminal of its own.
struct Terminal {
    child: Child,
    seen: String,
}

impl Terminal {
    fn start(url: &str) -> Self {
        let command =
            format!("stty rows 24 cols 100; exec {} top --every 200ms --server {url}", env!("CARGO_BIN_EXE_plimsoll"));
        let mut script = Command::new("script");
        script.args(["--quiet", "--return", "--flush", "--command", &command, "/dev/null"]);
        script
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .env("TERM", "xterm-256color")
            .env_remove("NO_COLOR");
        Self { child: script.spawn().expect("util-linux's `script` is installed"), seen: String::new() }
    }

    async fn until(&mut self, words: &str) {
        let out = self.child.stdout.as_mut().unwrap();
        let read = async {
            let mut bytes = [0; 4096];
            while !self.seen.contains(words) {
                let count = out.read(&mut bytes).await.unwrap();
                assert!(count > 0, "it ended before {words:?}:\n{:?}", self.seen);
                self.seen.push_str(&String::from_utf8_lossy(&bytes[..count]));
            }
        };
        let found = timeout(PATIENCE, read).await.is_ok();
        assert!(found, "never {words:?}:\n{:?}", self.seen);
    }

    async fn press(&mut self, keys: &str) {
        self.seen.clear();
        self.child.stdin.as_mut().unwrap().write_all(keys.as_bytes()).await.unwrap();
    }

    /// The command within, which has a process of its own.
    async fn pid(&self) -> String {
        let children = format!("/proc/{0}/task/{0}/children", self.child.id().unwrap());
        let mut pid = String::new();
        while pid.is_empty() {
            pid = std::fs::read_to_string(&children).unwrap().trim().to_owned();
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        pid
    }

    async fn ended(mut self) -> Option<i32> {
        timeout(PATIENCE, self.child.wait()).await.expect("it ends").unwrap().code()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_terminal_keys_lead_through_it_and_the_terminal_is_given_back() {
    let shop = Shop::open(&[]).await;
    shop.keda(("shop", "orders"), "a").poll().await.unwrap();
    shop.keda(("bank", "books"), "b").poll().await.unwrap();
    let url = shop.url();
    let mut terminal = Terminal::start(&url);
    terminal.until(TAKEN).await;
    terminal.until("shop/orders").await;
    terminal.press("/orders\r\r").await;
    terminal.until("activation").await;
    terminal.press("q").await;
    terminal.until("REPLICAS").await;
    terminal.press("q").await;
    terminal.until(GIVEN_BACK).await;
    assert_eq!(terminal.ended().await, Some(0));

    // Neither a signal nor a server that goes leaves a terminal behind that is of no use.
    let mut terminal = Terminal::start(&url);
    terminal.until("shop/orders").await;
    drop(shop);
    terminal.until("cannot be asked").await;
    let pid = terminal.pid().await;
    assert!(std::process::Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    terminal.until(GIVEN_BACK).await;
    assert_eq!(terminal.ended().await, Some(0));
}
