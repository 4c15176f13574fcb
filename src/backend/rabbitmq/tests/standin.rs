//! The stand-in of all tests as a management API: what of a request counts, and a status and a body to answer.

use crate::backend::stand_in::{self, Call, Reply};

/// One request.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    pub target: String,
    pub authorization: Option<String>,
    pub body: String,
}

impl From<&Call> for Asked {
    fn from(call: &Call) -> Self {
        let authorization = Some(call.header("authorization").to_owned()).filter(|login| !login.is_empty());
        Self { target: call.target.clone(), authorization, body: call.body.clone() }
    }
}

/// The server; it ends with this handle.
pub struct StandIn {
    /// `127.0.0.1:PORT`.
    pub address: String,
    server: stand_in::StandIn,
}

impl StandIn {
    /// Answers each request with a status and a body.
    pub async fn start(answer: impl Fn(&Asked) -> (u16, String) + Send + Sync + 'static) -> Self {
        let server = stand_in::StandIn::new(move |call| {
            let (status, body) = answer(&Asked::from(call));
            let kind = if body.starts_with('<') { "text/html" } else { "application/json" };
            Reply::of_type(status, kind, body)
        });
        let server = server.await;
        Self { address: server.address.to_string(), server }
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.server.calls().iter().map(Asked::from).collect()
    }
}
