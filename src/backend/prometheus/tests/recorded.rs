//! Everything recorded of KEDA's Prometheus scaler (`tests/vectors/prometheus.json`), held against ours.

use std::collections::BTreeMap;

use rustls::crypto::aws_lc_rs;
use serde_json::{Map, Value, json};

use super::super::{answer, client::request_as_sent, connection::Authorization, query::evaluate, spec::Spec};
use crate::{
    backend::recorded::{Difference, Vectors},
    error::SpecError,
    identity::aws::Credentials,
    metadata::{Metadata, Reader, Secret},
    net::{
        Identities, Reach, Rules,
        http::{Answer, Method, StatusCode, header::HeaderMap},
    },
};

const VECTORS: Vectors = Vectors(include_str!("../../../../tests/vectors/prometheus.json"));

fn text<'c>(case: &'c Value, key: &str) -> &'c str {
    case[key].as_str().unwrap_or_default()
}

fn read(case: &Value, more: &[(&str, &str)]) -> Result<Spec, SpecError> {
    let mut metadata: BTreeMap<String, String> =
        serde_json::from_value(case["metadata"].clone()).expect("metadata are strings");
    metadata.extend(more.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
    // Recorded over plain HTTP, which the server's own identity needs leave for.
    let named = || Some(vec!["p".parse().expect("a host"), "localhost".parse().expect("a host")]);
    let identities = Identities { aws: named(), google: named(), azure: named() };
    let reach = Reach::new(Rules { loopback: true, identities, ..Rules::default() });
    Spec::read(&mut Reader::new(&Metadata::from(metadata)), &reach)
}

/// What a trigger comes to.
#[derive(Debug, PartialEq)]
enum Parsed {
    /// The metric's name and target, and KEDA's fields that are not at their default.
    Accepted(String, f64, Map<String, Value>),
    /// The parameters at fault.
    Refused(Vec<String>),
}

fn refused(parsed: &Parsed, key: &str) -> bool {
    *parsed == Parsed::Refused(vec![key.to_owned()])
}

const PARSED: [Difference<Parsed>; 5] = [
    Difference {
        why: "a target of 0 or less: KEDA's HPA is refused by Kubernetes",
        ids: &["prom-cfg-040"],
        ours: |parsed| refused(parsed, "threshold"),
    },
    Difference {
        why: "an address that is no URL fails at each poll in KEDA",
        ids: &["prom-cfg-046"],
        ours: |parsed| refused(parsed, "serverAddress"),
    },
    Difference {
        why: "TriggerAuthentication parameters are taken from the metadata, as nothing else reaches us",
        ids: &["prom-cfg-048"],
        ours: |parsed| matches!(parsed, Parsed::Accepted(_, _, fields) if fields["serverAddress"] == "http://p:9090"),
    },
    Difference {
        why: "a value may hold an equals sign: base64 does",
        ids: &["prom-cfg-050"],
        ours: |parsed| matches!(parsed, Parsed::Accepted(_, _, fields) if fields["customHeaders"] == json!({"a": "b=c"})),
    },
    Difference {
        why: "a pod identity that does not exist is a slip of the pen",
        ids: &["prom-cfg-036"],
        ours: |parsed| refused(parsed, "podIdentity"),
    },
];

#[test]
fn triggers_parse_as_recorded() {
    let keda = |case: &Value| {
        let expect = &case["expect"];
        if let Some(keys) = expect["error"].as_array() {
            return Parsed::Refused(keys.iter().map(|key| key.as_str().expect("a key").to_owned()).collect());
        }
        let fields = expect["fields"].as_object().expect("fields").clone();
        Parsed::Accepted(text(expect, "metric").to_owned(), expect["target"].as_f64().expect("a number"), fields)
    };
    VECTORS.hold("parse", &PARSED, keda, |case| match read(case, &[]) {
        Ok(spec) => Parsed::Accepted(spec.metric.name.clone(), rounded(spec.metric.target), fields(&spec)),
        Err(error) => Parsed::Refused(blamed(&error, &case["expect"]["error"])),
    });
}

/// The parameters at fault: KEDA's if all of those are among ours, which may be more. KEDA may blame the other one of
/// a pair: a text that names both is as good.
fn blamed(error: &SpecError, expected: &Value) -> Vec<String> {
    let expected: Vec<&str> = expected.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let is_blamed = |key: &str| {
        error.problems.iter().any(|problem| problem.key == key || problem.text.contains(&format!("`{key}`")))
    };
    if !expected.is_empty() && expected.iter().all(|key| is_blamed(key)) {
        return expected.into_iter().map(str::to_owned).collect();
    }
    error.problems.iter().map(|problem| problem.key.clone()).collect()
}

fn rounded(value: f64) -> f64 {
    format!("{value:.3}").parse().expect("a number")
}

/// A spec in KEDA's fields, without those at their default.
fn fields(spec: &Spec) -> Map<String, Value> {
    let pairs = |pairs: &[(String, Secret)]| {
        pairs.iter().map(|(name, value)| (name.clone(), json!(value.expose()))).collect::<Map<_, _>>()
    };
    let secret = |secret: &Option<Secret>| json!(secret.as_ref().map_or("", Secret::expose));
    let auth = &spec.connection.auth;
    let tls = &spec.connection.tls;
    let mut parameters = pairs(&spec.question.parameters);
    let namespace = parameters.remove("namespace").unwrap_or_else(|| json!(""));
    let milliseconds = spec.deadline.map(|_| u64::try_from(spec.question.timeout.as_millis()).expect("small"));
    let (header, value) = auth.custom.clone().unwrap_or_default();
    let mut fields = json!({
        "serverAddress": spec.connection.server.as_str().trim_end_matches('/'),
        "query": spec.question.query,
        "namespace": namespace,
        "queryParameters": parameters,
        "customHeaders": pairs(&spec.connection.headers),
        "ca": secret(&tls.ca), "cert": secret(&tls.cert), "key": secret(&tls.key),
        "customAuthHeader": header, "customAuthValue": value.expose(),
    });
    let map = fields.as_object_mut().expect("an object");
    let mut insert = |key: &str, value: Value| map.insert(key.to_owned(), value);
    match &auth.authorization {
        Authorization::Basic { username, password } => {
            insert("username", json!(username));
            insert("password", json!(password.expose()));
        }
        Authorization::Bearer(token) => {
            insert("bearerToken", json!(token.expose()));
        }
        Authorization::Aws { credentials: Credentials::DefaultChain, region } => {
            insert("awsRegion", json!(region));
        }
        _ => {}
    }
    // KEDA writes whole numbers without a point.
    let number = |value: f64| serde_json::from_str::<Value>(&value.to_string()).expect("a number");
    if spec.activation != 0.0 {
        insert("activationThreshold", number(spec.activation));
    }
    insert("threshold", number(spec.metric.target));
    if !spec.ignore_nulls {
        insert("ignoreNullValues", json!(false));
    }
    if let Some(milliseconds) = milliseconds {
        insert("timeoutMs", json!(milliseconds));
    }
    map.retain(|_, value| ![json!(""), json!({})].contains(value));
    map.clone()
}

/// What an answer comes to: value and activity, or an error with the word that it should have.
type Outcome = Result<(f64, bool), String>;

const ANSWERED: [Difference<Outcome>; 5] = [
    Difference {
        why: "JSON without `data` is not Prometheus: a false 0 stops a workload",
        ids: &["prom-resp-000"],
        ours: Result::is_err,
    },
    Difference {
        why: "a sample without a value is no number, so an error where no number is one",
        ids: &["prom-resp-023"],
        ours: Result::is_err,
    },
    Difference {
        why: "a number that is not written as a text is still a number: KEDA's process ends",
        ids: &["prom-resp-024"],
        ours: |outcome| *outcome == Ok((5.0, true)),
    },
    Difference { why: "a range of samples is not an empty answer", ids: &["prom-resp-031"], ours: Result::is_err },
    Difference { why: "a failed query is not an empty answer", ids: &["prom-resp-033"], ours: Result::is_err },
];

#[test]
fn answers_mean_what_was_recorded() {
    let keda = |case: &Value| {
        let expect = &case["expect"];
        match expect["error"].as_str() {
            Some(word) => Err(word.to_owned()),
            None => Ok((expect["value"].as_f64().expect("a number"), expect["active"] == true)),
        }
    };
    VECTORS.hold("answer", &ANSWERED, keda, |case| {
        let spec = read(case, &[("serverAddress", "http://p:9090")]).expect("a legal trigger");
        let status = u16::try_from(case["status"].as_u64().expect("a status")).expect("small");
        let status = StatusCode::from_u16(status).expect("a status");
        let answer = Answer::new(status, HeaderMap::new(), text(case, "body"));
        let reading = answer::read("`p`", &answer).and_then(|found| evaluate(&spec, &found));
        let word = text(&case["expect"], "error");
        reading.map(|reading| (rounded(reading.value), reading.active)).map_err(|error| {
            let said = error.to_string();
            if said.contains(word) { word.to_owned() } else { said }
        })
    });
}

/// A request: its path and query with `{time}`, `Authorization`, the other headers.
type Sent = (String, Option<String>, BTreeMap<String, String>);

const SENT: [Difference<Sent>; 3] = [
    Difference {
        why: "one slash too many is not the server's path",
        ids: &["prom-req-04"],
        ours: |(uri, _, _)| uri == "/api/v1/query?query=up&time={time}",
    },
    Difference {
        why: "both modes are sent",
        ids: &["prom-req-13"],
        ours: |(_, authorization, headers)| {
            authorization.as_deref() == Some("Bearer tok") && headers.get("x-a").is_some_and(|value| value == "v")
        },
    },
    Difference {
        why: "the key is sent, which KEDA checks and forgets",
        ids: &["prom-req-18"],
        ours: |(_, authorization, headers)| {
            authorization.is_none() && headers.get("x-api-key").is_some_and(|value| value == "k")
        },
    },
];

#[test]
fn requests_are_sent_as_recorded() {
    aws_lc_rs::default_provider().install_default().ok();
    let keda = |case: &Value| {
        let expect = &case["expect"];
        let headers = serde_json::from_value(expect["headers"].clone()).expect("strings");
        (text(expect, "uri").to_owned(), expect["authorization"].as_str().map(str::to_owned), headers)
    };
    VECTORS.hold("request", &SENT, keda, |case| {
        let server = text(&case["metadata"], "serverAddress").replace("{hostport}", "p:9090");
        let spec = read(case, &[("serverAddress", &server)]).expect("a legal trigger");
        let request = request_as_sent(&spec.connection, Method::GET, &spec.question).expect("legal headers");
        let url = request.url;
        let query: Vec<String> = url
            .query()
            .unwrap_or_default()
            .split('&')
            .map(|pair| match pair.strip_prefix("time=") {
                // `%3A` is how `:` is escaped.
                Some(time) if time.replace("%3A", ":").len() == "2023-06-06T00:00:00Z".len() => "time={time}".into(),
                _ => pair.to_owned(),
            })
            .collect();
        let mut headers: BTreeMap<String, String> = request
            .headers
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_str().expect("text").to_owned()))
            .collect();
        let authorization = headers.remove("authorization");
        (format!("{}?{}", url.path(), query.join("&")), authorization, headers)
    });
}

/// Path and query of the request, whether Google's token goes with it, and the value.
#[test]
fn google_is_asked_as_recorded() {
    aws_lc_rs::default_provider().install_default().ok();
    // The token of a service account is made here, where KEDA fetches one: see the tests with a stand-in.
    let keda = |case: &Value| {
        let expect = &case["expect"];
        let token = text(expect, "authorization").starts_with("Bearer ");
        (text(expect, "path").to_owned(), text(expect, "query").to_owned(), token, expect["value"].as_f64())
    };
    let json = r#"{"client_email":"a@b","private_key":"k"}"#;
    VECTORS.hold("google", &[], keda, |case| {
        let server = text(&case["metadata"], "serverAddress").replace("{hostport}", "p:9090");
        let mut more = vec![("serverAddress", server.as_str())];
        if !case["metadata"]["credentialsFromEnv"].is_null() {
            more.push(("credentialsFromEnv", json));
        }
        let spec = read(case, &more).expect("a legal trigger");
        let request = request_as_sent(&spec.connection, Method::GET, &spec.question).expect("legal headers");
        let url = request.url;
        let query = url.query_pairs().find(|(name, _)| name == "query").map(|(_, value)| value.into_owned());
        let status = StatusCode::OK;
        let answer = Answer::new(status, HeaderMap::new(), text(case, "body"));
        let reading = answer::read("`p`", &answer).and_then(|found| evaluate(&spec, &found));
        let token = matches!(spec.connection.auth.authorization, Authorization::Google(_));
        (url.path().to_owned(), query.unwrap_or_default(), token, reading.ok().map(|reading| reading.value))
    });
}
