//! Whose rights are used: the real binary with the variables that a pod on AWS has, and short lives.

use std::{fs, path::PathBuf, sync::Arc, time::Duration};

use tokio::time::{Instant, sleep};
use tonic::Code;

use super::{
    fixtures::unique,
    issuer::{Keys, field, queue_for, refusal, signer},
};
use crate::{
    emulator::{Keda, Poll, seen_by_keda},
    process::Process,
    stand_in::{Reply, StandIn},
};

const PATIENCE: Duration = Duration::from_secs(30);
const OWN_ROLE: &str = "arn:aws:iam::123456789012:role/own";
const TARGET_ROLE: &str = "arn:aws:iam::123456789012:role/target";

/// A pod's token file; gone when dropped.
struct TokenFile(PathBuf);

impl TokenFile {
    fn new(token: &str) -> Self {
        let file = Self(std::env::temp_dir().join(unique("token")));
        file.write(token);
        file
    }

    fn write(&self, token: &str) {
        fs::write(&self.0, token).unwrap();
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for TokenFile {
    fn drop(&mut self) {
        fs::remove_file(&self.0).ok();
    }
}

/// A server with just these variables of AWS.
fn server(variables: &[(&str, &str)]) -> Process {
    let mut environment = vec![
        ("AWS_EC2_METADATA_DISABLED", "true"),
        ("AWS_CONFIG_FILE", "/dev/null"),
        ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"),
        // Who sees the server's own identity must be known to it.
        ("SSL_CERT_FILE", StandIn::authority().to_str().unwrap()),
    ];
    environment.extend_from_slice(variables);
    Process::start_in(&[], &environment)
}

/// An STS that issues keys of this life, named `what`.
async fn sts(keys: &Arc<Keys>, what: &'static str, life: Duration) -> StandIn {
    let issued = Arc::clone(keys);
    StandIn::new(move |call| issued.issue(what, life).by_sts(field(call, "Action"))).await
}

/// A server with an access key of its own, which asks `sts`.
fn server_with_a_key(sts: &StandIn) -> Process {
    let url = sts.url();
    server(&[
        ("AWS_ENDPOINT_URL_STS", url.as_str()),
        ("AWS_ACCESS_KEY_ID", "OWN"),
        ("AWS_SECRET_ACCESS_KEY", "hunter2"),
    ])
}

/// A server with the web identity of its pod, which asks `sts`.
fn server_in_a_pod(sts: &StandIn, file: &TokenFile) -> Process {
    let url = sts.url();
    server(&[
        ("AWS_ENDPOINT_URL_STS", url.as_str()),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", file.path()),
        ("AWS_ROLE_ARN", OWN_ROLE),
    ])
}

/// KEDA with a trigger on `queue`.
fn keda(server: &Process, queue: &StandIn, more: &[(&str, &str)]) -> Keda {
    let url = queue.url();
    let mut metadata = vec![
        ("scalerType", "aws-sqs-queue"),
        ("queueURL", "https://sqs.eu-west-1.amazonaws.com/123456789012/orders"),
        ("awsRegion", "eu-west-1"),
        ("awsEndpoint", url.as_str()),
        ("pollingInterval", "200ms"),
        ("maxStaleness", "200ms"),
    ];
    metadata.extend_from_slice(more);
    Keda::new(server.channel(), "orders", &metadata)
}

fn counts_one(poll: &Poll) {
    assert_eq!((seen_by_keda(&poll.value), poll.active), (1.0, true));
}

/// The keys that requests were signed with, each once, in the order of their first use.
fn signers(queue: &StandIn) -> Vec<String> {
    let mut signers = Vec::new();
    for call in queue.calls() {
        let signer = signer(&call).to_owned();
        if !signers.contains(&signer) {
            signers.push(signer);
        }
    }
    signers
}

/// Polls until `right`; every poll must succeed.
async fn poll_until(keda: &mut Keda, right: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !right() {
        counts_one(&keda.poll().await.unwrap());
        assert!(Instant::now() < deadline, "not in time");
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn web_identity_is_renewed_from_the_token_file_without_a_failed_look() {
    let keys = Arc::new(Keys::default());
    let (queue, issued) = (queue_for(&keys).await, Arc::clone(&keys));
    let sts = StandIn::new(move |call| {
        issued.issue(field(call, "WebIdentityToken"), Duration::from_secs(4)).by_sts(field(call, "Action"))
    })
    .await;
    let file = TokenFile::new("jwt1");
    let server = server_in_a_pod(&sts, &file);
    let mut keda = keda(&server, &queue, &[]);
    counts_one(&keda.poll().await.unwrap());
    file.write("jwt2");
    poll_until(&mut keda, || signers(&queue).len() >= 3).await;
    assert_eq!(signers(&queue)[..3], ["jwt1-0", "jwt2-1", "jwt2-2"]);
    assert_eq!(sts.calls().len(), signers(&queue).len(), "each load is one request");
    assert!(sts.calls().iter().all(|call| field(call, "Action") == "AssumeRoleWithWebIdentity"));
    let log = server.log();
    assert!(!log.contains("hunter2") && !log.contains("token-of"), "{log}");
    assert!(!log.contains("failing"), "{log}");
}

#[tokio::test]
async fn while_sts_is_away_the_credentials_at_hand_serve() {
    let keys = Arc::new(Keys::default());
    let (queue, sts) = (queue_for(&keys).await, sts(&keys, "key", Duration::from_secs(10)).await);
    let file = TokenFile::new("jwt");
    let server = server_in_a_pod(&sts, &file);
    let mut keda = keda(&server, &queue, &[]);
    counts_one(&keda.poll().await.unwrap());
    sts.now(|_| refusal(503, "ServiceUnavailable"));
    // The renewal is tried, in vain, and the looks go on with the old key.
    poll_until(&mut keda, || sts.calls().len() >= 2).await;
    let looks = queue.calls().len();
    poll_until(&mut keda, || queue.calls().len() >= looks + 2).await;
    assert_eq!(signers(&queue), ["key-0"]);
    let issued = Arc::clone(&keys);
    sts.now(move |call| issued.issue("key", Duration::from_secs(60)).by_sts(field(call, "Action")));
    let deadline = Instant::now() + PATIENCE;
    while !signers(&queue).contains(&"key-1".to_owned()) {
        keda.poll().await.ok();
        assert!(Instant::now() < deadline, "it does not recover");
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_session_that_was_revoked_is_replaced_at_the_next_look() {
    let keys = Arc::new(Keys::default());
    let (queue, sts) = (queue_for(&keys).await, sts(&keys, "role", Duration::from_secs(3600)).await);
    let server = server_with_a_key(&sts);
    let mut keda = keda(&server, &queue, &[("awsRoleArn", TARGET_ROLE)]);
    counts_one(&keda.poll().await.unwrap());
    keys.revoke();
    let deadline = Instant::now() + PATIENCE;
    while keda.poll().await.is_ok() {
        assert!(Instant::now() < deadline, "the revoked session still serves");
        sleep(Duration::from_millis(50)).await;
    }
    while keda.poll().await.is_err() {
        assert!(Instant::now() < deadline, "the session is not replaced");
        sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(signers(&queue), ["role-0", "role-1"]);
}

#[tokio::test]
async fn a_role_is_assumed_by_the_servers_own_key_with_the_external_id() {
    let keys = Arc::new(Keys::default());
    let (queue, sts) = (queue_for(&keys).await, sts(&keys, "role", Duration::from_secs(3600)).await);
    let server = server_with_a_key(&sts);
    let role = [("awsRoleArn", TARGET_ROLE), ("awsExternalID", "ext-7")];
    counts_one(&keda(&server, &queue, &role).poll().await.unwrap());
    // Another trigger with the same role costs no second session.
    let another = [role[0], role[1], ("activationQueueLength", "0")];
    counts_one(&keda(&server, &queue, &another).poll().await.unwrap());
    assert_eq!(signers(&queue), ["role-0"]);
    let calls = sts.calls();
    assert_eq!(calls.len(), 1);
    assert_eq!((field(&calls[0], "Action"), signer(&calls[0])), ("AssumeRole", "OWN"));
    assert_eq!((field(&calls[0], "ExternalId"), field(&calls[0], "RoleSessionName")), ("ext-7", "plimsoll"));
    assert!(field(&calls[0], "RoleArn").ends_with("role%2Ftarget"));
}

#[tokio::test]
async fn a_role_that_trusts_the_pod_is_taken_by_web_identity_and_one_that_trusts_our_role_by_that() {
    let keys = Arc::new(Keys::default());
    let (queue, issued) = (queue_for(&keys).await, Arc::clone(&keys));
    let sts = StandIn::new(move |call| {
        let (action, role) = (field(call, "Action"), field(call, "RoleArn"));
        match (action, role.rsplit("%2F").next().unwrap()) {
            ("AssumeRoleWithWebIdentity", "target") => refusal(403, "AccessDenied"),
            (_, role) => issued.issue(role, Duration::from_secs(3600)).by_sts(action),
        }
    })
    .await;
    let file = TokenFile::new("jwt");
    let server = server_in_a_pod(&sts, &file);
    counts_one(&keda(&server, &queue, &[("awsRoleArn", "arn:aws:iam::1:role/trusting")]).poll().await.unwrap());
    counts_one(&keda(&server, &queue, &[("awsRoleArn", TARGET_ROLE)]).poll().await.unwrap());
    assert_eq!(signers(&queue), ["trusting-0", "target-2"]);
    let actions: Vec<_> =
        sts.calls().iter().map(|call| (field(call, "Action").to_owned(), signer(call).to_owned())).collect();
    let web = || ("AssumeRoleWithWebIdentity".to_owned(), String::new());
    assert_eq!(actions, [web(), web(), web(), ("AssumeRole".into(), "own-1".into())]);
    assert!(!server.log().contains("AccessDenied"), "the first way in vain is no news: {}", server.log());
}

#[tokio::test]
async fn eks_pod_identity_is_asked_with_the_pods_token() {
    let keys = Arc::new(Keys::default());
    let (queue, issued) = (queue_for(&keys).await, Arc::clone(&keys));
    let agent = StandIn::new(move |_| issued.issue("pod", Duration::from_secs(4)).by_agent()).await;
    let (file, url) = (TokenFile::new("jwt1"), format!("{}/v1/credentials", agent.url()));
    let server = server(&[
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &url),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", file.path()),
    ]);
    let mut keda = keda(&server, &queue, &[]);
    counts_one(&keda.poll().await.unwrap());
    file.write("jwt2");
    poll_until(&mut keda, || signers(&queue).len() >= 2).await;
    let tokens: Vec<_> = agent.calls().iter().map(|call| call.header("authorization").to_owned()).collect();
    assert_eq!(tokens[..2], ["jwt1", "jwt2"]);
}

#[tokio::test]
async fn credentials_that_cannot_be_had_are_a_failed_precondition_that_says_what_to_do() {
    #[track_caller]
    fn held(status: &tonic::Status, code: Code, text: &str) {
        assert_eq!(status.code(), code, "{status:?}");
        assert!(status.message().contains(text), "{status:?}");
    }
    let queue = StandIn::secure(|_| Reply::Silence).await;
    let nobody = server(&[]);
    let status = keda(&nobody, &queue, &[]).poll().await.unwrap_err();
    held(
        &status,
        Code::FailedPrecondition,
        "the server has no AWS credentials for the server's own AWS identity: give the server's service account a role",
    );

    let sts = StandIn::new(|_| refusal(403, "AccessDenied")).await;
    let denied = server_with_a_key(&sts);
    let status = keda(&denied, &queue, &[("awsRoleArn", TARGET_ROLE)]).poll().await.unwrap_err();
    held(&status, Code::FailedPrecondition, "STS refuses `AssumeRole` for role");
    held(&status, Code::FailedPrecondition, "with `AccessDenied`: let the role's trust policy name");

    drop(sts);
    let status = keda(&denied, &queue, &[("awsRoleArn", "arn:aws:iam::1:role/other")]).poll().await.unwrap_err();
    held(&status, Code::Unavailable, "STS cannot be reached for role");
    assert!(queue.calls().is_empty());

    let no_file = server(&[("AWS_WEB_IDENTITY_TOKEN_FILE", "/nonexistent"), ("AWS_ROLE_ARN", OWN_ROLE)]);
    let status = keda(&no_file, &queue, &[]).poll().await.unwrap_err();
    held(&status, Code::FailedPrecondition, "the token file for the server's own AWS identity cannot be read");
}

#[tokio::test]
async fn keys_that_end_at_once_are_no_loop_of_requests_and_neither_are_replies_without_end() {
    let keys = Arc::new(Keys::default());
    let (queue, sts) = (queue_for(&keys).await, sts(&keys, "brief", Duration::from_millis(1)).await);
    let server = server_with_a_key(&sts);
    let mut keda = keda(&server, &queue, &[("awsRoleArn", TARGET_ROLE)]);
    let end = Instant::now() + Duration::from_secs(6);
    while Instant::now() < end {
        keda.poll().await.ok();
        sleep(Duration::from_millis(10)).await;
    }
    assert!((1..=12).contains(&sts.calls().len()), "{} requests for keys in 6 s", sts.calls().len());

    for hostile in [Reply::new(200, "x".repeat(1 << 20)), refusal(400, &"word".repeat(10_000))] {
        let sts = StandIn::new(move |_| hostile.clone()).await;
        let server = server_with_a_key(&sts);
        let status = self::keda(&server, &queue, &[("awsRoleArn", TARGET_ROLE)]).poll().await.unwrap_err();
        assert!(status.message().len() < 300, "{status:?}");
        assert!(!server.log().contains("xxxx") && !server.log().contains("wordword"));
    }
}

#[tokio::test]
async fn in_the_open_the_servers_own_identity_is_shown_to_nobody() {
    let (sts, queue) = (StandIn::new(|_| Reply::Silence).await, StandIn::new(|_| Reply::Silence).await);
    let server = server_with_a_key(&sts);
    for more in [&[][..], &[("awsRoleArn", TARGET_ROLE)]] {
        let status = keda(&server, &queue, more).poll().await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
        assert!(status.message().contains("the server's own identity is not shown to `127.0.0.1`"), "{status:?}");
    }
    assert!(queue.calls().is_empty() && sts.calls().is_empty());
}
