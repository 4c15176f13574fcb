//! Prometheus: gauges that it scrapes from us each second. What counts is what it says itself, which is a scrape late.

use std::{collections::BTreeMap, fmt::Write, fs, path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;
use axum::{Router, routing::get};
use parking_lot::Mutex;
use tokio::{net::TcpListener, task::JoinHandle};

use super::{Broker, Trigger, variable};
use crate::proxy::Proxy;

/// Asks everybody for a login: the hash is bcrypt of `reader-secret`.
const LOGIN: &str = "basic_auth_users:\n  reader: '$2b$05$plimsollplimsollplimse/sLFqUL1XAP/ycnN/YTa42hHODxigDm'\n";

pub struct Prometheus {
    url: String,
    run: String,
    gauges: Arc<Mutex<BTreeMap<String, usize>>>,
    targets: PathBuf,
    api: reqwest::Client,
    serving: JoinHandle<()>,
}

impl Prometheus {
    pub async fn new(run: &str) -> Self {
        let gauges = Arc::<Mutex<BTreeMap<String, usize>>>::default();
        let shown = Arc::clone(&gauges);
        let page = move || async move {
            shown.lock().iter().fold(String::new(), |mut page, (source, value)| {
                writeln!(page, "faults_work{{source=\"{source}\"}} {value}").unwrap();
                page
            })
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = listener.local_addr().unwrap();
        let app = Router::new().route("/metrics", get(page));
        #[expect(clippy::disallowed_methods, reason = "aborted on drop")]
        let serving = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        let targets = PathBuf::from(variable("PROMETHEUS_TARGETS")).join(format!("faults-{run}.json"));
        // Renamed into place: Prometheus must not see half a file.
        fs::write(
            targets.with_extension("new"),
            format!(r#"[{{"targets": ["{target}"], "labels": {{"test": "{run}"}}}}]"#),
        )
        .unwrap();
        fs::rename(targets.with_extension("new"), &targets).unwrap();
        let api = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(2)).build().unwrap();
        Self { url: variable("PROMETHEUS"), run: run.to_owned(), gauges, targets, api, serving }
    }

    fn query(&self, source: &str) -> String {
        format!(r#"faults_work{{source="{source}",test="{}"}}"#, self.run)
    }
}

#[async_trait]
impl Broker for Prometheus {
    fn name(&self) -> &'static str {
        "prometheus"
    }

    fn node(&self) -> &'static str {
        "prometheus"
    }

    fn behind_proxy(&self) -> String {
        self.url.trim_start_matches("http://").to_owned()
    }

    fn trigger(&self, source: &str, address: &str) -> Trigger {
        vec![
            ("scalerType", "prometheus".to_owned()),
            ("serverAddress", format!("http://{address}")),
            ("query", self.query(source)),
            ("threshold", "5".to_owned()),
            ("ignoreNullValues", "false".to_owned()),
        ]
    }

    async fn create(&self, source: &str) {
        self.gauges.lock().entry(source.to_owned()).or_default();
    }

    async fn add(&self, source: &str) {
        *self.gauges.lock().get_mut(source).unwrap() += 1;
    }

    async fn clear(&self, source: &str) {
        self.gauges.lock().insert(source.to_owned(), 0);
    }

    async fn count(&self, source: &str) -> Option<usize> {
        let ask = self.api.get(format!("{}/api/v1/query", self.url)).query(&[("query", self.query(source))]);
        let answer = ask.basic_auth("reader", Some("reader-secret")).send().await.ok()?;
        let answer: serde_json::Value = serde_json::from_str(&answer.text().await.ok()?).ok()?;
        answer["data"]["result"][0]["value"][1].as_str()?.parse().ok()
    }

    /// It reads this file at each request.
    async fn deny(&self, _proxy: &Proxy) {
        fs::write(variable("PROMETHEUS_WEB"), LOGIN).unwrap();
    }

    async fn allow(&self, _proxy: &Proxy) {
        fs::write(variable("PROMETHEUS_WEB"), "").unwrap();
    }

    async fn forget(&self, _sources: &[&str]) {
        fs::remove_file(&self.targets).ok();
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        fs::remove_file(&self.targets).ok();
        fs::write(variable("PROMETHEUS_WEB"), "").ok();
        self.serving.abort();
    }
}
