//! All five backends at once for ten minutes: is every answer right, does the server stay whole, does it grow?

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use futures::{StreamExt, stream};
use parking_lot::Mutex;
use tokio::{
    task::JoinSet,
    time::{interval, sleep},
};
use tonic::Status;

use crate::{
    emulator::{Keda, seen_by_keda},
    held::{Held, TRIGGERS, World},
    host::resident_mb,
    process::Process,
    report::{Must, Report},
};

/// `SOAK_SECONDS` makes it another spell, for a look in between.
const SPELL: Duration = Duration::from_secs(600);
const SETTLED_AFTER: Duration = Duration::from_secs(60);
/// As KEDA polls and the HPA syncs.
const POLL: Duration = Duration::from_secs(30);
const SYNC: Duration = Duration::from_secs(15);
/// After an end with OK.
const REOPEN: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_secs(120);

/// What came of all calls.
#[derive(Default)]
struct Answers {
    calls: AtomicU64,
    errors: AtomicU64,
    /// In words.
    last_error: Mutex<Option<Status>>,
    /// Nothing where work waits: what would scale a workload to zero.
    false_zeros: AtomicU64,
    /// Any other number than the one that is there.
    wrong: AtomicU64,
    /// A push to a trigger without work.
    false_pushes: AtomicU64,
    /// By an error. An end with OK is the age of a stream, and KEDA opens another.
    failed_streams: AtomicU64,
}

pub async fn of_all_backends(report: &mut Report) {
    let spell = std::env::var("SOAK_SECONDS").ok().and_then(|seconds| seconds.parse().ok());
    let spell = spell.map_or(SPELL, Duration::from_secs);
    println!("soak: 5 x {TRIGGERS} triggers with open streams, polled and synced for {} s", spell.as_secs());
    let mut world = World::make().await;
    let total = world.held.len();

    let server = Process::start(&[]);
    let answers = Arc::new(Answers::default());
    let channel = server.channel();
    let mut kedas = Vec::new();
    for (n, Held { metadata, work }) in world.held.drain(..).enumerate() {
        let pairs: Vec<_> = metadata.iter().map(|(key, value)| (*key, value.as_str())).collect();
        kedas.push((Keda::new(channel.clone(), &format!("soak-{n}"), &pairs), work));
    }
    let mut tasks = JoinSet::new();
    open_streams(&kedas, &answers, &mut tasks).await;
    until_all_are_read(&server, total).await;
    call_as_keda_does(&kedas, &answers, &mut tasks);

    let begin = Instant::now();
    let (mut settled, mut largest) = (None, 0.0_f64);
    let mut look = interval(Duration::from_secs(5));
    while begin.elapsed() < spell {
        look.tick().await;
        let memory = resident_mb(server.pid());
        if begin.elapsed() >= SETTLED_AFTER.min(spell / 2) {
            settled.get_or_insert(memory);
            largest = largest.max(memory);
        }
    }
    tasks.abort_all();
    let restarts = f64::from(u8::from(!server.page("/livez").contains("ok")));
    let settled = settled.expect("the spell is longer than that");
    let count = |of: &AtomicU64| of.load(Ordering::Relaxed) as f64;
    report.add("soak, 5,000 triggers of five backends: calls", count(&answers.calls), "", Must::Nothing);
    report.add("soak: zeros where work waits", count(&answers.false_zeros), "", Must::AtMost(0.0));
    report.add("soak: other wrong numbers", count(&answers.wrong), "", Must::AtMost(0.0));
    report.add("soak: errors", count(&answers.errors), "", Must::AtMost(0.0));
    report.add("soak: pushes to idle triggers", count(&answers.false_pushes), "", Must::AtMost(0.0));
    report.add("soak: streams that failed", count(&answers.failed_streams), "", Must::AtMost(0.0));
    report.add("soak: restarts", restarts, "", Must::AtMost(0.0));
    report.add("soak: memory after the first minute", settled, "MB", Must::Nothing);
    report.add(
        "soak: growth of memory after that, at its largest",
        (largest / settled - 1.0) * 100.0,
        "%",
        Must::AtMost(5.0),
    );
    if count(&answers.errors) > 0.0 {
        println!("{}\nthe last error: {:?}", server.log(), answers.last_error.lock());
    }
    drop(server);
    world.clear().await;
}

/// Opens all streams, and again when one has come to its age.
async fn open_streams(kedas: &[(Keda, usize)], answers: &Arc<Answers>, tasks: &mut JoinSet<()>) {
    let open = |(keda, _): &(Keda, usize)| {
        let mut keda = keda.clone();
        async move { keda.stream().await.expect("opens") }
    };
    let opened: Vec<_> = stream::iter(kedas.iter().map(open)).buffered(64).collect().await;
    for (mut pushes, (keda, work)) in opened.into_iter().zip(kedas) {
        let (mut keda, idle, answers) = (keda.clone(), *work == 0, Arc::clone(answers));
        tasks.spawn(async move {
            loop {
                match pushes.next().await {
                    Some(Ok(_)) => answers.false_pushes.fetch_add(u64::from(idle), Ordering::Relaxed),
                    Some(Err(_)) => answers.failed_streams.fetch_add(1, Ordering::Relaxed),
                    None => {
                        sleep(REOPEN).await;
                        pushes = keda.stream().await.expect("opens");
                        continue;
                    }
                };
            }
        });
    }
}

/// From then on no answer has an excuse.
async fn until_all_are_read(server: &Process, total: usize) {
    let begin = Instant::now();
    loop {
        let triggers = server.triggers();
        let read = triggers.iter().filter(|trigger| trigger["value"].is_number() && trigger["error"].is_null()).count();
        if read == total {
            return;
        }
        let error = triggers.iter().find(|trigger| !trigger["error"].is_null());
        assert!(begin.elapsed() < PATIENCE, "{read} of {total} were read; {error:?}");
        sleep(Duration::from_secs(1)).await;
    }
}

/// Each trigger is polled by KEDA and synced by the HPA, each at its own moment.
fn call_as_keda_does(kedas: &[(Keda, usize)], answers: &Arc<Answers>, tasks: &mut JoinSet<()>) {
    for (n, (keda, work)) in kedas.iter().enumerate() {
        let phase = |every: Duration| every.mul_f64(n as f64 / kedas.len() as f64);
        let (mut poller, mut syncer, expected) = (keda.clone(), keda.clone(), *work as f64);
        let (polled, synced) = (Arc::clone(answers), Arc::clone(answers));
        let (poll_phase, sync_phase) = (phase(POLL), phase(SYNC));
        tasks.spawn(async move {
            sleep(poll_phase).await;
            let mut tick = interval(POLL);
            loop {
                tick.tick().await;
                let poll = poller.poll().await;
                polled.take(poll.map(|poll| (seen_by_keda(&poll.value), poll.active)), expected);
            }
        });
        tasks.spawn(async move {
            sleep(sync_phase).await;
            let mut tick = interval(SYNC);
            loop {
                tick.tick().await;
                let value = syncer.hpa().await;
                synced.take(value.map(|value| (seen_by_keda(&value), expected > 0.0)), expected);
            }
        });
    }
}

impl Answers {
    fn take(&self, answer: Result<(f64, bool), Status>, expected: f64) {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let wrong = match answer {
            Err(status) => {
                *self.last_error.lock() = Some(status);
                &self.errors
            }
            Ok((value, active)) if expected > 0.0 && (value == 0.0 || !active) => &self.false_zeros,
            Ok((value, active)) if value != expected || active != (expected > 0.0) => &self.wrong,
            Ok(_) => return,
        };
        wrong.fetch_add(1, Ordering::Relaxed);
    }
}
