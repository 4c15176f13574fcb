//! The process of one broker: killed, stopped, and brought back as `tests/brokers/up` does.

use std::path::{Path, PathBuf};

use tokio::process::Command;

use crate::brokers::variable;

/// A node that is in trouble; runs on when dropped.
pub struct Node {
    name: &'static str,
    pid: String,
}

fn brokers_dir() -> PathBuf {
    Path::new(&variable("TLS_DIR")).parent().unwrap().to_owned()
}

impl Node {
    pub fn of(name: &'static str) -> Self {
        let pid = std::fs::read_to_string(brokers_dir().join(name).join("pid")).unwrap().trim().to_owned();
        Self { name, pid }
    }

    /// It ends without a word, and all it had open is closed by the kernel.
    pub fn kill(&self) {
        self.signal("-KILL");
    }

    /// It stands still.
    pub fn stop(&self) {
        self.signal("-STOP");
    }

    /// It runs again, with what it had stored.
    pub async fn bring_back(self) {
        self.signal("-CONT");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/brokers/up");
        let status = Command::new(script).arg(self.name).env("BROKERS_DIR", brokers_dir()).status().await.unwrap();
        assert!(status.success(), "up {}: {status}", self.name);
    }

    fn signal(&self, signal: &str) {
        // It may have ended.
        std::process::Command::new("kill")
            .args([signal, &self.pid])
            .stderr(std::process::Stdio::null())
            .status()
            .unwrap();
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.signal("-CONT");
    }
}
