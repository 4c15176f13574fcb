//! A backend that does what a test says: `scalerType: scripted`, one script per `queue`, connections by `host`.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use parking_lot::Mutex;
use plimsoll::net::Reach;
use plimsoll::{
    backend::{Account, Backend, ConnectionId, Registry, Source, pool::Pool},
    clock::Clock,
    error::{ReadError, ReadErrorKind, SpecError},
    metadata::{Metadata, Order, Orders, Reader, Secret},
    object::ObjectRef,
    reading::{Cell, Metric, Parts, Reading},
    sampler::{Sampler, Settings},
    telemetry::Metrics,
};
use tokio::{
    sync::Notify,
    time::{Instant, sleep},
};

/// What a read does.
#[derive(Debug, Clone)]
pub enum Act {
    Value(f64),
    Fail(ReadError),
    Hang,
    Panic,
    /// The value, after a while.
    Slow(Duration, f64),
}

pub fn down() -> Act {
    Act::Fail(ReadError::new(ReadErrorKind::Unreachable, "host: connection refused"))
}

pub fn missing() -> Act {
    Act::Fail(ReadError::new(ReadErrorKind::NotFound, "queue is not there: create it"))
}

/// One queue's script and record.
#[derive(Debug)]
pub struct Queue {
    act: Mutex<Act>,
    reads: Mutex<Vec<Instant>>,
    wake: Notify,
    /// Whether the next `wake` panics.
    pub wake_panics: std::sync::atomic::AtomicBool,
    /// Whether it cannot even be described: the loop around it panics.
    pub describe_panics: std::sync::atomic::AtomicBool,
}

impl Queue {
    pub fn set(&self, act: Act) {
        *self.act.lock() = act;
    }

    /// The broker's own signal.
    pub fn signal(&self) {
        self.wake.notify_one();
    }

    pub fn reads(&self) -> Vec<Instant> {
        self.reads.lock().clone()
    }
}

/// All queues, and what is alive of what they cost.
#[derive(Debug, Default)]
pub struct World {
    queues: Mutex<HashMap<String, Arc<Queue>>>,
    clients: Pool<(String, Secret), Client>,
    /// Hosts that let in who shows this password alone.
    passwords: Mutex<HashMap<String, String>>,
    pub live_sources: AtomicUsize,
    pub parses: AtomicUsize,
}

#[derive(Debug)]
struct Client;

impl World {
    /// The queue of that name; empty and idle until a test says otherwise.
    pub fn queue(&self, name: &str) -> Arc<Queue> {
        let new = || Queue {
            act: Mutex::new(Act::Value(0.0)),
            reads: Mutex::default(),
            wake: Notify::new(),
            wake_panics: Default::default(),
            describe_panics: Default::default(),
        };
        Arc::clone(self.queues.lock().entry(name.to_owned()).or_insert_with(|| Arc::new(new())))
    }

    /// From now on `host` lets in who shows `password`, and nobody else.
    pub fn lock(&self, host: &str, password: &str) {
        self.passwords.lock().insert(host.to_owned(), password.to_owned());
    }

    pub fn live_clients(&self) -> usize {
        self.clients.len()
    }
}

#[derive(Debug, Clone, Default)]
pub struct Scripted(pub Arc<World>);

impl Backend for Scripted {
    fn name(&self) -> &'static str {
        "scripted"
    }

    fn requests(&self) -> u64 {
        let queues = self.0.queues.lock();
        queues.values().map(|queue| queue.reads.lock().len() as u64).sum()
    }

    fn scaler_types(&self) -> &'static [&'static str] {
        &["scripted"]
    }

    fn orders(&self, _scaler_type: &str) -> Orders {
        &[(Order::ReferenceFirst, &["password"]), (Order::NeverOfReference, &["host"])]
    }

    fn metric(&self, _scaler_type: &str, keys: &mut Reader<'_>) -> Option<Metric> {
        let (queue, threshold) = (keys.required("queue"), keys.int("threshold", 10));
        keys.check_target("threshold", threshold as f64);
        keys.finish().is_ok().then(|| scripted_metric(queue, threshold))
    }

    fn parse(&self, _scaler_type: &str, keys: &mut Reader<'_>, _reach: &Reach) -> Result<Arc<dyn Source>, SpecError> {
        self.0.parses.fetch_add(1, Ordering::Relaxed);
        let queue = keys.required("queue").to_owned();
        let host = keys.text("host").unwrap_or("host").to_owned();
        let password = keys.secret("password").unwrap_or_default();
        let threshold = keys.int("threshold", 10);
        keys.check_target("threshold", threshold as f64);
        let activation = keys.int("activation", 0);
        let deadline = keys.timeout("timeout");
        keys.finish()?;
        self.0.live_sources.fetch_add(1, Ordering::Relaxed);
        let connection = ConnectionId::new(&(&host, &password), &format!("scripted://{host}"), None);
        Ok(Arc::new(ScriptedSource {
            metric: scripted_metric(&queue, threshold),
            account: Account::new(connection.traffic(), &Arc::default()),
            connection,
            activation: activation as f64,
            deadline,
            script: self.0.queue(&queue),
            queue,
            host,
            password,
            world: Arc::clone(&self.0),
            client: Mutex::default(),
            last: Mutex::default(),
        }))
    }
}

fn scripted_metric(queue: &str, threshold: i64) -> Metric {
    Metric::new(&format!("scripted-{queue}"), threshold as f64)
}

struct ScriptedSource {
    metric: Metric,
    connection: ConnectionId,
    account: Account,
    activation: f64,
    deadline: Option<Duration>,
    script: Arc<Queue>,
    queue: String,
    host: String,
    password: Secret,
    world: Arc<World>,
    client: Mutex<Option<Arc<Client>>>,
    last: Mutex<Option<Reading>>,
}

impl fmt::Debug for ScriptedSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.queue)
    }
}

impl Drop for ScriptedSource {
    fn drop(&mut self) {
        self.world.live_sources.fetch_sub(1, Ordering::Relaxed);
    }
}

#[async_trait::async_trait]
impl Source for ScriptedSource {
    fn metric(&self) -> &Metric {
        &self.metric
    }

    fn connection(&self) -> ConnectionId {
        self.connection.clone()
    }

    fn deadline(&self) -> Option<Duration> {
        self.deadline
    }

    fn describe(&self) -> String {
        assert!(!self.script.describe_panics.load(Ordering::Relaxed), "a source that cannot be described");
        format!("queue `{}`", self.queue)
    }

    async fn read(&self) -> Result<Reading, ReadError> {
        self.script.reads.lock().push(Instant::now());
        self.account.sent(1);
        let client = (self.host.clone(), self.password.clone());
        self.client.lock().get_or_insert_with(|| self.world.clients.get(&client, || Client));
        if self.world.passwords.lock().get(&self.host).is_some_and(|right| right != self.password.expose()) {
            let text = format!("`{}` refuses the login: correct `password`", self.host);
            return Err(ReadError::new(ReadErrorKind::Denied, text).of_connection());
        }
        let act = self.script.act.lock().clone();
        let value = match act {
            Act::Value(value) => value,
            Act::Fail(error) => return Err(error),
            Act::Hang => std::future::pending().await,
            Act::Panic => panic!("a script that panics"),
            Act::Slow(time, value) => {
                sleep(time).await;
                value
            }
        };
        let reading = Reading { value, active: value > self.activation };
        *self.last.lock() = Some(reading);
        Ok(reading)
    }

    fn parts(&self) -> Option<Parts> {
        let of = (*self.last.lock())?;
        let rows = vec![vec![Cell::from(self.queue.as_str()), Cell::Number(of.value)]];
        let rule = "what the script says".to_owned();
        Some(Parts { of, rule, activation: Some(self.activation), columns: &["queue", "messages"], rows, omitted: 0 })
    }

    async fn wake(&self) {
        assert!(!self.script.wake_panics.load(Ordering::Relaxed), "a wake that panics");
        self.script.wake.notified().await;
    }
}

/// A sampler over a world, with the default settings and a wall clock that shows a round minute and a bit.
pub struct Bench {
    pub world: Arc<World>,
    pub sampler: Sampler,
    pub metrics: Arc<Metrics>,
}

/// 2026-01-01 00:00:00 UTC and 1.234 s: off the grid of every interval used in tests.
pub const WALL: Duration = Duration::from_millis(1_767_225_601_234);

impl Bench {
    pub fn new() -> Self {
        Self::with(Settings::default(), SystemTime::UNIX_EPOCH + WALL)
    }

    pub fn with(settings: Settings, wall: SystemTime) -> Self {
        let scripted = Scripted::default();
        let world = Arc::clone(&scripted.0);
        let registry = Registry::with(vec![Box::new(scripted)]);
        let metrics = Arc::new(Metrics::new(registry.scaler_types()));
        let sampler = Sampler::new(registry, settings, Clock::showing(wall), Arc::clone(&metrics));
        Self { world, sampler, metrics }
    }

    /// The value of a trigger, asked as KEDA would.
    pub async fn value(&self, metadata: &Metadata) -> Result<f64, String> {
        let object = ObjectRef { namespace: "shop", name: "orders" };
        let asked = self.sampler.sample(object, metadata).await;
        asked.map(|(_, sample)| sample.reading.value).map_err(|error| error.to_string())
    }
}

/// Metadata of a scripted trigger.
pub fn trigger(pairs: &[(&str, &str)]) -> Metadata {
    [("scalerType", "scripted"), ("scalerAddress", "plimsoll:6000")].iter().chain(pairs).copied().collect()
}

/// How long `work` took on the paused clock.
pub async fn timed<T>(work: impl Future<Output = T>) -> (T, Duration) {
    let start = Instant::now();
    let result = work.await;
    (result, start.elapsed())
}
