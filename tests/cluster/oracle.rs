//! KEDA's own resolver (`tests/keda/oracle`), asked about triggers on the API server.

use std::{
    collections::BTreeMap,
    env,
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Deserialize;
use serde_json::{Value, json};

/// Which trigger, and with which of the operator's settings that may change from question to question.
#[derive(Debug, Clone)]
pub struct Question<'a> {
    pub kind: &'a str,
    pub namespace: &'a str,
    pub name: &'a str,
    pub trigger: usize,
    pub file_path_root: &'a str,
}

/// What KEDA says.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    #[serde(default, deserialize_with = "bytes")]
    pub params: BTreeMap<String, Vec<u8>>,
    #[serde(default)]
    pub pod_identity: Value,
    #[serde(default)]
    pub error: String,
}

fn bytes<'de, D: serde::Deserializer<'de>>(from: D) -> Result<BTreeMap<String, Vec<u8>>, D::Error> {
    let texts: Option<BTreeMap<String, String>> = Option::deserialize(from)?;
    let decoded = texts.unwrap_or_default().into_iter().map(|(name, text)| (name, STANDARD.decode(text).unwrap()));
    Ok(decoded.collect())
}

/// A process that answers until dropped.
pub struct Oracle {
    process: Child,
    asked: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Oracle {
    /// `settings` are variables of KEDA's operator.
    pub fn new(settings: &BTreeMap<String, String>) -> Self {
        let program = env::var("PLIMSOLL_TEST_CLUSTER_ORACLE").expect("target/cluster/env is loaded");
        let mut process = Command::new(program)
            .env_remove("VAULT_TOKEN")
            .envs(settings)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("tests/cluster/build has built it");
        let (asked, answers) = (process.stdin.take().unwrap(), BufReader::new(process.stdout.take().unwrap()));
        Self { process, asked, answers }
    }

    pub fn ask(&mut self, question: &Question) -> Answer {
        let Question { kind, namespace, name, trigger, file_path_root } = question;
        let line = json!({
            "kind": kind, "namespace": namespace, "name": name, "trigger": trigger, "filePathRoot": file_path_root,
        });
        writeln!(self.asked, "{line}").unwrap();
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{error}: {answer:?}"))
    }
}

impl Drop for Oracle {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}
