//! A log that nobody reads stops nobody.

use std::time::Duration;

use futures::{StreamExt, stream};
use tokio::time::timeout;
use tonic::Code;

use crate::{emulator::Keda, process::Process};

const PATIENCE: Duration = Duration::from_secs(20);
/// Far more lines than the pipe and the queue hold.
const TRIGGERS: usize = 1500;

/// A trigger whose connection is refused and whose keys are worth several warnings.
async fn ask(server: &Process, n: usize) -> Code {
    let (list, keys) = (format!("list{n}"), (0..12).map(|key| format!("unknown{key}")).collect::<Vec<_>>());
    let mut metadata = vec![("scalerType", "redis"), ("address", "127.0.0.1:1"), ("listName", list.as_str())];
    metadata.extend(keys.iter().map(|key| (key.as_str(), "x")));
    let mut keda = Keda::new(server.channel(), "orders", &metadata);
    let answer = timeout(PATIENCE, keda.value("redis-list", None)).await.expect("answered, whoever reads the log");
    answer.expect_err("nobody listens there").code()
}

async fn said(server: &Process, text: &str) {
    let told = async {
        while !server.log().contains(text) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, told).await.unwrap_or_else(|_| panic!("`{text}` is not in its log"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_nobody_reads_stops_no_call_and_no_probe() {
    let mut server = Process::start_unread(&["--endpoint-delay", "0s"], &[]);
    let codes: Vec<Code> = stream::iter(0..TRIGGERS).map(|n| ask(&server, n)).buffer_unordered(32).collect().await;
    assert!(codes.iter().all(|code| *code == Code::Unavailable), "{codes:?}");
    assert_eq!(server.page("/livez"), "ok\n");
    assert!(server.series("plimsoll_log_lines_dropped_total") > 0.0);
    // Somebody reads again, and hears what is missing.
    server.read_on();
    said(&server, "log lines were dropped").await;
    // The end is logged in full.
    server.terminate();
    assert!(server.ended(PATIENCE).success());
    said(&server, "\"ended\"").await;
    let log = server.log();
    assert!(log.lines().all(|line| line.len() <= 8200 && serde_json::from_str::<serde_json::Value>(line).is_ok()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_whose_log_is_never_read_ends_all_the_same() {
    let mut server = Process::start_unread(&["--endpoint-delay", "0s"], &[]);
    stream::iter(0..TRIGGERS).map(|n| ask(&server, n)).buffer_unordered(32).collect::<Vec<_>>().await;
    server.terminate();
    assert!(server.ended(PATIENCE).success());
}
