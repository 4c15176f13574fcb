//! The collector as a process of its own, and what it has printed.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(30);

/// A collector; ends with its owner.
pub struct Collector {
    child: Child,
    folder: PathBuf,
    /// `http://HOST`, without a port: 4317 is gRPC, 4318 is HTTP.
    pub host: String,
    printed: Arc<Mutex<Vec<Value>>>,
    log: Arc<Mutex<String>>,
}

impl Collector {
    /// Starts one at an address of loopback that nobody else has, and waits until it is ready.
    pub fn start() -> Self {
        static NEXT: AtomicU8 = AtomicU8::new(1);
        let [_, _, high, low] = std::process::id().to_be_bytes();
        let host = format!("127.{high}.{low}.{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let folder = std::env::temp_dir().join(format!("plimsoll-collector-{host}"));
        fs::create_dir_all(&folder).unwrap();
        let config = folder.join("config.yaml");
        let pipeline = "{receivers: [otlp], exporters: [lines]}";
        let text = format!(
            "receivers: {{otlp: {{protocols: {{grpc: {{endpoint: \"{host}:4317\"}}, http: {{endpoint: \"{host}:4318\"}}}}}}}}\n\
             exporters: {{lines: {{}}}}\n\
             service:\n  telemetry: {{metrics: {{level: none}}}}\n  pipelines: {{traces: {pipeline}, metrics: {pipeline}}}\n"
        );
        fs::write(&config, text).unwrap();
        let mut child = Command::new(program())
            .arg(format!("--config=file:{}", config.display()))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (printed, log) = (Arc::<Mutex<Vec<Value>>>::default(), Arc::<Mutex<String>>::default());
        let (out, err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let (lines, told) = (Arc::clone(&printed), Arc::clone(&log));
        std::thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                lines.lock().push(serde_json::from_str(&line).unwrap());
            }
        });
        std::thread::spawn(move || {
            for line in BufReader::new(err).lines().map_while(Result::ok) {
                told.lock().push_str(&format!("{line}\n"));
            }
        });
        let collector = Self { child, folder, host: format!("http://{host}"), printed, log };
        collector.until("it is ready", || collector.log().contains("Everything is ready"));
        collector
    }

    /// Its own log.
    pub fn log(&self) -> String {
        self.log.lock().clone()
    }

    /// Waits until `found` is.
    #[track_caller]
    pub fn until(&self, what: &str, found: impl Fn() -> bool) {
        let begin = Instant::now();
        while !found() {
            assert!(begin.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// All spans that have come, each with its resource and its scope beside its own fields.
    pub fn spans(&self) -> Vec<Value> {
        self.all("resourceSpans", "scopeSpans", "spans")
    }

    /// All metrics that have come, the same way.
    pub fn metrics(&self) -> Vec<Value> {
        self.all("resourceMetrics", "scopeMetrics", "metrics")
    }

    /// The first span that `is` it; waits for it.
    #[track_caller]
    pub fn span(&self, what: &str, is: impl Fn(&Value) -> bool) -> Value {
        self.until(what, || self.spans().iter().any(&is));
        self.spans().into_iter().find(is).unwrap()
    }

    fn all(&self, resources: &str, scopes: &str, things: &str) -> Vec<Value> {
        let list = |value: &Value, key: &str| value[key].as_array().cloned().unwrap_or_default();
        let mut all = Vec::new();
        for of in self.printed.lock().iter().flat_map(|printed| list(printed, resources)) {
            for scope in list(&of, scopes) {
                for mut thing in list(&scope, things) {
                    thing["resource"] = of["resource"].clone();
                    thing["scope"] = scope["scope"].clone();
                    all.push(thing);
                }
            }
        }
        all
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
        drop(fs::remove_dir_all(&self.folder));
    }
}

/// Where the program is: built where it is not yet.
fn program() -> PathBuf {
    let build = Command::new("tests/collector/build").stderr(Stdio::inherit()).output().unwrap();
    assert!(build.status.success(), "tests/collector/build could not build a collector: is Go installed?");
    PathBuf::from(String::from_utf8(build.stdout).unwrap().trim())
}

/// The attribute `key` of a span, a resource or a data point.
pub fn attribute(of: &Value, key: &str) -> Option<Value> {
    let attribute = of["attributes"].as_array()?.iter().find(|attribute| attribute["key"] == key)?;
    attribute["value"].as_object()?.values().next().cloned()
}
