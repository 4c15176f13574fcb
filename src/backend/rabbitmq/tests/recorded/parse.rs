//! The recorded triggers: accepted with which meaning, or refused for which parameter; and what their URLs say.

use serde_json::{Map, Value, json};

use super::{
    super::{
        super::{
            connection::{Connection, Login},
            measure::{Mode, Operation},
            question::Question,
            spec::Spec,
        },
        parse,
    },
    VECTORS, metadata, text,
};
use crate::{
    backend::recorded::Difference,
    metadata::{Metadata, Secret},
    net::{http::escape, tls::Tls},
};

/// What a trigger comes to.
#[derive(Debug, PartialEq)]
enum Parsed {
    /// The metric's name and target, and KEDA's fields that are not at their default.
    Accepted(String, f64, Map<String, Value>),
    /// The first problem names this parameter.
    Refused(String),
}

const DIFFERENCES: [Difference<Parsed>; 7] = [
    Difference {
        why: "a `host` that no request can be sent to is refused at once, not at each look",
        ids: &[
            "rmq-cfg-006",
            "rmq-cfg-010",
            "rmq-cfg-012",
            "rmq-cfg-029",
            "rmq-cfg-030",
            "rmq-cfg-034",
            "rmq-cfg-035",
            "rmq-cfg-043",
            "rmq-cfg-048",
            "rmq-cfg-050",
            "rmq-cfg-080",
        ],
        ours: |parsed| refused(parsed, "host"),
    },
    Difference {
        why: "`tls: enable` with a plain `amqp://` is refused: KEDA connects in plain text",
        ids: &["rmq-cfg-053", "rmq-cfg-054"],
        ours: |parsed| refused(parsed, "tls"),
    },
    Difference {
        why: "`unsafeSsl` is KEDA's own, for its connection to us",
        ids: &["rmq-cfg-051"],
        ours: |parsed| refused(parsed, "host"),
    },
    Difference {
        why: "a target that Kubernetes refuses is refused at once",
        ids: &["rmq-cfg-100", "rmq-cfg-101"],
        ours: |parsed| refused(parsed, "value") || refused(parsed, "queueLength"),
    },
    Difference {
        why: "a page larger than the API gives is the largest that it gives",
        ids: &["rmq-cfg-118"],
        ours: |parsed| matches!(parsed, Parsed::Accepted(_, _, fields) if fields["pageSize"] == 500),
    },
    Difference {
        why: "TriggerAuthentication parameters are taken from the metadata, as nothing else reaches us",
        ids: &["rmq-cfg-135"],
        ours: |parsed| matches!(parsed, Parsed::Accepted(_, _, fields) if fields["username"] == "u"),
    },
    Difference {
        why: "Azure workload identity is for applications (`api://…`) and over verified TLS alone",
        ids: &["rmq-cfg-149"],
        ours: |parsed| refused(parsed, "workloadIdentityResource"),
    },
];

fn refused(parsed: &Parsed, key: &str) -> bool {
    *parsed == Parsed::Refused(key.to_owned())
}

#[test]
fn triggers_parse_as_recorded() {
    let ours = |case: &Value| {
        let metadata = metadata(case, &[]);
        match parse(&metadata) {
            Ok(spec) => Parsed::Accepted(spec.metric.name.clone(), spec.metric.target, fields(&spec, &metadata)),
            Err(error) => Parsed::Refused(error.problems[0].key.clone()),
        }
    };
    VECTORS.hold("parse", &DIFFERENCES, |case| keda(&case["expect"]), ours);
}

fn keda(expect: &Value) -> Parsed {
    if let Some(parameter) = expect["error"].as_str() {
        return Parsed::Refused(parameter.to_owned());
    }
    let mut fields = expect["fields"].as_object().expect("fields").clone();
    // Of no effect there.
    if fields.get("useRegex").is_none() {
        fields.remove("pageSize");
        fields.remove("operation");
    }
    if fields.get("oauthTokenURI").is_none() {
        fields.remove("scopes");
    }
    if fields["protocol"] == "amqp" {
        fields.remove("timeoutMs");
    }
    if let Some(activation) = fields.get_mut("activationValue") {
        *activation = json!(activation.as_f64());
    }
    Parsed::Accepted(text(&expect["metric"]), expect["target"].as_f64().expect("a number"), fields)
}

fn fields(spec: &Spec, metadata: &Metadata) -> Map<String, Value> {
    let mut fields = Map::new();
    let mut insert = |key: &str, value: Value, default: Value| {
        if value != default {
            fields.insert(key.to_owned(), value);
        }
    };
    let (protocol, login, tls) = match &spec.connection {
        Connection::Amqp(amqp) => ("amqp", &amqp.login, amqp.tls.clone().unwrap_or_default()),
        Connection::Management(api) => ("http", &api.login, api.tls.clone()),
    };
    insert("protocol", json!(protocol), json!(null));
    let mode = match spec.measure.mode {
        Mode::QueueLength => "QueueLength",
        Mode::MessageRate => "MessageRate",
        Mode::DeliverGetRate => "DeliverGetRate",
        Mode::PublishedToDeliveredRatio => "PublishedToDeliveredRatio",
        Mode::ExpectedQueueConsumptionTime => "ExpectedQueueConsumptionTime",
    };
    insert("mode", json!(mode), json!("QueueLength"));
    insert("activationValue", json!(spec.measure.activation), json!(0.0));
    insert("excludeUnacknowledged", json!(spec.measure.exclude_unacknowledged), json!(false));
    if let Question::Pattern { page_size, .. } = spec.question {
        insert("useRegex", json!(true), json!(false));
        insert("pageSize", json!(page_size), json!(100));
        let operation = match spec.measure.operation {
            Operation::Sum => "sum",
            Operation::Avg => "avg",
            Operation::Max => "max",
        };
        insert("operation", json!(operation), json!("sum"));
    }
    if protocol == "http" {
        let timeout = u64::try_from(spec.timeout.as_millis()).expect("small");
        insert("timeoutMs", json!(timeout), json!(3000));
    }
    // KEDA's fields hold what the keys say, not what the URL says.
    let by_keys = ["username", "usernameFromEnv"].iter().any(|key| metadata.get(key).is_some());
    if let (Login::Password { username, password }, true) = (login, by_keys) {
        insert("username", json!(username), json!(""));
        insert("password", json!(password.expose()), json!(""));
    }
    if let Login::OAuth(oauth) = login {
        insert("oauthTokenURI", json!(oauth.token_uri), json!(""));
        insert("clientID", json!(oauth.client_id), json!(""));
        insert("clientSecret", json!(oauth.client_secret.expose()), json!(""));
        insert("scopes", json!(oauth.scopes), json!([]));
    }
    if tls != Tls::default() {
        insert("tls", json!("enable"), json!("disable"));
    }
    for (key, secret) in [("ca", &tls.ca), ("cert", &tls.cert), ("key", &tls.key), ("keyPassword", &tls.key_password)] {
        insert(key, json!(secret.as_ref().map_or("", Secret::expose)), json!(""));
    }
    fields
}

#[test]
fn amqp_urls_mean_what_was_recorded() {
    let ours = |case: &Value| {
        let Connection::Amqp(amqp) = parse(&metadata(case, &[])).expect("a legal trigger").connection else {
            panic!("not over AMQP");
        };
        let Login::Password { username, password } = &amqp.login else { panic!("no password") };
        json!({
            "host": amqp.host,
            "port": amqp.port,
            "tls": amqp.tls.is_some(),
            "vhost": amqp.vhost,
            "username": username,
            "password": password.expose(),
            "heartbeat": amqp.heartbeat,
            "connectTimeoutMs": amqp.connect_timeout.map(|limit| u64::try_from(limit.as_millis()).expect("small")),
        })
    };
    VECTORS.hold("amqpUri", &[], |case| case["expect"].clone(), ours);
}

#[test]
fn logins_follow_as_recorded() {
    let ours = |case: &Value| {
        let Connection::Amqp(amqp) = parse(&metadata(case, &[])).expect("a legal trigger").connection else {
            panic!("not over AMQP");
        };
        if amqp.login == Login::External { "EXTERNAL" } else { "PLAIN" }.to_owned()
    };
    VECTORS.hold("sasl", &[], |case| text(&case["expect"]), ours);
}

#[test]
fn paths_of_http_urls_mean_what_was_recorded() {
    let ours = |case: &Value| {
        let Connection::Management(api) = parse(&metadata(case, &[])).expect("a legal trigger").connection else {
            panic!("not over HTTP");
        };
        format!("{}/api/queues/{}", api.sub_path, escape(&api.vhost))
    };
    VECTORS.hold("vhostPath", &[], |case| text(&case["expect"]), ours);
}

#[test]
fn what_keda_redacts_is_never_said_at_all() {
    let cases = VECTORS.cases("redaction");
    for case in &cases {
        let input = text(&case["input"]);
        let secrets = input.split_once('@').map(|(before, _)| before.rsplit(['/', ':']).take(2).collect::<Vec<_>>());
        let metadata: Metadata = [("queueName", "q"), ("host", input.as_str())].into_iter().collect();
        let said = match super::super::source(&metadata) {
            Ok(source) => {
                let spec = parse(&metadata).expect("the same");
                format!("{source:?} {spec:?} {} {}", source.describe(), source.connection().label())
            }
            Err(error) => error.to_string(),
        };
        let password = secrets.and_then(|secrets| secrets.first().copied().map(str::to_owned));
        assert!(password.is_none_or(|password| !said.contains(&password)), "{said}");
    }
    assert_eq!(cases.len(), 5);
}
