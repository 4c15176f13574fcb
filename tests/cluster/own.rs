//! An API server of a test's own, for what must not happen to the one that all share: outages, restarts.

use std::{
    env, fs,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use tokio::time::{sleep, timeout};

use crate::api::Api;

static COUNT: AtomicUsize = AtomicUsize::new(0);

/// Its data goes when it is dropped; until then it can be stopped and started.
pub struct Own {
    dir: PathBuf,
    process: Option<Child>,
}

impl Own {
    pub async fn start() -> Self {
        let name = format!("plimsoll-cluster-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let mut own = Self { dir: env::temp_dir().join(name), process: None };
        own.go_on().await;
        own
    }

    /// Starts it again, with its data and at its address, and waits until it is ready.
    pub async fn go_on(&mut self) {
        fs::create_dir_all(&self.dir).unwrap();
        fs::remove_file(self.dir.join("env")).ok();
        let variable =
            |name| env::var(name).expect("start an API server with `tests/cluster/up`, then `. target/cluster/env`");
        let log = fs::File::create(self.dir.join("log")).unwrap();
        let process = Command::new(variable("PLIMSOLL_TEST_CLUSTER_PROGRAM"))
            .arg("-dir")
            .arg(&self.dir)
            .arg(variable("PLIMSOLL_TEST_CLUSTER_CRDS"))
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        self.process = Some(process);
        let ready = async {
            while !self.dir.join("env").exists() {
                let ended = self.process.as_mut().unwrap().try_wait().unwrap();
                assert!(ended.is_none(), "{}", self.log());
                sleep(Duration::from_millis(50)).await;
            }
        };
        timeout(Duration::from_secs(120), ready).await.expect("ready");
    }

    /// From one moment to the next nobody listens at its address any more.
    pub fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    pub fn api(&self) -> Api {
        let text = |name: &str| fs::read_to_string(self.dir.join(name)).unwrap();
        let authority = self.dir.join("certificates/apiserver.crt");
        Api::new(format!("https://127.0.0.1:{}", text("port")), text("token"), authority.to_str().unwrap().to_owned())
    }

    /// A file that leads there as its administrator.
    pub fn kubeconfig(&self) -> String {
        self.dir.join("kubeconfig").to_str().unwrap().to_owned()
    }

    fn log(&self) -> String {
        fs::read_to_string(self.dir.join("log")).unwrap_or_default()
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        self.stop();
        fs::remove_dir_all(&self.dir).ok();
    }
}
