//! The demo, as `make demo` runs it: the real binary, one cycle. Needs nothing but itself.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::{
    process::{Output, Stdio},
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{self, Child},
    time::timeout,
};

const PLIMSOLL: &str = env!("CARGO_BIN_EXE_plimsoll");
/// The demo gives up by itself after 60 s: this is only for one that hangs.
const PATIENCE: Duration = Duration::from_secs(90);

async fn demo(arguments: &[&str]) -> (Output, Vec<String>) {
    let mut command = process::Command::new(PLIMSOLL);
    let running = command.arg("demo").args(arguments).env_remove("RUST_LOG").kill_on_drop(true).output();
    let output = timeout(PATIENCE, running).await.expect("the demo ends by itself").expect("the demo starts");
    let lines = String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect();
    (output, lines)
}

/// The number of the first line with `text`.
#[track_caller]
fn position(lines: &[String], text: &str) -> usize {
    lines.iter().position(|line| line.contains(text)).unwrap_or_else(|| panic!("no line says `{text}`: {lines:#?}"))
}

#[tokio::test]
async fn one_cycle_goes_from_zero_by_a_push_to_many_and_back_to_zero() {
    let (output, lines) = demo(&["--once"]).await;

    assert!(output.status.success(), "{output:#?}");
    assert!(output.stderr.is_empty(), "{output:#?}");
    let story = ["idle: nothing to do, 0 replicas", "burst of 200 messages", ": 0 → 1 replica", " → 10 replicas"];
    let story = story.into_iter().chain(["drained, cooling down", ": 10 → 0 replicas", "1 full cycle 0 → N → 0"]);
    let positions: Vec<usize> = story.map(|text| position(&lines, text)).collect();
    assert!(positions.is_sorted(), "{positions:?} in {lines:#?}");
    position(&lines, "pushed after ");
    position(&lines, "1 push, from produce to push p50 ");
}

#[tokio::test]
async fn an_interrupt_ends_it_with_a_summary_and_success() {
    let mut child = start(&[]);
    let mut lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
    while let Some(line) = lines.next_line().await.unwrap() {
        if line.contains("burst of 200 messages") {
            break;
        }
    }
    let pid = child.id().expect("it runs").to_string();
    assert!(process::Command::new("kill").args(["-INT", &pid]).status().await.unwrap().success());
    let mut rest = Vec::new();
    while let Some(line) = lines.next_line().await.unwrap() {
        rest.push(line);
    }
    let ended = timeout(PATIENCE, child.wait_with_output()).await.expect("the demo ends").unwrap();
    assert!(ended.status.success() && ended.stderr.is_empty(), "{ended:#?}");
    position(&rest, "0 full cycles ");
    position(&rest, "Next: `plimsoll demo --page`");
}

#[tokio::test]
async fn it_ends_without_complaint_when_its_reader_leaves() {
    let mut child = start(&[]);
    drop(child.stdout.take());
    let ended = timeout(PATIENCE, child.wait_with_output()).await.expect("the demo ends by itself").unwrap();
    assert!(ended.status.success() && ended.stderr.is_empty(), "{ended:#?}");
}

#[tokio::test]
async fn with_a_page_there_is_a_trigger_in_every_state_to_look_at() {
    let mut child = start(&["--page"]);
    let mut lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
    let page = loop {
        let line = lines.next_line().await.unwrap().expect("it says where the page is");
        if let Some((_, address)) = line.split_once("http://") {
            break format!("http://{address}api/v1/triggers");
        }
    };
    let shown = async {
        loop {
            let text = reqwest::get(&page).await.unwrap().text().await.unwrap();
            let triggers = serde_json::from_str::<serde_json::Value>(&text).unwrap()["triggers"].clone();
            let triggers = triggers.as_array().unwrap();
            let has = |what: &dyn Fn(&serde_json::Value) -> bool| triggers.iter().any(what);
            let failing = |trigger: &serde_json::Value| trigger["state"] == "failing";
            let states = [
                has(&|trigger| trigger["state"] == "active"),
                has(&|trigger| trigger["state"] == "idle"),
                has(&|trigger| trigger["state"] == "refused"),
                has(&|trigger| {
                    failing(trigger) && trigger["error"]["kind"] == "unreachable" && trigger["value"].is_null()
                }),
                has(&|trigger| failing(trigger) && trigger["error"]["kind"] == "denied"),
                has(&|trigger| failing(trigger) && trigger["value"] == 0.0),
                has(&|trigger| trigger["warnings"].as_array().is_some_and(|warnings| !warnings.is_empty())),
            ];
            if !states.contains(&false) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(PATIENCE, shown).await.expect("each state is there after a while");
}

/// The demo without an end, its output piped.
fn start(arguments: &[&str]) -> Child {
    let mut command = process::Command::new(PLIMSOLL);
    command
        .arg("demo")
        .args(arguments)
        .env_remove("RUST_LOG")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command.spawn().expect("the demo starts")
}
