//! A headless Chromium, by WebDriver. Nothing is waited for but what is to be seen.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    time::Duration,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use tokio::time::Instant;

/// How long something may take to be seen: a busy machine starts a browser in seconds.
const PATIENCE: Duration = Duration::from_secs(60);
const AXE: &str = include_str!("axe/axe.min.js");

/// Light or dark, as the person's system says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    Light,
    Dark,
}

/// A driver, and the port it listens on.
///
/// It takes a port that is free for `::1` and ends when a server of a test beside it has that one of `127.0.0.1`; so
/// it is begun again then.
fn driver() -> (Child, String) {
    for _ in 0..20 {
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .spawn()
            .expect("chromedriver is needed: apt-get install chromium chromium-driver");
        let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines();
        let port = lines
            .find_map(|line| Some(line.ok()?.split_once("successfully on port ")?.1.trim_end_matches('.').to_owned()));
        if let Some(port) = port {
            std::thread::spawn(move || lines.for_each(drop));
            return (driver, port);
        }
        driver.wait().unwrap();
    }
    panic!("chromedriver does not start: its words are above");
}

/// One window.
pub struct Browser {
    http: reqwest::Client,
    session: String,
    driver: Child,
}

impl Browser {
    pub async fn open() -> Self {
        let (driver, port) = driver();
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let arguments =
            ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"];
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": {"args": arguments},
            "goog:loggingPrefs": {"browser": "ALL"},
        }}});
        let base = format!("http://127.0.0.1:{port}/session");
        let answer: Value = http.post(&base).json(&wanted).send().await.unwrap().json().await.unwrap();
        let id = answer["value"]["sessionId"].as_str().unwrap_or_else(|| panic!("no browser: {answer:#}"));
        Self { session: format!("{base}/{id}"), http, driver }
    }

    async fn post(&self, command: &str, body: Value) -> Value {
        let answer = self.http.post(format!("{}/{command}", self.session)).json(&body).send().await.unwrap();
        let mut answer: Value = answer.json().await.unwrap();
        assert!(answer["value"]["error"].is_null(), "{command}: {answer:#}");
        answer["value"].take()
    }

    async fn devtools(&self, command: &str, parameters: Value) -> Value {
        self.post("goog/cdp/execute", json!({"cmd": command, "params": parameters})).await
    }

    pub async fn go(&self, url: &str) {
        self.post("url", json!({"url": url})).await;
    }

    pub async fn back(&self) {
        self.post("back", json!({})).await;
    }

    pub async fn url(&self) -> String {
        let answer: Value = self.http.get(format!("{}/url", self.session)).send().await.unwrap().json().await.unwrap();
        answer["value"].as_str().unwrap().to_owned()
    }

    /// What a piece of script gives.
    pub async fn value(&self, script: &str) -> Value {
        self.post("execute/sync", json!({"script": format!("return {script}"), "args": []})).await
    }

    pub async fn text(&self, selector: &str) -> String {
        let found = self.value(&format!("document.querySelector({})?.innerText ?? null", json!(selector))).await;
        found.as_str().unwrap_or_else(|| panic!("there is no {selector}")).to_owned()
    }

    pub async fn count(&self, selector: &str) -> u64 {
        self.value(&format!("document.querySelectorAll({}).length", json!(selector))).await.as_u64().unwrap()
    }

    /// Waits until a piece of script is true.
    #[track_caller]
    pub fn until<'a>(&'a self, script: &'a str) -> impl Future<Output = ()> + 'a {
        let from = std::panic::Location::caller();
        async move {
            let begin = Instant::now();
            while self.value(script).await != json!(true) {
                if begin.elapsed() > PATIENCE {
                    let page = self.value("document.body.innerText").await;
                    panic!("{from}: never {script}:\n{}", page.as_str().unwrap_or_default());
                }
            }
        }
    }

    pub async fn click(&self, selector: &str) {
        let found = self.post("element", json!({"using": "css selector", "value": selector})).await;
        let id = found.as_object().unwrap().values().next().unwrap().as_str().unwrap().to_owned();
        self.post(&format!("element/{id}/click"), json!({})).await;
    }

    /// Types into what has the focus.
    pub async fn keys(&self, keys: &str) {
        let actions: Vec<Value> = keys
            .chars()
            .flat_map(|key| ["keyDown", "keyUp"].map(|kind| json!({"type": kind, "value": key.to_string()})))
            .collect();
        self.post("actions", json!({"actions": [{"type": "key", "id": "keyboard", "actions": actions}]})).await;
    }

    pub async fn look(&self, width: u32, scheme: Scheme) {
        let height = if width > 2000 { 2160 } else { 900 };
        let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.devtools("Emulation.setDeviceMetricsOverride", size).await;
        let scheme = if scheme == Scheme::Dark { "dark" } else { "light" };
        let media = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.devtools("Emulation.setEmulatedMedia", media).await;
    }

    pub async fn without_scripts(&self) {
        self.devtools("Emulation.setScriptExecutionDisabled", json!({"value": true})).await;
    }

    /// The whole page, into `target/page/`.
    pub async fn picture(&self, name: &str) -> usize {
        let size = self.devtools("Page.getLayoutMetrics", json!({})).await;
        let (width, height) = (&size["cssContentSize"]["width"], &size["cssContentSize"]["height"]);
        let clip = json!({"x": 0, "y": 0, "width": width, "height": height.as_f64().unwrap().min(6000.0), "scale": 1});
        let picture = json!({"format": "png", "captureBeyondViewport": true, "clip": clip});
        let picture = self.devtools("Page.captureScreenshot", picture).await;
        let bytes = BASE64_STANDARD.decode(picture["data"].as_str().unwrap()).unwrap();
        std::fs::create_dir_all("target/page").unwrap();
        std::fs::write(format!("target/page/{name}.png"), &bytes).unwrap();
        bytes.len()
    }

    /// What axe-core finds that keeps people out, in short.
    pub async fn barriers(&self) -> Vec<String> {
        let script = format!(
            "{AXE};const done = arguments[arguments.length - 1];\
             axe.run(document, {{resultTypes: ['violations']}}).then((found) => done(found.violations));"
        );
        let found = self.post("execute/async", json!({"script": script, "args": []})).await;
        let node = |node: &Value| format!("{} {}", node["target"], node["failureSummary"]);
        let short = |violation: &Value| {
            let nodes: Vec<String> = violation["nodes"].as_array().unwrap().iter().take(3).map(node).collect();
            format!("{}: {}\n  {}", violation["id"], violation["help"], nodes.join("\n  "))
        };
        found.as_array().unwrap_or_else(|| panic!("axe has no answer: {found:#}")).iter().map(short).collect()
    }

    /// What the console has said so far: errors, warnings, violations of the content's policy.
    pub async fn console(&self) -> Vec<String> {
        let log = self.post("se/log", json!({"type": "browser"})).await;
        log.as_array().unwrap().iter().map(|entry| format!("{} {}", entry["level"], entry["message"])).collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let quit =
            Command::new("curl").args(["-s", "-m", "5", "-X", "DELETE", &self.session]).stdout(Stdio::null()).status();
        drop(quit);
        self.driver.kill().ok();
        self.driver.wait().ok();
    }
}
