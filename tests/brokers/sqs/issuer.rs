//! Servers that hand out credentials of a short life and servers that want them: what AWS is to a pod.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, SystemTime},
};

use aws_sdk_sqs::primitives::{DateTime, DateTimeFormat};
use parking_lot::Mutex;

use crate::stand_in::{Call, Reply, StandIn};

/// The keys that were handed out, and when each ends.
#[derive(Debug, Default)]
pub struct Keys(Mutex<HashMap<String, SystemTime>>);

impl Keys {
    /// A new key, whose id begins with `what`.
    pub fn issue(&self, what: &str, life: Duration) -> Issued {
        let mut keys = self.0.lock();
        let (id, end) = (format!("{what}-{}", keys.len()), SystemTime::now() + life);
        keys.insert(id.clone(), end);
        Issued { id, end: DateTime::from(end).fmt(DateTimeFormat::DateTime).unwrap() }
    }

    /// Ends every key that was handed out so far.
    pub fn revoke(&self) {
        self.0.lock().values_mut().for_each(|end| *end = SystemTime::UNIX_EPOCH);
    }

    fn holds(&self, id: &str) -> bool {
        self.0.lock().get(id).is_some_and(|end| SystemTime::now() < *end)
    }
}

pub struct Issued {
    id: String,
    end: String,
}

impl Issued {
    /// As STS says it, in answer to `action`.
    pub fn by_sts(&self, action: &str) -> Reply {
        let Self { id, end } = self;
        let user = "<AssumedRoleUser><AssumedRoleId>A:s</AssumedRoleId>\
                    <Arn>arn:aws:sts::123456789012:assumed-role/r/s</Arn></AssumedRoleUser>";
        let keys = format!(
            "<Credentials><AccessKeyId>{id}</AccessKeyId><SecretAccessKey>hunter2</SecretAccessKey>\
             <SessionToken>token-of-{id}</SessionToken><Expiration>{end}</Expiration></Credentials>"
        );
        let result = format!("<{action}Result>{user}{keys}</{action}Result>");
        Reply::new(
            200,
            format!(
                "<{action}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">{result}</{action}Response>"
            ),
        )
    }

    /// As the agent of EKS Pod Identity says it.
    pub fn by_agent(&self) -> Reply {
        let Self { id, end } = self;
        let keys = serde_json::json!({
            "AccessKeyId": id, "SecretAccessKey": "hunter2", "Token": format!("token-of-{id}"), "Expiration": end,
        });
        Reply::new(200, keys.to_string())
    }
}

/// STS refuses.
pub fn refusal(status: u16, code: &str) -> Reply {
    let error = format!("<Error><Type>Sender</Type><Code>{code}</Code><Message>told at 12:34:56</Message></Error>");
    let namespace = "https://sts.amazonaws.com/doc/2011-06-15/";
    Reply::new(status, format!("<ErrorResponse xmlns=\"{namespace}\">{error}<RequestId>r</RequestId></ErrorResponse>"))
}

/// A field of a request to STS, still encoded.
pub fn field<'c>(call: &'c Call, name: &str) -> &'c str {
    call.body.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=')).unwrap_or_default()
}

/// The id of the key that a request is signed with.
pub fn signer(call: &Call) -> &str {
    let authorization = call.header("authorization");
    authorization.split_once("Credential=").and_then(|(_, rest)| rest.split('/').next()).unwrap_or_default()
}

/// An SQS with one message in each queue, for whoever signs with a key that still holds.
pub async fn queue_for(keys: &Arc<Keys>) -> StandIn {
    let keys = Arc::clone(keys);
    StandIn::secure(move |call| {
        let (id, token) = (signer(call), call.header("x-amz-security-token"));
        if !keys.holds(id) || token != format!("token-of-{id}") {
            return Reply::new(403, r#"{"__type":"com.amazon.coral.service#ExpiredTokenException"}"#);
        }
        let one = serde_json::json!({
            "ApproximateNumberOfMessages": "1", "ApproximateNumberOfMessagesNotVisible": "0",
        });
        Reply::new(200, serde_json::json!({ "Attributes": one }).to_string())
    })
    .await
}
