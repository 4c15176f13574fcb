//! The recorded triggers: accepted with which meaning, or refused for which parameter.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::{
    super::super::{client::Topics, connection::Sasl, lag::ResetPolicy, spec::Spec},
    VECTORS, dialect, metadata,
};
use crate::{
    backend::recorded::Difference,
    identity::aws::Credentials,
    metadata::{Reader, Secret},
    net::Reach,
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
        why: "Kerberos: a build without it refuses it, one with it refuses a keytab and a krb5.conf that are none",
        ids: &[
            "kafka/TestKafkaAuthParamsInScaledObject/12",
            "kafka/TestKafkaAuthParamsInScaledObject/13",
            "kafka/TestKafkaAuthParamsInScaledObject/14",
            "kafka/TestKafkaAuthParamsInScaledObject/15",
            "kafka/TestKafkaAuthParamsInTriggerAuthentication/11",
            "kafka/TestKafkaAuthParamsInTriggerAuthentication/12",
            "kafka/TestKafkaAuthParamsInTriggerAuthentication/13",
            "kafka/TestKafkaAuthParamsInTriggerAuthentication/14",
            "kafka/TestKafkaAuthParamsInTriggerAuthentication/34",
            "kafka-x-gssapi-fast",
        ],
        ours: |ours| matches!(ours, Parsed::Refused(key) if ["sasl", "keytab", "kerberosConfig"].contains(&key.as_str())),
    },
    Difference {
        why: "TriggerAuthentication parameters are taken from the metadata, as nothing else reaches us",
        ids: &["kafka-x-username-in-metadata"],
        ours: |parsed| accepted(parsed, "username", "u"),
    },
    Difference {
        why: "the region too, whichever of the two places it stood in",
        ids: &["kafka-x-msk-region-authparams"],
        ours: |parsed| accepted(parsed, "awsRegion", "eu-west-1"),
    },
    Difference {
        why: "there is one place for `sasl` only, so it cannot stand in two",
        ids: &["apache-kafka-x-both-sasl-none", "apache-kafka/TestApacheKafkaAuthParams/42"],
        ours: |parsed| matches!(parsed, Parsed::Accepted(..)),
    },
    Difference {
        why: "the same; here the metadata's `none` is what reaches us",
        ids: &["apache-kafka-x-sasl-metadata-none-auth-plain"],
        ours: |parsed| accepted(parsed, "consumerGroup", "g"),
    },
    Difference {
        why: "OAuth scopes are trimmed: a double blank between them is against RFC 6749",
        ids: &["kafka-x-oauth-scopes-space", "kafka/TestKafkaOAuthbearerAuthParams/02"],
        ours: |parsed| accepted(parsed, "scope", "s1 s2") || accepted(parsed, "scope", "scope1 scope2"),
    },
    Difference {
        why: "two words where one belongs, and a login without a name, cannot work: refused early",
        ids: &["apache-kafka-x-tls-comma", "apache-kafka-x-scram-nouser"],
        ours: |parsed| refused(parsed, "tls") || refused(parsed, "username"),
    },
];

#[test]
fn triggers_parse_as_recorded() {
    VECTORS.hold("parse", &DIFFERENCES, keda, ours);
}

fn refused(parsed: &Parsed, key: &str) -> bool {
    *parsed == Parsed::Refused(key.to_owned())
}

fn accepted(parsed: &Parsed, field: &str, value: &str) -> bool {
    matches!(parsed, Parsed::Accepted(_, _, fields) if fields.get(field).is_some_and(|found| found == value))
}

fn keda(case: &Value) -> Parsed {
    let expect = &case["expect"];
    if let Some(parameter) = expect["error"].as_str() {
        return Parsed::Refused(parameter.to_owned());
    }
    let mut fields = expect["fields"].as_object().expect("fields").clone();
    // KEDA keeps the order and the doubles, to no effect.
    for key in ["bootstrapServers", "partitionLimitation"] {
        if let Some(Value::Array(list)) = fields.get_mut(key) {
            list.sort_by_key(|value| (value.as_i64(), value.to_string()));
            list.dedup();
        }
    }
    let metric = expect["metric"].as_str().expect("a name").to_owned();
    Parsed::Accepted(metric, expect["target"].as_f64().expect("a number"), fields)
}

fn ours(case: &Value) -> Parsed {
    let metadata = metadata(case);
    match Spec::read(dialect(case), &mut Reader::new(&metadata), &Reach::open()) {
        Ok(spec) => Parsed::Accepted(spec.metric.name.clone(), spec.metric.target, fields(&spec)),
        Err(error) => {
            let problem = &error.problems[0];
            // KEDA may blame the other one of a pair: a text that names both is as good.
            let expected = case["expect"]["error"].as_str().unwrap_or_default();
            let names_it = problem.text.contains(&format!("`{expected}`"));
            Parsed::Refused(if names_it { expected.to_owned() } else { problem.key.clone() })
        }
    }
}

/// A spec in KEDA's fields, without those at their default.
fn fields(spec: &Spec) -> Map<String, Value> {
    let settings = &spec.settings;
    let topics: &[String] = if let Topics::Named(topics) = &spec.query.topics { topics } else { &[] };
    let partitions: BTreeSet<i32> =
        (0..100).filter(|n| spec.query.partitions.as_ref().is_some_and(|limit| limit.contains(*n))).collect();
    let mut fields = json!({
        "bootstrapServers": spec.connection.servers,
        "consumerGroup": &*spec.query.group,
        "topics": topics,
        "partitionLimitation": partitions,
        "lagThreshold": settings.lag_threshold,
        "activationLagThreshold": settings.activation_lag_threshold,
        "offsetResetPolicy": if settings.reset_policy == ResetPolicy::Earliest { "earliest" } else { "" },
        "allowIdleConsumers": settings.allow_idle_consumers,
        "excludePersistentLag": settings.exclude_persistent_after.is_some(),
        "scaleToZeroOnInvalidOffset": settings.zero_without_commit,
        "limitToPartitionsWithLag": settings.limit_to_partitions_with_lag,
        "ensureEvenDistributionOfPartitions": settings.even_distribution,
        "enableTLS": spec.connection.tls.is_some(),
    });
    let map = fields.as_object_mut().expect("an object");
    if let Some(tls) = &spec.connection.tls {
        for (key, pem) in [("ca", &tls.ca), ("cert", &tls.cert), ("key", &tls.key), ("keyPassword", &tls.key_password)]
        {
            map.insert(key.into(), json!(pem.as_ref().map_or("", Secret::expose)));
        }
    }
    if let Some(sasl) = &spec.connection.sasl {
        login(sasl, map);
    }
    let default = [("lagThreshold", json!(10)), ("activationLagThreshold", json!(0))];
    map.retain(|key, value| {
        let empty = [json!(""), json!(false), json!([]), json!({})].contains(value);
        !empty && !default.iter().any(|(name, default)| name == key && default == value)
    });
    map.clone()
}

fn login(sasl: &Sasl, fields: &mut Map<String, Value>) {
    let word = match sasl {
        Sasl::Plain(_) => "plaintext",
        Sasl::Scram256(_) => "scram_sha256",
        Sasl::Scram512(_) => "scram_sha512",
        Sasl::OauthOidc(_) => "oauthbearer",
        Sasl::MskIam(_) => "aws_msk_iam",
        #[cfg(feature = "gssapi")]
        Sasl::Gssapi(_) => "gssapi",
    };
    let mut insert = |key: &str, value: Value| fields.insert(key.to_owned(), value);
    insert("saslType", json!(word));
    match sasl {
        Sasl::Plain(login) | Sasl::Scram256(login) | Sasl::Scram512(login) => {
            insert("username", json!(login.username));
            insert("password", json!(login.password.expose()));
        }
        Sasl::OauthOidc(oidc) => {
            insert("username", json!(oidc.oauth.client_id));
            insert("password", json!(oidc.oauth.client_secret.expose()));
            insert("oauthTokenEndpointUri", json!(oidc.oauth.token_uri));
            insert("scope", json!(oidc.oauth.scopes.join(" ")));
            insert(
                "oauthExtensions",
                oidc.extensions.iter().cloned().map(|(k, v)| (k, json!(v))).collect::<Map<_, _>>().into(),
            );
        }
        #[cfg(feature = "gssapi")]
        Sasl::Gssapi(_) => {}
        Sasl::MskIam(msk) => {
            insert("awsRegion", json!(msk.region));
            match &msk.credentials {
                Credentials::DefaultChain => {}
                Credentials::AssumeRole { arn, .. } => {
                    insert("awsRoleArn", json!(arn));
                }
                Credentials::Static { access_key_id, secret_access_key, .. } => {
                    insert("awsAccessKeyID", json!(access_key_id));
                    insert("awsSecretAccessKey", json!(secret_access_key.expose()));
                }
            }
        }
    }
}
