//! What a connection costs this process: hundreds of vhosts, or of logins, are hundreds of connections.

use futures::future::join_all;

use super::fixtures::{Broker, amqp, registry, shared, source_of, unique};

/// What the process holds, in KiB.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Tests of other brokers run beside this one, so the bound is far above what is printed when it runs alone.
#[tokio::test(flavor = "multi_thread")]
async fn three_hundred_connections_cost_kilobytes_each() {
    let _broker_runs = shared().await;
    let broker = Broker::new().await;
    let queue = unique("costs");
    broker.declare(&queue).await;
    broker.publish(&queue, 1).await;
    let registry = registry();
    let mut sources = Vec::new();
    let before = resident();
    for wanted in [30, 300] {
        // Two connections are the same only when all of their URL is.
        sources.extend((sources.len()..wanted).map(|n| {
            let host = format!("{}/%2F?connection_timeout={}", amqp(), 20_000 + n);
            source_of(&registry, &[("host", &host), ("queueName", &queue)])
        }));
        let readings = join_all(sources.iter().map(|source| source.read())).await;
        assert!(readings.iter().all(|reading| reading.as_ref().is_ok_and(|reading| reading.value == 1.0)));
        let grown = resident().saturating_sub(before);
        println!("{wanted} connections: {grown} KiB, {} each", grown / wanted);
        assert!(grown / wanted < 512, "{grown} KiB for {wanted}");
    }
    broker.delete(&[queue]).await;
}
