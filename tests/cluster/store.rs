//! A store of secrets outside the cluster, as far as a case needs one: it answers what the case says.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicUsize, Ordering},
};

use serde_json::Value;

use crate::stand_in::{Reply, StandIn};

/// Answers by method and path: a number is a status, everything else a body, in which `{n}` counts the questions.
pub async fn answering(answers: &BTreeMap<String, Value>) -> StandIn {
    let (answers, asked) = (answers.clone(), AtomicUsize::new(0));
    StandIn::new(move |call| {
        let path = call.target.split('?').next().unwrap_or_default();
        match answers.get(&format!("{} {path}", call.method)) {
            None => Reply::new(404, r#"{"errors":[]}"#),
            Some(Value::Number(status)) => {
                let status = status.as_u64().and_then(|status| status.try_into().ok()).unwrap();
                Reply::new(status, r#"{"errors":["permission denied"]}"#)
            }
            Some(body) => {
                let text = body.to_string();
                let n = if text.contains("{n}") { asked.fetch_add(1, Ordering::Relaxed) + 1 } else { 0 };
                Reply::of_type(200, "application/json", text.replace("{n}", &n.to_string()))
            }
        }
    })
    .await
}
