//! All brokers, each behind two proxies, and two servers that read them: one through the proxies that will break.
//!
//! The other one's know no trouble, so how fast it answers says what the machine can do at this moment.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::{
    brokers::{self, Broker},
    emulator::Keda,
    harm::Second,
    process::Process,
    proxy::Proxy,
    truth::Truth,
    watch::{Violations, Watch},
};

/// Work that is always there: it must never look idle.
pub const BUSY: usize = 7;
/// Longer than anything healthy takes.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// How long a read may take.
const READ_TIMEOUT: &str = "2s";

/// One source of one broker, as both servers see it.
pub struct Source {
    pub name: String,
    pub truth: Truth,
    pub troubled: Watch,
    pub calm: Watch,
}

/// One broker with what is read of it.
pub struct Member {
    pub broker: Box<dyn Broker>,
    pub proxy: Proxy,
    /// A hop like the other's: what a look takes then differs by the trouble alone.
    _calm_proxy: Proxy,
    pub busy: Source,
    pub idle: Source,
}

pub struct World {
    /// Reads through the proxies that will break.
    pub troubled: Process,
    _calm: Process,
    pub members: Vec<Member>,
    pub violations: Violations,
    /// What was seen before the faults, when nothing was wrong.
    pub quiet: Vec<Second>,
}

impl World {
    /// Returns when every trigger is read and right.
    pub async fn start() -> Self {
        let run = format!("faults-{:08x}", rand::random::<u32>());
        // A connection that is told to go is another matter, which KEDA's own client is asked about in tests/keda.
        let arguments = ["--read-timeout", READ_TIMEOUT, "--connection-age", "0"];
        let (troubled, calm) = (Process::start(&arguments), Process::start(&arguments));
        let violations = Violations::default();
        let mut members = Vec::new();
        for broker in brokers::all(&run).await {
            members.push(member(broker, &run, &troubled, &calm, &violations).await);
        }
        let mut world = Self { troubled, _calm: calm, members, violations, quiet: Vec::new() };
        world.settle().await;
        world
    }

    /// Waits until everything is right for both servers; from then on nothing may fail.
    pub async fn settle(&mut self) {
        let begin = Instant::now();
        for member in &mut self.members {
            for source in [&mut member.busy, &mut member.idle] {
                for watch in [&mut source.troubled, &mut source.calm] {
                    if watch.right(begin, PATIENCE).await.is_none() {
                        let (last, so_far) = (watch.last(), self.violations.all().join("\n"));
                        panic!("{} is not right in {PATIENCE:?} but {last}\n{so_far}", source.name);
                    }
                    watch.may_fail(false);
                }
            }
        }
    }

    pub async fn end(self) -> Violations {
        // What is still asked while its source goes away is no violation.
        let Self { troubled, _calm, members, violations, .. } = self;
        let names: Vec<_> =
            members.into_iter().map(|member| (member.broker, member.busy.name, member.idle.name)).collect();
        drop((troubled, _calm));
        for (broker, busy, idle) in &names {
            broker.forget(&[busy, idle]).await;
        }
        violations
    }
}

async fn member(
    broker: Box<dyn Broker>,
    run: &str,
    troubled: &Process,
    calm: &Process,
    violations: &Violations,
) -> Member {
    let proxy = Proxy::start(&broker.proxy(), broker.behind_proxy()).await;
    let calm_proxy = Proxy::start("127.0.0.1:0", broker.direct()).await;
    broker.admit().await;
    let source = async |kind: &str, work: usize| {
        let name = format!("{run}-{}-{kind}", broker.name());
        let truth = Truth::new();
        put(broker.as_ref(), &name, &truth, work).await;
        let watch = async |server: &Process, how: &str, address: &str| {
            let trigger = broker.trigger(&name, address);
            let ours = [("pollingInterval", "500ms"), ("maxStaleness", "2s")];
            let pairs: Vec<_> = trigger.iter().map(|(key, value)| (*key, value.as_str())).chain(ours).collect();
            let keda = Keda::new(server.channel(), &name, &pairs);
            Watch::start(keda, format!("{name} ({how})"), truth.clone(), violations.clone()).await
        };
        let troubled = watch(troubled, "troubled", proxy.address()).await;
        let calm = watch(calm, "calm", calm_proxy.address()).await;
        Source { name: name.clone(), truth: truth.clone(), troubled, calm }
    };
    let (busy, idle) = (source("busy", BUSY).await, source("idle", 0).await);
    Member { broker, proxy, _calm_proxy: calm_proxy, busy, idle }
}

/// Fills a source up to `work`, and waits until its broker says so.
pub async fn put(broker: &dyn Broker, source: &str, truth: &Truth, work: usize) {
    broker.create(source).await;
    let there = said(broker, source).await;
    for count in there + 1..=work {
        truth.begins(count);
        broker.add(source).await;
    }
    until(broker, source, work).await;
    truth.settled();
}

/// Takes all work out of a source, and waits until its broker says so.
pub async fn clear(broker: &dyn Broker, source: &str, truth: &Truth) {
    truth.begins(0);
    broker.clear(source).await;
    until(broker, source, 0).await;
    truth.settled();
}

/// What the broker says, as soon as it says something.
pub async fn said(broker: &dyn Broker, source: &str) -> usize {
    let begin = Instant::now();
    loop {
        if let Some(count) = broker.count(source).await {
            return count;
        }
        assert!(begin.elapsed() < PATIENCE, "{} says nothing of {source}", broker.name());
        sleep(Duration::from_millis(50)).await;
    }
}

async fn until(broker: &dyn Broker, source: &str, work: usize) {
    let begin = Instant::now();
    loop {
        let count = broker.count(source).await;
        if count == Some(work) {
            return;
        }
        assert!(begin.elapsed() < PATIENCE, "{} says {count:?} of {source}, not {work}", broker.name());
        sleep(Duration::from_millis(50)).await;
    }
}
