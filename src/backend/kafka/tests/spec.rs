//! Reading a trigger: what the recorded cases leave open, and the keys that are ours.

use std::time::Duration;

use super::{
    super::{
        client::{Isolation, Topics},
        connection::Sasl,
        partitions::Partitions,
        spec::Dialect,
    },
    parse, spec,
};
use crate::{
    identity::aws::Credentials,
    metadata::{Metadata, Reader},
    net::{Identities, Reach, Rules},
};

/// The keys at fault, in order.
#[track_caller]
fn refused(dialect: Dialect, more: &[(&str, &str)], expected: &[&str]) {
    let error = spec(dialect, more).expect_err("must be refused");
    let keys: Vec<_> = error.problems.iter().map(|problem| problem.key.as_str()).collect();
    assert_eq!(keys, expected, "{error}");
}

#[test]
fn partition_limitations_follow_each_dialects_grammar() {
    let both = [Dialect::Kafka, Dialect::ApacheKafka];
    for text in ["0", "1,2", " 1 - 3 , 7 ", "5-2", "1,1", "2147483647", "0-2147483647"] {
        for dialect in both {
            assert!(Partitions::parse(text, dialect).is_ok(), "{text:?} {dialect:?}");
        }
    }
    for (text, piece) in
        [("", 1), ("1,,2", 2), ("1,", 2), ("-1", 1), ("1--2", 1), ("3,1-2-3", 2), ("1-", 1), ("1 2", 1), ("x", 1)]
    {
        for dialect in both {
            assert_eq!(Partitions::parse(text, dialect), Err(piece), "{text:?} {dialect:?}");
        }
    }
    for (text, kafka, apache) in [("+5", true, false), ("05", true, false), ("2147483648", false, true)] {
        assert_eq!(Partitions::parse(text, Dialect::Kafka).is_ok(), kafka, "{text:?}");
        assert_eq!(Partitions::parse(text, Dialect::ApacheKafka).is_ok(), apache, "{text:?}");
    }
}

#[test]
fn a_limitation_to_nothing_is_refused_or_none_by_dialect() {
    refused(Dialect::Kafka, &[("partitionLimitation", "5-2")], &["partitionLimitation"]);
    let some = spec(Dialect::Kafka, &[("partitionLimitation", "5-2,1")]).expect("partition 1 is left").query;
    assert!(some.partitions.as_ref().is_some_and(|limit| limit.contains(1) && !limit.contains(3)));
    let all = spec(Dialect::ApacheKafka, &[("partitionLimitation", "5-2")]).expect("KEDA's letter").query;
    assert_eq!(all.partitions, None);
}

#[test]
fn without_a_topic_the_limitation_is_read_and_not_used() {
    let pairs = [("bootstrapServers", "b:1"), ("consumerGroup", "g"), ("partitionLimitation", "5-2")];
    let query = parse(Dialect::Kafka, &pairs).expect("legal").query;
    assert_eq!((&query.topics, &query.partitions), (&Topics::All, &None));
}

#[test]
fn a_comma_is_part_of_the_topic_or_parts_two_by_dialect() {
    for (dialect, name, topics) in
        [(Dialect::Kafka, "kafka-a, b,,a", vec!["a, b,,a"]), (Dialect::ApacheKafka, "kafka-a,b,,a", vec!["a", "b"])]
    {
        let pairs = [("bootstrapServers", "b:1"), ("consumerGroup", "g"), ("topic", " a, b,,a")];
        let spec = parse(dialect, &pairs).expect("legal");
        assert_eq!(spec.metric.name, name);
        let Topics::Named(named) = &spec.query.topics else { panic!("{:?}", spec.query.topics) };
        assert_eq!(**named, topics);
    }
    let error = parse(Dialect::ApacheKafka, &[("bootstrapServers", "b:1"), ("consumerGroup", "g"), ("topic", ",")]);
    assert_eq!(error.expect_err("no topic").problems[0].key, "topic");
}

#[test]
fn one_cluster_is_one_connection_in_whatever_order_it_is_written() {
    let connection = |servers| {
        let pairs = [("bootstrapServers", servers), ("consumerGroup", "g")];
        parse(Dialect::Kafka, &pairs).expect("legal").connection
    };
    assert_eq!(connection("b1:9092, b2:9092"), connection("b2:9092,b1:9092,,b2:9092"));
    let error = parse(Dialect::Kafka, &[("bootstrapServers", ", ,"), ("consumerGroup", "g")]);
    assert_eq!(error.expect_err("no server").problems[0].key, "bootstrapServers");
}

#[test]
fn versions_are_checked_as_sarama_does() {
    for version in ["1.0.0", "0.11.0.2", "99.99.99", "10.2.1"] {
        assert!(spec(Dialect::Kafka, &[("version", version)]).is_ok(), "{version}");
    }
    for version in ["2.8", "0.10.2", "3.6.0.0", "v2.8.0", "1.2.3.4", "01.2.3", "1..2", "1.2.x", "0.1.2.3.4"] {
        refused(Dialect::Kafka, &[("version", version)], &["version"]);
    }
}

#[test]
fn our_own_keys_have_kedas_behaviour_as_default() {
    let plain = spec(Dialect::Kafka, &[("excludePersistentLag", "true")]).expect("legal");
    assert_eq!(plain.query.isolation, Isolation::ReadUncommitted);
    assert_eq!(plain.settings.exclude_persistent_after, Some(Duration::ZERO));
    let ours = [("excludePersistentLag", "true"), ("persistentLagAfter", "2m"), ("isolationLevel", "read_committed")];
    let ours = spec(Dialect::ApacheKafka, &ours).expect("legal");
    assert_eq!(ours.query.isolation, Isolation::ReadCommitted);
    assert_eq!(ours.settings.exclude_persistent_after, Some(Duration::from_secs(120)));
    refused(Dialect::Kafka, &[("isolationLevel", "read-committed")], &["isolationLevel"]);
}

#[test]
fn where_logs_start_is_asked_only_for_the_earliest_policy() {
    assert!(!spec(Dialect::Kafka, &[]).expect("legal").query.start_offsets);
    assert!(spec(Dialect::Kafka, &[("offsetResetPolicy", "earliest")]).expect("legal").query.start_offsets);
}

#[test]
fn two_words_where_one_belongs_are_refused() {
    refused(
        Dialect::Kafka,
        &[("sasl", "plaintext,scram_sha256"), ("tls", "enable,disable"), ("offsetResetPolicy", "latest,earliest")],
        &["offsetResetPolicy", "tls", "sasl"],
    );
}

#[test]
fn every_problem_comes_in_kedas_order_without_knock_on_ones() {
    let keys = [
        ("lagThreshold", "ten"),
        ("activationLagThreshold", "-1"),
        ("partitionLimitation", "x"),
        ("allowIdleConsumers", "true"),
        ("limitToPartitionsWithLag", "true"),
        ("ensureEvenDistributionOfPartitions", "true"),
        ("tls", "enable"),
        ("cert", "c"),
        ("sasl", "scram_sha256"),
        ("version", "x"),
    ];
    let expected = [
        "lagThreshold",
        "activationLagThreshold",
        "partitionLimitation",
        "limitToPartitionsWithLag",
        "ensureEvenDistributionOfPartitions",
        "key",
        "username",
        "password",
        "version",
    ];
    refused(Dialect::Kafka, &keys, &expected);
}

#[test]
fn kedas_own_channel_keys_say_nothing_about_the_cluster() {
    let channel = [("enableTLS", "true"), ("unsafeSsl", "true")];
    assert_eq!(spec(Dialect::Kafka, &channel).expect("legal").connection.tls, None);
    let tls = spec(Dialect::ApacheKafka, &[("tls", "enable"), ("unsafeSsl", "true"), ("ca", "c")]).expect("legal");
    assert!(tls.connection.tls.is_some_and(|tls| !tls.skip_verify && tls.ca.is_some()));
    let skip = spec(Dialect::Kafka, &[("tls", "enable"), ("skipTlsVerify", "true")]).expect("legal");
    assert!(skip.connection.tls.is_some_and(|tls| tls.skip_verify));
}

#[test]
fn every_key_may_come_from_the_environment() {
    let keys = [
        ("saslFromEnv", "plaintext"),
        ("usernameFromEnv", "u"),
        ("passwordFromEnv", "p"),
        ("lagThresholdFromEnv", "3"),
    ];
    let spec = spec(Dialect::Kafka, &keys).expect("legal");
    assert!(matches!(spec.connection.sasl, Some(Sasl::Plain(login)) if login.password.expose() == "p"));
    assert_eq!(spec.settings.lag_threshold, 3);
}

#[test]
fn kerberos_names_what_is_missing() {
    refused(Dialect::ApacheKafka, &[("sasl", "gssapi")], &["sasl"]);
    let error =
        spec(Dialect::Kafka, &[("sasl", "gssapi"), ("password", "p"), ("keytab", "k")]).expect_err("incomplete");
    let keys: Vec<_> = error.problems.iter().map(|problem| problem.key.as_str()).collect();
    assert!(keys.starts_with(&["username", "keytab", "realm", "kerberosConfig"]), "{keys:?}");
}

#[cfg(not(feature = "msk"))]
#[test]
fn a_login_at_amazon_msk_is_refused_by_a_build_without_it() {
    let keys = [("sasl", "aws_msk_iam"), ("tls", "enable"), ("awsRegion", "eu-west-1")];
    let error = spec(Dialect::ApacheKafka, &keys).expect_err("no signer").to_string();
    assert!(error.contains("use one with the cargo feature `msk`"), "{error}");
}

#[cfg(not(feature = "gssapi"))]
#[test]
fn kerberos_is_refused_by_a_build_without_it() {
    let keys = [("sasl", "gssapi"), ("username", "u"), ("keytab", "k"), ("realm", "r"), ("kerberosConfig", "c")];
    let error = spec(Dialect::Kafka, &keys).expect_err("no Kerberos").to_string();
    assert!(error.contains("use one with the cargo feature `gssapi`"), "{error}");
}

#[cfg(feature = "gssapi")]
#[test]
fn kerberos_takes_a_realm_with_a_server_and_a_proof() {
    let config = "[realms]\nR = {\n kdc = kdc.example.com\n}";
    let keys = [("sasl", "gssapi"), ("username", "u"), ("password", "p"), ("realm", "R"), ("kerberosConfig", config)];
    let spec = spec(Dialect::Kafka, &keys).expect("legal");
    let Some(Sasl::Gssapi(kerberos)) = spec.connection.sasl else { panic!("{:?}", spec.connection) };
    assert_eq!((kerberos.principal.as_str(), kerberos.service.as_str()), ("u@R", "kafka"));
    for (key, value) in [("kerberosServiceName", "a/b"), ("kerberosConfig", "[realms]")] {
        refused(Dialect::Kafka, &[&keys[..], &[(key, value)]].concat(), &[key]);
    }
}

#[test]
fn oauth_extensions_are_pairs_with_one_equals_sign() {
    let extensions = |text| {
        let endpoint = ("oauthTokenEndpointUri", "https://id/token");
        let keys = [("sasl", "oauthbearer"), ("username", "u"), ("password", "p"), endpoint, ("oauthExtensions", text)];
        match spec(Dialect::Kafka, &keys).map(|spec| spec.connection.sasl) {
            Ok(Some(Sasl::OauthOidc(oidc))) => Ok(oidc.extensions),
            Ok(other) => panic!("{other:?}"),
            Err(error) => Err(error.problems[0].key.clone()),
        }
    };
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(extensions("a=1, b=,=2"), Ok(vec![pair("a", "1"), pair(" b", ""), pair("", "2")]));
    for text in ["a", "a=1,", "a=b=c", "a=1,,b=2"] {
        assert_eq!(extensions(text), Err("oauthExtensions".into()), "{text:?}");
    }
}

#[test]
fn an_iam_login_needs_tls_and_a_region_in_each_dialects_order() {
    let oauth = [("sasl", "oauthbearer"), ("saslTokenProvider", "aws_msk_iam"), ("identityOwner", "operator")];
    refused(Dialect::Kafka, &oauth, &["tls", "awsRegion"]);
    refused(Dialect::ApacheKafka, &[("sasl", "aws_msk_iam"), ("identityOwner", "operator")], &["awsRegion", "tls"]);
}

#[test]
fn an_iam_login_uses_the_identity_that_keda_would() {
    let identity = |more: &[(&str, &str)]| {
        let mut keys = vec![("sasl", "aws_msk_iam"), ("tls", "enable"), ("awsRegion", "eu-west-1")];
        keys.extend_from_slice(more);
        match spec(Dialect::ApacheKafka, &keys).map(|spec| spec.connection.sasl) {
            Ok(Some(Sasl::MskIam(msk))) => Ok(msk.credentials),
            Ok(other) => panic!("{other:?}"),
            Err(error) => Err(error.problems[0].key.clone()),
        }
    };
    let (role, id, secret) = (("awsRoleArn", "arn"), ("awsAccessKeyId", "AK"), ("awsSecretAccessKey", "s"));
    let (operator, neither) = (("identityOwner", "operator"), ("identityOwner", "x"));
    assert_eq!(identity(&[role, id, secret]), Ok(Credentials::AssumeRole { arn: "arn".into(), external_id: None }));
    assert_eq!(identity(&[role, operator]), Ok(Credentials::AssumeRole { arn: "arn".into(), external_id: None }));
    assert_eq!(identity(&[id, secret, operator]), Ok(Credentials::DefaultChain));
    assert_eq!(identity(&[role, neither]), Ok(Credentials::DefaultChain));
    assert_eq!(identity(&[]), Ok(Credentials::DefaultChain));
    assert_eq!(identity(&[secret]), Err("awsAccessKeyID".into()));
    assert_eq!(identity(&[("awsSessionToken", "t")]), Err("awsAccessKeyID".into()));
    assert_eq!(identity(&[id]), Err("awsSecretAccessKey".into()));
    let Ok(Credentials::Static { access_key_id, session_token, .. }) =
        identity(&[id, secret, ("awsSessionToken", "t")])
    else {
        panic!("static keys")
    };
    assert_eq!((access_key_id.as_str(), session_token.is_some()), ("AK", true));
}

#[test]
fn the_servers_own_identity_is_shown_over_verified_tls_only_or_where_the_rules_name_the_host() {
    let read = |more: &[(&str, &str)], reach: &Reach| {
        let mut pairs = vec![("bootstrapServers", "b1.shop.svc:9098"), ("consumerGroup", "g"), ("topic", "t")];
        pairs.extend([("sasl", "aws_msk_iam"), ("tls", "enable"), ("awsRegion", "eu-west-1")]);
        pairs.extend_from_slice(more);
        let metadata: Metadata = pairs.into_iter().collect();
        super::Spec::read(Dialect::ApacheKafka, &mut Reader::new(&metadata), reach).map(drop)
    };
    let blind = ("skipTlsVerify", "true");
    let keys = [("awsAccessKeyID", "AK"), ("awsSecretAccessKey", "s")];
    let open = Reach::open();
    assert!(read(&[], &open).is_ok());
    assert!(read(&[blind, keys[0], keys[1]], &open).is_ok(), "the trigger's own keys are its own to show");
    for own in [&[blind][..], &[blind, ("awsRoleArn", "arn")], &[blind, ("identityOwner", "operator")]] {
        let error = read(own, &open).expect_err("refused");
        assert_eq!(error.problems[0].key, "sasl", "{error}");
        assert!(error.to_string().contains("`b1.shop.svc` without verified TLS"), "{error}");
    }
    let aws = |place: &str| {
        let identities = Identities { aws: Some(vec![place.parse().expect("a place")]), ..Identities::default() };
        Reach::new(Rules { identities, ..Rules::default() })
    };
    assert!(read(&[blind], &aws("*.shop.svc")).is_ok());
    assert!(read(&[], &aws("*.amazonaws.com")).is_err());
}

#[test]
fn only_a_foreign_key_is_worth_a_warning() {
    let warnings = |dialect, keys: &[&str]| {
        let pairs = [("bootstrapServers", "b:1"), ("consumerGroup", "g")];
        let blank = keys.iter().map(|key| (*key, " "));
        let metadata: Metadata = pairs.into_iter().chain(blank).collect();
        let mut reader = Reader::new(&metadata);
        super::Spec::read(dialect, &mut reader, &Reach::open()).expect("blank is absent");
        reader.unknown_keys()
    };
    let both = [
        "topic",
        "partitionLimitation",
        "lagThreshold",
        "activationLagThreshold",
        "offsetResetPolicy",
        "allowIdleConsumers",
        "excludePersistentLag",
        "scaleToZeroOnInvalidOffset",
        "limitToPartitionsWithLag",
        "ensureEvenDistributionOfPartitions",
        "tls",
        "unsafeSsl",
        "ca",
        "cert",
        "key",
        "keyPassword",
        "sasl",
        "username",
        "password",
        "awsRegion",
        "awsRoleArn",
        "awsAccessKeyID",
        "awsAccessKeyId",
        "awsSecretAccessKey",
        "awsSessionToken",
        "identityOwner",
        "skipTlsVerify",
        "isolationLevel",
        "persistentLagAfter",
    ];
    let kafka = [
        "version",
        "fullMetadata",
        "saslTokenProvider",
        "scopes",
        "oauthTokenEndpointUri",
        "oauthExtensions",
        "keytab",
        "realm",
        "kerberosConfig",
        "kerberosServiceName",
        "kerberosDisableFAST",
    ];
    for dialect in [Dialect::Kafka, Dialect::ApacheKafka] {
        assert_eq!(warnings(dialect, &both), Vec::<String>::new());
    }
    assert_eq!(warnings(Dialect::Kafka, &kafka), Vec::<String>::new());
    // Eight by name, and how many more.
    assert_eq!(warnings(Dialect::ApacheKafka, &kafka).len(), 9);
    for key in kafka {
        assert_eq!(warnings(Dialect::ApacheKafka, &[key]).len(), 1, "{key}");
    }
    assert!(warnings(Dialect::Kafka, &["lagTreshold"])[0].ends_with("did you mean `lagThreshold`?"));
}

#[test]
fn no_text_shows_a_secret() {
    let keys = [
        ("sasl", "plaintext"),
        ("username", "u"),
        ("password", "s3cret"),
        ("tls", "enable"),
        ("cert", "s3cret"),
        ("key", "s3cret"),
        ("keyPassword", "s3cret"),
        ("ca", "s3cret"),
    ];
    let spec_ = spec(Dialect::Kafka, &keys).expect("legal");
    assert!(!format!("{spec_:?}").contains("s3cret"), "{spec_:?}");
    let error =
        spec(Dialect::Kafka, &[("lagThreshold", "s3cret"), ("sasl", "s3cret"), ("partitionLimitation", "s3cret")]);
    let error = error.expect_err("nonsense").to_string();
    assert!(!error.contains("s3cret"), "{error}");
}
