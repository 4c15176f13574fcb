//! A running server, as `explain`, `top` and `compare` ask it: by `/api/v1` and nothing else.
//!
//! Everything it says is cleaned here, at the one place where all of it comes in, so that no name and no broker's word can harm
//! a terminal. Not for: what is made of the answers.

mod events;
mod find;
mod rows;

use std::{path::PathBuf, time::Duration};

use clap::Args;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::signal::unix::{SignalKind, signal};

pub(super) use events::{Event, Events};
pub(super) use rows::{Asker, Bounds, Certificate, Change, Connection, Detail, Failure, Page, Parts, Row, Seen};

use self::find::Forward;
use super::exit::Unusable;
use crate::{
    error::{ReadError, clean, quoted},
    net::{
        Reach,
        http::{Http, Method, Request, StatusCode, Url, form},
    },
};

/// How long an answer may take: a page of triggers of a busy server on a slow line.
const ANSWER: Duration = Duration::from_secs(15);

/// Triggers of one question: as many as a server answers.
const ROWS: usize = 1000;

/// Which server is asked.
#[derive(Debug, Args)]
#[command(next_help_heading = "The server that is asked")]
pub(super) struct Which {
    /// Its admin port: `http://127.0.0.1:8080`. Without it the pods of the current kube context are asked, by `kubectl
    /// port-forward`. May be given several times: one for each replica.
    #[arg(long, env = "PLIMSOLL_SERVER", value_name = "URL", value_delimiter = ',')]
    server: Vec<String>,
    /// The file with the token that its admin port wants.
    #[arg(long, env = "PLIMSOLL_TOKEN_FILE", value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// The kube context that has it, instead of the current one.
    #[arg(long, value_name = "NAME", conflicts_with = "server")]
    context: Option<String>,
    /// The namespace that it runs in, instead of any.
    #[arg(long, value_name = "NAME", conflicts_with = "server")]
    server_namespace: Option<String>,
}

/// One replica.
#[derive(Debug)]
pub(super) struct Server {
    http: Http,
    base: Url,
    token: Option<String>,
    /// For people: its URL, or its pod.
    pub name: String,
    /// What leads to it ends with it.
    _forward: Option<Forward>,
}

impl Which {
    /// The replicas, each of which has answered once.
    pub(super) async fn connect(&self) -> Result<Vec<Server>, Unusable> {
        let token = self.token()?;
        let mut servers = Vec::new();
        if self.server.is_empty() {
            for (name, url, forward) in
                find::forwards(self.context.as_deref(), self.server_namespace.as_deref()).await?
            {
                servers.push(Server::new(name, &url, token.clone(), Some(forward))?);
            }
        }
        for url in &self.server {
            servers.push(Server::new(quoted(url), url, token.clone(), None)?);
        }
        let mut reached = Vec::new();
        let mut problem = None;
        for server in servers {
            match server.get::<Seen>("/api/v1/server", &[]).await {
                Ok(_) => reached.push(server),
                Err(error) => problem = Some(error),
            }
        }
        // A replica that is going away is none to wait for.
        match problem {
            Some(problem) if reached.is_empty() => Err(problem),
            _ => Ok(reached),
        }
    }

    fn token(&self) -> Result<Option<String>, Unusable> {
        let Some(path) = &self.token_file else { return Ok(None) };
        let text = std::fs::read_to_string(path)
            .map_err(|error| Unusable(format!("`--token-file`: {}: {error}", path.display())))?;
        let token = text.trim();
        if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Unusable(format!(
                "`--token-file`: {}: there is no token in it, which is one word",
                path.display()
            )));
        }
        Ok(Some(token.to_owned()))
    }
}

impl Server {
    fn new(name: String, url: &str, token: Option<String>, forward: Option<Forward>) -> Result<Self, Unusable> {
        // Who forgets the scheme means a host and a port.
        let text = if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
        let base =
            Url::parse(&text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.host().is_some());
        let base = base.ok_or_else(|| {
            Unusable(format!("`--server`: `{name}` is no address, give the admin port: `http://127.0.0.1:8080`"))
        })?;
        let name =
            if base.username().is_empty() && base.password().is_none() { name } else { crate::net::http::place(&base) };
        let http = Http::of_system(Reach::of_operator()).map_err(|error| Unusable(error.to_string()))?;
        Ok(Self { http, base, token, name, _forward: forward })
    }

    /// What it answers at `path`, cleaned.
    pub(super) async fn value(&self, path: &str, query: &[(&str, &str)]) -> Result<Value, Unusable> {
        let answer = self.http.send(self.request(path, query)?, ANSWER).await.map_err(|error| self.away(&error))?;
        let refused = |body: &[u8]| self.refused(answer.status, body);
        if !answer.status.is_success() {
            return Err(refused(&answer.body));
        }
        let mut value: Value = serde_json::from_slice(&answer.body).map_err(|_| self.stranger())?;
        harmless(&mut value);
        Ok(value)
    }

    /// The same, understood.
    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str, query: &[(&str, &str)]) -> Result<T, Unusable> {
        serde_json::from_value(self.value(path, query).await?).map_err(|_| self.stranger())
    }

    /// Every trigger that `query` asks for, page by page: as it is said, and as it is understood.
    pub(super) async fn triggers(&self, query: &[(&str, &str)]) -> Result<Vec<(Value, Row)>, Unusable> {
        let mut all = Vec::new();
        loop {
            let (offset, limit) = (all.len().to_string(), ROWS.to_string());
            let page = [("offset", offset.as_str()), ("limit", limit.as_str())];
            let query: Vec<(&str, &str)> = query.iter().copied().chain(page).collect();
            let mut page = self.value("/api/v1/triggers", &query).await?;
            let rows = page.get_mut("triggers").and_then(Value::as_array_mut).map(std::mem::take);
            let rows = rows.ok_or_else(|| self.stranger())?;
            let last = rows.len() < ROWS;
            for row in rows {
                let understood = serde_json::from_value(row.clone()).map_err(|_| self.stranger())?;
                all.push((row, understood));
            }
            if last {
                return Ok(all);
            }
        }
    }

    /// What changes, as it does.
    pub(super) async fn events(&self, query: &[(&str, &str)]) -> Result<Events, Unusable> {
        let request = self.request("/api/v1/events", query)?;
        let pieces = self.http.open(&request, ANSWER).await.map_err(|error| self.away(&error))?;
        if !pieces.status.is_success() {
            return Err(self.refused(pieces.status, b""));
        }
        Ok(Events::new(pieces))
    }

    fn request(&self, path: &str, query: &[(&str, &str)]) -> Result<Request, Unusable> {
        let mut url = self.base.clone();
        // A path of the address is where a proxy has put the server.
        let below = format!("{}{path}", self.base.path().trim_end_matches('/'));
        url.set_path(&below);
        url.set_query((!query.is_empty()).then(|| form(query.iter().copied())).as_deref());
        let request = Request::new(Method::GET, url);
        match &self.token {
            None => Ok(request),
            Some(token) => {
                request.bearer_auth(token).ok_or_else(|| Unusable("`--token-file`: there is no token in it".to_owned()))
            }
        }
    }

    fn away(&self, error: &ReadError) -> Unusable {
        Unusable(format!("the server `{}` cannot be asked: {error}", self.name))
    }

    fn stranger(&self) -> Unusable {
        Unusable(format!(
            "`{}` answers, and not as a Plimsoll server of this version: is it the admin port (8080)?",
            self.name
        ))
    }

    fn refused(&self, status: StatusCode, body: &[u8]) -> Unusable {
        let name = &self.name;
        let said =
            serde_json::from_slice::<Value>(body).ok().and_then(|body| Some(body.get("error")?.as_str()?.to_owned()));
        match (status, said) {
            (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, _) if self.token.is_some() => Unusable(format!(
                "the server `{name}` does not take the token of `--token-file`: is it the one of its `--admin-token-file`?"
            )),
            (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, _) => {
                Unusable(format!("the server `{name}` wants a token: give the file that has it by `--token-file`"))
            }
            (_, Some(said)) => Unusable(format!("the server `{name}` refuses: {}", clean(&said))),
            (StatusCode::NOT_FOUND, None) => self.stranger(),
            (status, None) => {
                let words = quoted(&String::from_utf8_lossy(body));
                Unusable(format!("`{name}` answers {status} {words}: is it the admin port (8080)?"))
            }
        }
    }
}

/// `work` until a signal ends it: what leads to a server must end before us. `None` where a signal was first.
pub(super) async fn until_signal<T>(work: impl Future<Output = T>) -> std::io::Result<Option<T>> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(tokio::select! {
        done = work => Some(done),
        _ = terminate.recv() => None,
        _ = interrupt.recv() => None,
    })
}

/// Cleans every text in `value`, keys too.
fn harmless(value: &mut Value) {
    match value {
        Value::String(text) => {
            if let std::borrow::Cow::Owned(cleaned) = clean(text) {
                *text = cleaned;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(harmless),
        Value::Object(fields) => {
            let entries = std::mem::take(fields);
            fields.extend(entries.into_iter().map(|(key, mut value)| {
                harmless(&mut value);
                (clean(&key).into_owned(), value)
            }));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_server_says_can_harm_a_terminal() {
        let mut value = serde_json::json!({
            "a\u{1b}[2J": ["\u{202e}drawkcab", {"b": "x".repeat(5000)}, 1, null, "\u{9b}31m\r\nok"],
        });
        harmless(&mut value);
        let text = value.to_string();
        assert!(!text.contains(['\u{1b}', '\u{202e}', '\u{9b}']) && !text.contains("\\u001b"), "{text}");
        assert!(text.len() < 2000 && text.contains("ok"), "{text}");
    }

    #[test]
    fn an_address_may_lack_its_scheme_and_is_never_shown_with_a_password() {
        let server = |url: &str| Server::new(quoted(url), url, None, None);
        assert_eq!(server("127.0.0.1:8080").unwrap().base.as_str(), "http://127.0.0.1:8080/");
        let below = server("https://ops.example/plimsoll/").unwrap();
        let request = below.request("/api/v1/triggers", &[("q", "a b&c")]).unwrap();
        assert_eq!(request.url.as_str(), "https://ops.example/plimsoll/api/v1/triggers?q=a%20b%26c");
        assert_eq!(server("http://me:s3cret@host:1").unwrap().name, "`http://host:1`");
        for url in ["", "ftp://host", "http://", "a b"] {
            assert!(server(url).unwrap_err().0.contains("`http://127.0.0.1:8080`"), "{url}");
        }
    }
}
