//! Whose rights which keys mean, and that nothing secret shows.

use aws_credential_types::provider::error::CredentialsError;

use super::{Credentials, Identity, explain, kind_of};
use crate::{
    error::{
        ReadErrorKind::{self, BadReply, Denied, NotFound, Throttled, Unreachable},
        SpecError,
    },
    metadata::{Metadata, Reader, Secret},
    net::{Reach, http::Http},
};

fn read(pairs: &[(&str, &str)]) -> Result<Credentials, SpecError> {
    let metadata: Metadata = pairs.iter().copied().collect();
    let mut keys = Reader::new(&metadata);
    let credentials = Credentials::read(&mut keys);
    keys.finish().map(|()| credentials)
}

#[track_caller]
fn refused(pairs: &[(&str, &str)], key: &str) {
    let error = read(pairs).expect_err("a problem");
    assert_eq!(error.problems[0].key, key, "{error}");
}

fn key(id: &str, secret: &str, token: Option<&str>) -> Credentials {
    Credentials::Static {
        access_key_id: id.into(),
        secret_access_key: Secret::new(secret),
        session_token: token.map(Secret::new),
    }
}

fn role(arn: &str, external_id: Option<&str>) -> Credentials {
    Credentials::AssumeRole { arn: arn.into(), external_id: external_id.map(str::to_owned) }
}

#[test]
fn a_trigger_that_names_nobody_uses_the_servers_own_identity() {
    assert_eq!(read(&[]), Ok(Credentials::DefaultChain));
    assert_eq!(read(&[("awsAccessKeyID", " "), ("awsRoleArn", "")]), Ok(Credentials::DefaultChain));
}

#[test]
fn operator_means_the_servers_own_identity_whatever_else_is_given() {
    for owner in ["operator", "keda"] {
        let given = [("identityOwner", owner), ("awsRoleArn", "r"), ("awsAccessKeyID", "a")];
        assert_eq!(read(&given), Ok(Credentials::DefaultChain));
    }
}

#[test]
fn a_role_comes_before_an_access_key() {
    assert_eq!(read(&[("awsRoleArn", "r"), ("awsAccessKeyID", "a"), ("awsSecretAccessKey", "s")]), Ok(role("r", None)));
    assert_eq!(read(&[("awsRoleArn", "r"), ("awsExternalID", "x")]), Ok(role("r", Some("x"))));
    assert_eq!(read(&[("awsRoleArnFromEnv", "r"), ("identityOwner", "pod")]), Ok(role("r", None)));
}

#[test]
fn an_access_key_is_read_from_either_name_and_from_the_environment() {
    let secret = ("awsSecretAccessKey", "s");
    assert_eq!(read(&[("awsAccessKeyId", "a"), secret]), Ok(key("a", "s", None)));
    assert_eq!(read(&[("awsAccessKeyId", "b"), ("awsAccessKeyID", "a"), secret]), Ok(key("a", "s", None)));
    let from_env = [("awsAccessKeyIDFromEnv", "a"), ("awsSecretAccessKeyFromEnv", "s"), ("awsSessionToken", "t")];
    assert_eq!(read(&from_env), Ok(key("a", "s", Some("t"))));
}

#[test]
fn half_a_login_is_refused() {
    refused(&[("identityOwner", "pod")], "awsAccessKeyID");
    refused(&[("awsSecretAccessKey", "s")], "awsAccessKeyID");
    refused(&[("awsSessionToken", "s")], "awsAccessKeyID");
    refused(&[("awsAccessKeyID", "a")], "awsSecretAccessKey");
    refused(&[("awsExternalID", "x")], "awsExternalID");
    refused(&[("identityOwner", "workload")], "identityOwner");
}

#[test]
fn equal_credentials_of_one_region_are_one_identity() {
    let of = |credentials: &Credentials, region| Identity::of(credentials, region);
    let one = of(&role("one-identity", None), "eu-west-1");
    assert!(std::sync::Arc::ptr_eq(&one, &of(&role("one-identity", None), "eu-west-1")));
    assert!(!std::sync::Arc::ptr_eq(&one, &of(&role("one-identity", None), "eu-west-2")));
    assert!(!std::sync::Arc::ptr_eq(&one, &of(&role("one-identity", Some("x")), "eu-west-1")));
}

#[tokio::test]
async fn debug_text_shows_no_secret_and_an_access_key_needs_no_request() {
    let credentials = key("AKIA", "hunter2", Some("hunter2"));
    let identity = Identity::of(&credentials, "eu-west-1");
    let (provider, config) =
        (identity.provider(), identity.sdk_config(Http::of_system(Reach::open()).expect("a client")).await);
    let shown = format!("{credentials:?} {identity:?} {provider:?} {config:?} {}", credentials.describe());
    assert!(!shown.contains("hunter2"), "{shown}");
    assert_eq!(identity.credentials().await.expect("a key").secret_access_key(), "hunter2");
}

#[test]
fn codes_of_aws_have_kinds() {
    #[track_caller]
    fn check(code: &str, status: u16, kind: ReadErrorKind) {
        assert_eq!(kind_of(code, status), kind, "{code} {status}");
    }
    check("AccessDenied", 403, Denied);
    check("ExpiredTokenException", 400, Denied);
    check("SomethingElse", 403, Denied);
    check("RequestThrottled", 403, Throttled);
    check("ThrottlingException", 400, Throttled);
    check("no code", 429, Throttled);
    check("AWS.SimpleQueueService.NonExistentQueue", 400, NotFound);
    check("QueueDoesNotExist", 400, NotFound);
    check("ServiceUnavailable", 503, Unreachable);
    check("no code", 500, Unreachable);
    check("InvalidAttributeName", 400, BadReply);
}

#[test]
fn no_credentials_at_all_is_denied_with_the_cure_and_concerns_the_whole_connection() {
    let error = explain::refused(&Credentials::DefaultChain, &CredentialsError::not_loaded("nobody"));
    assert_eq!((error.kind, error.whole_connection), (Denied, true));
    assert!(error.to_string().contains("give the server's service account a role"), "{error}");
    let unreadable = CredentialsError::provider_error(std::io::Error::other("no such file"));
    let error = explain::refused(&role("r", None), &unreadable);
    assert_eq!(error.kind, Denied);
    assert!(error.to_string().contains("AWS_WEB_IDENTITY_TOKEN_FILE"), "{error}");
}
