//! Rules of the metadata that no recording shows, and the differences that are ours.

use std::time::Duration;

use super::{
    super::connection::{ApiKey, Authorization},
    parse, spec,
};
use crate::{
    identity::{aws::Credentials, azure::Azure, google::Google},
    metadata::{Metadata, Reader, Secret},
    net::{Identities, Reach, Rules},
};

#[track_caller]
fn refused(more: &[(&str, &str)], key: &str, text: &str) {
    let error = spec(more).expect_err("must be refused");
    assert!(
        error.problems.iter().any(|problem| problem.key == key && problem.text.contains(text)),
        "no `{key}` with `{text}` in {error:?}"
    );
}

#[test]
fn defaults_are_kedas() {
    let spec = spec(&[]).unwrap();
    assert_eq!((spec.activation, spec.ignore_nulls, spec.strict), (0.0, true, false));
    assert_eq!((spec.question.timeout, spec.deadline), (Duration::from_secs(3), None));
    assert_eq!(spec.idle, Duration::from_secs(5));
    assert_eq!(spec.connection.auth, super::super::connection::Auth::default());
}

#[test]
fn an_address_that_can_never_work_is_refused() {
    for address in ["prometheus:9090", "not a url", "ftp://p", "http://", "http://p?x=1", "http://p#x"] {
        let error = parse(&[("serverAddress", address), ("query", "up"), ("threshold", "1")]).unwrap_err();
        assert_eq!(error.problems[0].key, "serverAddress", "{address}");
    }
}

#[test]
fn a_timeout_is_also_the_reads_deadline_and_0_means_the_default() {
    let own = spec(&[("timeout", "10s")]).unwrap();
    assert_eq!((own.question.timeout, own.deadline), (Duration::from_secs(10), Some(Duration::from_secs(20))));
    let zero = spec(&[("timeout", "0")]).unwrap();
    assert_eq!((zero.question.timeout, zero.deadline), (Duration::from_secs(3), None));
}

#[test]
fn strict_makes_null_results_errors() {
    let strict = spec(&[("strict", "true")]).unwrap();
    assert_eq!((strict.strict, strict.ignore_nulls), (true, false));
    refused(&[("strict", "true"), ("ignoreNullValues", "true")], "ignoreNullValues", "exclude each other");
}

#[test]
fn a_target_of_nothing_is_refused() {
    for threshold in ["0", "-1", "0.0004"] {
        let error = parse(&[("serverAddress", "http://p"), ("query", "up"), ("threshold", threshold)]).unwrap_err();
        assert_eq!(error.problems[0].key, "threshold", "{threshold}");
    }
}

#[test]
fn headers_and_parameters_may_hold_equals_signs_and_the_host_is_the_servers() {
    let spec = spec(&[
        ("customHeaders", "X-Scope-OrgID=a|b, X-Key=YQ==, Host=elsewhere"),
        ("queryParameters", "dedup=true,max_source_resolution=5m"),
        ("namespace", "n s"),
    ])
    .unwrap();
    let pair = |name: &str, value: &str| (name.to_owned(), Secret::new(value));
    assert_eq!(spec.connection.headers, [pair("X-Key", "YQ=="), pair("X-Scope-OrgID", "a|b")]);
    assert_eq!(
        spec.question.parameters,
        [pair("namespace", "n s"), pair("dedup", "true"), pair("max_source_resolution", "5m")]
    );
    refused(&[("customHeaders", "a b=c")], "customHeaders", "legal HTTP headers");
    refused(&[("customHeaders", "=c")], "customHeaders", "legal HTTP headers");
}

#[test]
fn every_parameter_of_a_trigger_authentication_comes_from_an_environment_variable_too() {
    let spec = spec(&[("authModes", "basic"), ("usernameFromEnv", "u"), ("passwordFromEnv", "p\n")]).unwrap();
    let basic = Authorization::Basic { username: "u".into(), password: Secret::new("p") };
    assert_eq!(spec.connection.auth.authorization, basic);
}

#[test]
fn no_secret_shows_in_debug() {
    let spec = spec(&[
        ("serverAddress", "http://u:s3cret@p:9090"),
        ("authModes", "bearer,custom,apiKey"),
        ("bearerToken", "s3cret"),
        ("customAuthHeader", "X-A"),
        ("customAuthValue", "s3cret"),
        ("apiKey", "s3cret"),
        ("customHeaders", "X=s3cret"),
        ("queryParameters", "token=s3cret"),
    ])
    .unwrap();
    assert!(!format!("{spec:?}").contains("s3cret"));
    assert_eq!(spec.connection.id().label(), "http://p:9090");
}

#[test]
fn an_api_key_goes_where_kedas_other_scalers_put_it() {
    let key = |more: &[(&str, &str)]| {
        let mut pairs = vec![("authModes", "apiKey"), ("apiKey", "k")];
        pairs.extend_from_slice(more);
        spec(&pairs).unwrap().connection.auth.api_key.unwrap()
    };
    let expected = |name: &str, in_query| ApiKey { name: name.into(), key: Secret::new("k"), in_query };
    assert_eq!(key(&[]), expected("X-API-KEY", false));
    assert_eq!(key(&[("method", "query")]), expected("api_key", true));
    assert_eq!(key(&[("method", "query"), ("keyParamName", "key")]), expected("key", true));
    refused(&[("method", "cookie")], "method", "`header`, `query`");
}

#[test]
fn a_mode_without_its_keys_is_refused_and_keys_without_their_mode_are_a_warning() {
    for (mode, key) in [
        ("basic", "username"),
        ("bearer", "bearerToken"),
        ("custom", "customAuthHeader"),
        ("apiKey", "apiKey"),
        ("tls", "cert"),
        ("oauth", "oauthTokenURI"),
        ("oauth", "clientID"),
    ] {
        refused(&[("authModes", mode)], key, "required with `authModes");
    }
    for key in ["username", "token", "customAuthHeader", "apiKey", "oauthTokenURI"] {
        let metadata: Metadata =
            [("serverAddress", "http://p"), ("query", "up"), ("threshold", "1"), (key, "x")].into_iter().collect();
        let mut keys = Reader::new(&metadata);
        super::Spec::read(&mut keys, &Reach::open()).unwrap();
        let warnings = keys.unknown_keys();
        assert!(
            matches!(warnings.as_slice(), [one] if one.contains("has no effect without `authModes")),
            "{warnings:?}"
        );
    }
}

#[test]
fn one_mode_fills_authorization() {
    for modes in ["basic,bearer", "bearer,oauth", "bearer,bearer"] {
        refused(&[("authModes", modes)], "authModes", "may hold one of");
    }
    for modes in ["digest", "Bearer", "basic,", "bearer;basic"] {
        refused(&[("authModes", modes)], "authModes", "must be some of");
    }
}

#[test]
fn oauth_parameters_are_read_like_a_url() {
    let oauth = |parameters: &str| {
        spec(&[
            ("authModes", "oauth"),
            ("oauthTokenURI", "https://login/token"),
            ("clientID", "c"),
            ("scopes", "a, b,"),
            ("endpointParams", parameters),
        ])
    };
    let Authorization::OAuth(read) = oauth("audience=a%20b&x=1+2").unwrap().connection.auth.authorization else {
        panic!("not oauth")
    };
    let pair = |name: &str, value: &str| (name.to_owned(), Secret::new(value));
    assert_eq!(read.scopes, ["a", "b"]);
    assert_eq!(read.parameters, [pair("audience", "a b"), pair("x", "1 2")]);
    assert_eq!(oauth("a=%zz").unwrap_err().problems[0].key, "endpointParams");
    assert_eq!(oauth("a=%2").unwrap_err().problems[0].key, "endpointParams");
}

#[test]
fn a_client_certificate_is_shown_with_mode_tls_or_beside_an_authority() {
    let shown = |more: &[(&str, &str)]| {
        let mut pairs = vec![("cert", "c"), ("key", "k")];
        pairs.extend_from_slice(more);
        spec(&pairs).unwrap().connection.tls.cert.is_some()
    };
    assert!(shown(&[("authModes", "tls")]));
    assert!(shown(&[("authModes", "bearer"), ("bearerToken", "t"), ("ca", "a")]));
    assert!(!shown(&[("authModes", "bearer"), ("bearerToken", "t")]));
    assert!(!shown(&[("ca", "a")]));
    let tls = spec(&[("ca", "a"), ("skipTlsVerify", "true")]).unwrap().connection.tls;
    assert!(tls.ca.is_some() && tls.skip_verify, "without any mode, where KEDA forgets them");
}

#[test]
fn aws_signs_for_a_region_alone_or_for_any_credentials_with_one() {
    let secure = ("serverAddress", "https://aps-workspaces.eu-west-1.amazonaws.com/workspaces/ws-1");
    let aws = |more: &[(&str, &str)]| match spec(&[more, &[secure]].concat()).unwrap().connection.auth.authorization {
        Authorization::Aws { credentials, region } => Some((credentials, region)),
        _ => None,
    };
    let own = Some((Credentials::DefaultChain, "eu-west-1".to_owned()));
    assert_eq!(aws(&[]), None);
    assert_eq!(aws(&[("awsRegion", "eu-west-1")]), own);
    assert_eq!(aws(&[("awsRegion", "eu-west-1"), ("podIdentity", "aws")]), own);
    assert_eq!(aws(&[("awsRegion", "eu-west-1"), ("identityOwner", "operator")]), own);
    assert_eq!(aws(&[("awsRegion", "eu-west-1"), ("authModes", "bearer"), ("bearerToken", "t")]), None);
    let (credentials, _) = aws(&[("awsRegion", "r"), ("awsRoleArn", "arn:aws:iam::1:role/x")]).unwrap();
    assert!(matches!(credentials, Credentials::AssumeRole { .. }));
    refused(&[("podIdentity", "aws")], "awsRegion", "required to sign");
    refused(&[("awsAccessKeyID", "k"), ("awsRegion", "r")], "awsSecretAccessKey", "missing");
    refused(&[("podIdentity", "gcp"), ("authModes", "tls")], "podIdentity", "exclude each other");
}

#[test]
fn google_and_azure_are_asked_for_by_their_own_keys_or_the_pods_identity() {
    let authorization = |more: &[(&str, &str)]| spec(more).unwrap().connection.auth.authorization;
    let json = r#"{"type":"service_account","client_email":"a@b","private_key":"k"}"#;
    let account = Authorization::Google(Google::ServiceAccount(Secret::new(json)));
    let secure = ("serverAddress", "https://monitoring.googleapis.com/v1/projects/p/location/global/prometheus");
    assert_eq!(authorization(&[("podIdentity", "gcp"), secure]), Authorization::Google(Google::Own));
    assert_eq!(authorization(&[("GoogleApplicationCredentials", json)]), account);
    assert_eq!(authorization(&[("credentialsFromEnv", json), ("podIdentity", "gcp")]), account);
    refused(&[("GoogleApplicationCredentials", "/a/path")], "GoogleApplicationCredentials", "JSON key");
    refused(&[("credentialsFromEnvFile", "FILE")], "credentialsFromEnvFile", "mount it here");

    let azure = |host: &str| {
        let scope = format!("https://{host}");
        Authorization::Azure(Azure { scope, client_id: None, tenant_id: None })
    };
    let public = azure("prometheus.monitor.azure.com/.default");
    assert_eq!(authorization(&[("podIdentity", "azure-workload"), secure]), public);
    assert_eq!(authorization(&[("cloud", "AzurePublicCloud"), secure]), public);
    assert_eq!(authorization(&[("cloud", "AzureChinaCloud"), secure]), azure("prometheus.monitor.azure.cn/.default"));
    assert_eq!(
        authorization(&[("cloud", "AzureUSGovernmentCloud"), secure]),
        azure("prometheus.monitor.azure.us/.default")
    );
    let private = ("cloud", "Private");
    let resource = ("azureManagedPrometheusResourceURL", "https://prometheus.monitor.own.example/.default");
    assert_eq!(authorization(&[private, secure, resource]), azure("prometheus.monitor.own.example/.default"));
    refused(&[private], "azureManagedPrometheusResourceURL", "must be `https://prometheus.monitor.`");
    refused(&[("cloud", "AzureGermanCloud")], "cloud", "must be");
    let login = [("cloud", "AzurePublicCloud"), ("authModes", "basic"), ("username", "u")];
    assert!(matches!(authorization(&login), Authorization::Basic { .. }), "a login comes first");
}

#[test]
fn what_keda_dropped_is_named() {
    refused(&[("cortexOrgID", "t")], "cortexOrgID", "X-Scope-OrgID");
}

#[test]
fn looking_more_often_than_twice_a_second_is_refused() {
    refused(&[("idlePollingInterval", "100ms")], "idlePollingInterval", "at least `500ms`");
}

#[test]
fn a_token_of_azures_is_for_managed_prometheus_alone() {
    for scope in [
        "https://management.azure.com/.default",
        "https://graph.microsoft.com/.default",
        "https://vault.azure.net/.default",
        "https://prometheus.monitor.azure.com/.default https://management.azure.com/.default",
        "https://prometheus.monitor./.default",
        "https://prometheus.monitor.a@management.azure.com/.default",
        "https://prometheus.monitor.azure.com/x/.default",
        "api://prometheus.monitor.azure.com/.default",
    ] {
        let trigger = [("cloud", "Private"), ("azureManagedPrometheusResourceURL", scope)];
        refused(&trigger, "azureManagedPrometheusResourceURL", "shows its identity to no other service");
    }
}

#[test]
fn the_servers_own_identity_goes_over_verified_tls_or_where_the_policy_names_the_host() {
    let own: [&[(&str, &str)]; 5] = [
        &[("podIdentity", "gcp")],
        &[("podIdentity", "azure-workload")],
        &[("podIdentity", "aws"), ("awsRegion", "eu-west-1")],
        &[("awsRegion", "eu-west-1")],
        &[("awsRoleArn", "arn:aws:iam::1:role/r"), ("awsRegion", "eu-west-1")],
    ];
    let read = |own: &[(&str, &str)], more: &[(&str, &str)], reach: &Reach| {
        let pairs = [own, &[("query", "up"), ("threshold", "1")], more].concat();
        let metadata: Metadata = pairs.into_iter().collect();
        super::Spec::read(&mut Reader::new(&metadata), reach)
    };
    let (plain, secure) = (("serverAddress", "http://p:9090"), ("serverAddress", "https://p"));
    let named = || Some(vec!["p".parse().unwrap()]);
    let identities = Identities { aws: named(), google: named(), azure: named() };
    let named = Reach::new(Rules { identities, ..Rules::default() });
    for own in own {
        for more in [&[plain][..], &[secure, ("skipTlsVerify", "true")]] {
            let error = read(own, more, &Reach::open()).unwrap_err();
            assert_eq!(error.problems[0].key, "serverAddress", "{error}");
            assert!(error.to_string().contains("is not shown to `p` without verified TLS"), "{error}");
            read(own, more, &named).unwrap();
        }
        read(own, &[secure], &Reach::open()).unwrap();
        let error = read(own, &[("serverAddress", "https://elsewhere")], &named).unwrap_err();
        assert!(error.to_string().contains("does not name it"), "{error}");
    }
    // Keys that the trigger gives are its own to show.
    let keys = [("awsAccessKeyID", "k"), ("awsSecretAccessKey", "s"), ("awsRegion", "eu-west-1")];
    read(&keys, &[plain], &Reach::open()).unwrap();
    let json = r#"{"client_email":"a@b","private_key":"k"}"#;
    read(&[("GoogleApplicationCredentials", json)], &[plain], &Reach::open()).unwrap();
}

#[test]
fn hosts_beyond_reach_are_problems_of_their_keys() {
    let read = |server: &str, token_uri: &str| {
        let pairs = [
            ("serverAddress", server),
            ("query", "up"),
            ("threshold", "1"),
            ("authModes", "oauth"),
            ("clientID", "c"),
            ("oauthTokenURI", token_uri),
        ];
        let metadata: Metadata = pairs.into_iter().collect();
        super::Spec::read(&mut Reader::new(&metadata), &Reach::new(Rules::default()))
    };
    read("http://p:9090", "https://login/token").unwrap();
    for (server, token_uri, key) in [
        ("http://169.254.169.254/", "https://login/token", "serverAddress"),
        ("http://localhost:9090", "https://login/token", "serverAddress"),
        ("http://[::ffff:169.254.169.254]", "https://login/token", "serverAddress"),
        ("http://p:9090", "http://127.0.0.1/token", "oauthTokenURI"),
        ("http://p:9090", "http://2852039166/token", "oauthTokenURI"),
    ] {
        let error = read(server, token_uri).unwrap_err();
        assert_eq!((error.problems.len(), error.problems[0].key.as_str()), (1, key), "{error}");
        assert!(error.to_string().contains("may not be reached"), "{error}");
    }
}

#[test]
fn a_region_is_a_code_not_a_name() {
    for region in ["N. Virginia", "us-east-1a", "EU-WEST-1", "eu-west-1.evil.example/", "eu_west_1", "eu-west"] {
        refused(
            &[("awsRegion", region), ("awsAccessKeyID", "k"), ("awsSecretAccessKey", "s")],
            "awsRegion",
            "eu-west-1",
        );
    }
    for region in ["us-gov-west-1", "us-isob-east-1", "cn-north-1", "ap-southeast-7", "elasticmq"] {
        spec(&[("awsRegion", region), ("awsAccessKeyID", "k"), ("awsSecretAccessKey", "s")]).unwrap();
    }
}
