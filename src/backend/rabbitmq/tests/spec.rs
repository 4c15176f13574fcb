//! The rules of a trigger's keys: what each problem says, and what makes a connection.

use super::{
    super::{
        connection::{Connection, Login},
        spec::Spec,
    },
    spec,
};
use crate::{
    metadata::Reader,
    net::{Reach, Rules},
};

fn with(more: &[(&str, &str)]) -> Result<Spec, String> {
    let mut pairs = vec![("queueName", "orders")];
    pairs.extend_from_slice(more);
    spec(&pairs).map_err(|error| error.to_string())
}

#[track_caller]
fn refused(more: &[(&str, &str)], text: &str) {
    assert_eq!(with(more).unwrap_err(), text);
}

const AMQP: (&str, &str) = ("host", "amqp://u:p@h:5672/");
const HTTP: (&str, &str) = ("host", "http://u:p@h:15672/");

#[test]
fn each_problem_names_its_key_and_the_cure() {
    refused(&[("host", "rabbit:5672")], "`host` has no scheme: give a URL such as `amqp://rabbitmq.svc:5672/vhost`");
    refused(&[("host", "tcp://h")], "`host` must begin with `amqp://`, `amqps://`, `http://` or `https://`");
    refused(&[AMQP, ("protocol", "http")], "`host` and `protocol` contradict each other: drop `protocol`");
    refused(&[AMQP, ("useRegex", "true")], "`useRegex` needs the management API: give its `http://` URL as `host`");
    refused(
        &[AMQP, ("mode", "MessageRate"), ("value", "1")],
        "`mode` must be `QueueLength` over AMQP: rates need the management API's URL as `host`",
    );
    refused(&[AMQP, ("tls", "enable")], "`tls: enable` needs a `host` that begins with `amqps://` or `https://`");
    refused(&[HTTP, ("operation", "median")], "`operation` must be one of `sum`, `avg`, `max`");
    refused(&[HTTP, ("mode", "QueueLength")], "`value` must be given with `mode`, and not 0");
    refused(&[HTTP, ("value", "5")], "`mode` must be given with `value`: `QueueLength`, say");
    refused(
        &[HTTP, ("queueLength", "5"), ("value", "5")],
        "`queueLength` is the old form of `mode` and `value`: drop it",
    );
    refused(
        &[HTTP, ("queueLength", "-5")],
        "`queueLength` must be greater than 0, at least 0.001: it is the target per replica",
    );
    refused(&[HTTP, ("username", "u")], "`username` and `password` go together: give both, or neither");
    refused(
        &[("host", "https://h/"), ("workloadIdentityResource", "https://management.azure.com/")],
        "`workloadIdentityResource` must be the `api://` URI of an application that stands for RabbitMQ in Microsoft Entra",
    );
    refused(
        &[("host", "amqps://h/"), ("workloadIdentityResource", "api://rabbit")],
        "`workloadIdentityResource` needs the management API: give its `https://` URL as `host`",
    );
    refused(
        &[HTTP, ("oauthTokenURI", "https://t/"), ("clientID", "c")],
        "`oauthTokenURI`, `clientID` and `clientSecret` go together: `clientSecret` is missing",
    );
    refused(
        &[("host", "amqps://h/?cacertfile=/ca.pem")],
        "`host` names a file as `cacertfile`: give PEM texts as `ca`, `cert` and `key` instead",
    );
    refused(&[("host", "http:///v")], "`host` names no host: give a URL such as `http://rabbitmq.svc:15672/vhost`");
    refused(&[AMQP, ("idleDeclaresPerSecond", "0")], "`idleDeclaresPerSecond` must be at least 1");
}

#[test]
fn all_problems_are_told_at_once() {
    assert_eq!(
        with(&[("value", "x"), ("useRegex", "maybe")]).unwrap_err(),
        "`value` must be a number such as `10` or `0.5`; `host` is required: set it in the trigger's metadata; \
         `useRegex` must be `true` or `false`"
    );
}

#[test]
fn equal_connections_are_one_whatever_is_measured_there() {
    let connection = |more: &[(&str, &str)]| with(more).unwrap().connection;
    assert_eq!(connection(&[AMQP]), connection(&[("host", "amqp://h/"), ("username", "u"), ("password", "p")]));
    assert_eq!(connection(&[HTTP]), connection(&[HTTP, ("mode", "MessageRate"), ("value", "1"), ("timeout", "9s")]));
    assert_eq!(connection(&[AMQP, ("vhostName", "v")]), connection(&[("host", "amqp://u:p@h:5672/v")]));
    assert_ne!(connection(&[AMQP]), connection(&[AMQP, ("vhostName", "v")]));
    assert_ne!(connection(&[AMQP]), connection(&[("host", "amqp://u:other@h:5672/")]));
    let verified = connection(&[("host", "amqps://h/")]);
    assert_ne!(verified, connection(&[("host", "amqps://h/"), ("skipTlsVerify", "true")]));
}

#[test]
fn a_timeout_that_the_trigger_names_is_its_deadline_too() {
    let times = |more: &[(&str, &str)]| {
        let spec = with(more).unwrap();
        (spec.timeout.as_secs(), spec.deadline.map(|deadline| deadline.as_secs()))
    };
    assert_eq!(times(&[HTTP]), (3, None));
    assert_eq!(times(&[HTTP, ("timeout", "20s")]), (20, Some(20)));
    assert_eq!(times(&[AMQP]), (6, None));
}

#[test]
fn a_password_that_would_pass_for_a_port_and_a_path_is_refused_and_not_shown() {
    for host in ["amqp://u:12/S3CRET@h/", "http://u:12?S3CRET@h/", "amqp://u:12#S3CRET@h", "https://u/S3CRET@h:1"] {
        refused(
            &[("host", host)],
            "`host` has special characters in its user part: percent-encode them, or use `username` and `password`: \
             give a URL such as `amqp://rabbitmq.svc:5672/vhost`",
        );
    }
    assert_eq!(with(&[("host", "amqp://h/a%40b")]).unwrap().connection.vhost(), "a@b");
    assert!(with(&[("host", "amqp://u:p@h/a@b")]).is_err(), "or `p@h/a` is the password");
}

#[test]
fn tls_material_counts_only_where_tls_is_enabled() {
    let tls = |more: &[(&str, &str)]| {
        let mut pairs = vec![("host", "amqps://h/"), ("ca", "CA"), ("skipTlsVerify", "true")];
        pairs.extend_from_slice(more);
        let Connection::Amqp(amqp) = with(&pairs).unwrap().connection else { panic!("not over AMQP") };
        let tls = amqp.tls.unwrap();
        (tls.ca.is_some(), tls.skip_verify)
    };
    assert_eq!(tls(&[]), (false, true));
    assert_eq!(tls(&[("tls", "enable")]), (true, true));
}

#[test]
fn a_token_beats_the_user_part_and_keys_beat_it_too() {
    let login = |more: &[(&str, &str)]| {
        let Connection::Management(api) = with(more).unwrap().connection else { panic!("not over HTTP") };
        api.login
    };
    let oauth = [HTTP, ("oauthTokenURI", "https://t/"), ("clientID", "c"), ("clientSecret", "s")];
    assert!(matches!(login(&oauth), Login::OAuth(_)));
    let keys = [HTTP, ("username", "x"), ("password", "y")];
    assert!(matches!(login(&keys), Login::Password { username, .. } if username == "x"));
    assert_eq!(login(&[("host", "http://h/")]), Login::Anonymous);
}

#[test]
fn nothing_that_can_be_printed_holds_a_secret() {
    let secrets = [
        ("host", "https://user:S3CRET@h/"),
        ("tls", "enable"),
        ("ca", "S3CRET"),
        ("cert", "S3CRET"),
        ("key", "S3CRET"),
        ("keyPassword", "S3CRET"),
        ("oauthTokenURI", "https://t/"),
        ("clientID", "c"),
        ("clientSecret", "S3CRET"),
        ("endpointParams", "p=S3CRET"),
    ];
    let spec = with(&secrets).unwrap();
    assert!(!format!("{spec:?} {}", spec.connection.label()).contains("S3CRET"), "{spec:?}");
}

#[test]
fn a_name_that_amqp_cannot_say_is_a_problem_of_its_key_in_bytes_not_letters() {
    let (fits, long, letters) = ("q".repeat(255), "q".repeat(256), "ü".repeat(128));
    let text = |key: &str| format!("`{key}` must have at most 255 bytes: RabbitMQ has no longer names");
    for host in [AMQP, HTTP] {
        for name in [&long, &letters] {
            assert_eq!(with(&[host, ("queueName", name)]).unwrap_err(), text("queueName"));
            assert_eq!(with(&[host, ("vhostName", name)]).unwrap_err(), text("vhostName"));
            let url = format!("{}{name}", host.1);
            assert!(with(&[("host", &url)]).unwrap_err().starts_with("`host` has a vhost of more than 255 bytes"));
        }
        assert!(with(&[host, ("queueName", &fits), ("vhostName", &fits)]).is_ok());
    }
    let error = with(&[AMQP, ("username", &long), ("password", "S3CRET")]).unwrap_err();
    assert_eq!(error, "`username` has a user name of more than 255 bytes: RabbitMQ takes none over AMQP");
    let error = with(&[("host", &format!("amqp://{long}:S3CRET@h/"))]).unwrap_err();
    assert_eq!(error, "`host` has a user name of more than 255 bytes: RabbitMQ takes none over AMQP");
    assert!(with(&[HTTP, ("useRegex", "true"), ("queueName", &long)]).is_ok(), "a pattern is no name");
}

#[test]
fn hosts_that_may_not_be_reached_are_problems_of_their_keys() {
    let closed = Reach::new(Rules { deny: vec!["h".parse().unwrap(), "t".parse().unwrap()], ..Rules::default() });
    let oauth = [("oauthTokenURI", "https://t/"), ("clientID", "c"), ("clientSecret", "s")];
    for (host, key) in [("amqp://u:p@h", "host"), ("https://u:p@h/", "host"), ("https://elsewhere/", "oauthTokenURI")] {
        let mut pairs = vec![("queueName", "orders"), ("host", host)];
        pairs.extend_from_slice(if key == "host" { &[] } else { &oauth });
        let metadata = pairs.into_iter().collect();
        let error = Spec::read(&mut Reader::new(&metadata), &closed).unwrap_err();
        assert_eq!(error.problems.len(), 1, "{error}");
        assert_eq!(error.problems[0].key, key, "{error}");
        assert!(error.to_string().contains("the policy's `deny` has"), "{error}");
    }
}

#[test]
fn the_servers_own_identity_is_shown_over_verified_tls_alone_and_for_applications_alone() {
    let resource = ("workloadIdentityResource", "api://rabbit/");
    let spec = with(&[("host", "https://h/"), resource, ("identityId", "i")]).unwrap();
    let Connection::Management(api) = spec.connection else { panic!("not over HTTP") };
    let Login::Azure(azure) = api.login else { panic!("{:?}", api.login) };
    assert_eq!((azure.scope.as_str(), azure.client_id.as_deref()), ("api://rabbit/.default", Some("i")));
    for insecure in [&[HTTP, resource][..], &[("host", "https://h/"), resource, ("skipTlsVerify", "true")]] {
        let error = with(insecure).unwrap_err();
        assert!(
            error.starts_with("`workloadIdentityResource`: the server's own identity is not shown to `h`"),
            "{error}"
        );
    }
    for foreign in ["797f4846-ba00-4fd7-ba43-dac1f8f63013", "https://vault.azure.net", "api://", "api://a b"] {
        let error = with(&[("host", "https://h/"), ("workloadIdentityResource", foreign)]).unwrap_err();
        assert!(error.starts_with("`workloadIdentityResource` must be the `api://` URI"), "{error}");
    }
}
