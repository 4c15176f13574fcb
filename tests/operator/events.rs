//! A watch of the API server, event by event.

use reqwest::Response;
use serde_json::Value;

use crate::api::Api;

/// Events as they happen.
pub struct Events {
    response: Response,
    /// What came after the last event.
    read: Vec<u8>,
}

impl Events {
    /// `path` says what is watched.
    pub async fn of(api: &Api, path: &str) -> Self {
        let response = api.stream(path).await;
        assert_eq!(response.status(), 200, "{path}");
        Self { response, read: Vec::new() }
    }

    /// None when the API server ends it.
    pub async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(end) = self.read.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.read.drain(..=end).collect();
                return Some(serde_json::from_slice(&line).unwrap());
            }
            self.read.extend(self.response.chunk().await.ok()??);
        }
    }
}
