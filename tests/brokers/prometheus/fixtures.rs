//! What the Prometheus tests stand on: addresses, triggers, and a target that is scraped each second.

use std::{fs, path::PathBuf, sync::Arc, time::Duration};

use axum::{Router, routing::get};
use parking_lot::Mutex;
use plimsoll::net::Reach;
use plimsoll::{
    backend::{Registry, Source, prometheus::Prometheus},
    error::ReadError,
    metadata::Metadata,
    reading::Reading,
    trigger::Trigger,
};
use tokio::{net::TcpListener, task::JoinHandle, time::Instant};

const PATIENCE: Duration = Duration::from_secs(20);

/// The value of `variable`.
pub fn variable(variable: &str) -> String {
    std::env::var(variable)
        .unwrap_or_else(|_| panic!("{variable} is not set: run `tests/brokers/up` first and load `target/brokers/env`"))
}

pub fn server() -> String {
    variable("PLIMSOLL_TEST_PROMETHEUS")
}

/// The PEM text of a test certificate or key.
pub fn pem(name: &str) -> String {
    fs::read_to_string(PathBuf::from(variable("PLIMSOLL_TEST_TLS_DIR")).join(name)).unwrap()
}

pub fn registry() -> Registry {
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
    Registry::with(vec![Box::new(Prometheus::default())])
}

pub fn metadata(server: &str, query: &str, more: &[(&str, &str)]) -> Metadata {
    let mut pairs =
        vec![("scalerType", "prometheus"), ("serverAddress", server), ("query", query), ("threshold", "10")];
    pairs.extend_from_slice(more);
    pairs.into_iter().collect()
}

pub fn source(server: &str, query: &str, more: &[(&str, &str)]) -> Arc<dyn Source> {
    Trigger::parse(&registry(), &metadata(server, query, more), &Reach::open(), Duration::from_secs(5)).unwrap().source
}

/// Looks once.
pub async fn read(server: &str, query: &str, more: &[(&str, &str)]) -> Result<Reading, ReadError> {
    source(server, query, more).read().await
}

/// Looks until the value is `expected`; at most a few scrapes long.
pub async fn until(server: &str, query: &str, more: &[(&str, &str)], expected: f64) -> Reading {
    let source = source(server, query, more);
    let deadline = Instant::now() + PATIENCE;
    loop {
        let reading = source.read().await;
        match reading {
            Ok(reading) if reading.value == expected => return reading,
            other => assert!(Instant::now() < deadline, "still {other:?}, not {expected}"),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// A process with numbers of its own, known to Prometheus by the label `test`.
pub struct Target {
    pub name: String,
    page: Arc<Mutex<String>>,
    file: PathBuf,
    serving: JoinHandle<()>,
}

impl Target {
    pub async fn new(page: &str) -> Self {
        let name = format!("plimsoll-test-{:016x}", rand::random::<u64>());
        let page = Arc::new(Mutex::new(page.to_owned()));
        let shown = Arc::clone(&page);
        let app = Router::new().route("/metrics", get(move || async move { shown.lock().clone() }));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        #[expect(clippy::disallowed_methods, reason = "aborted below")]
        let serving = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        let file = PathBuf::from(variable("PLIMSOLL_TEST_PROMETHEUS_TARGETS")).join(format!("{name}.json"));
        let entry = format!(r#"[{{"targets": ["127.0.0.1:{port}"], "labels": {{"test": "{name}"}}}}]"#);
        // Renamed into place: Prometheus must not see half a file.
        fs::write(file.with_extension("new"), entry).unwrap();
        fs::rename(file.with_extension("new"), &file).unwrap();
        Self { name, page, file, serving }
    }

    /// What the next scrape sees.
    pub fn show(&self, page: &str) {
        page.clone_into(&mut self.page.lock());
    }

    /// The series `metric` of this target alone.
    pub fn series(&self, metric: &str) -> String {
        format!(r#"{metric}{{test="{}"}}"#, self.name)
    }

    /// Prometheus forgets it.
    pub fn leave(&self) {
        fs::remove_file(&self.file).ok();
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        self.leave();
        self.serving.abort();
    }
}
