//! What SQS's errors come to: a kind, what to do, and whether the whole connection is at fault.

use std::time::Duration;

use super::{
    super::{
        Sqs,
        address::Address,
        client::{LOOK, hinted},
    },
    Reply, StandIn, refusal, source, spec, visible,
};
use crate::error::{
    ReadError,
    ReadErrorKind::{self, BadReply, Denied, NotFound, Throttled, Timeout, Unreachable},
};

async fn read(server: &StandIn) -> ReadError {
    source(&Sqs::default(), server, &[]).read().await.expect_err("a refusal")
}

/// `reply` comes to `kind`; `whole` says whether the connection is at fault. The text is constant and ends in `cure`.
#[track_caller]
fn held(error: &ReadError, kind: ReadErrorKind, whole: bool, cure: &str) {
    assert_eq!((error.kind, error.whole_connection), (kind, whole), "{error}");
    assert!(error.to_string().ends_with(cure), "{error}");
    for hidden in ["hunter2", "12:34:56"] {
        assert!(!error.to_string().contains(hidden), "{error}");
    }
}

#[tokio::test]
async fn each_error_of_sqs_has_its_kind_and_its_cure() {
    let cases = [
        (refusal(400, "QueueDoesNotExist"), NotFound, false, "create it, or correct `queueURL`"),
        (refusal(403, "AccessDenied"), Denied, false, "grant `sqs:GetQueueAttributes` on it"),
        (refusal(400, "AccessDeniedException"), Denied, false, "grant `sqs:GetQueueAttributes` on it"),
        (
            refusal(403, "ExpiredTokenException"),
            Denied,
            true,
            "give fresh `awsAccessKeyID`, `awsSecretAccessKey` and `awsSessionToken`",
        ),
        (refusal(403, "InvalidClientTokenId"), Denied, true, "check `awsAccessKeyID` and `awsSecretAccessKey`"),
        (refusal(403, "SignatureDoesNotMatch"), Denied, true, "check the server's clock and `awsSecretAccessKey`"),
        (refusal(403, "InvalidSignatureException"), Denied, true, "check the server's clock and `awsSecretAccessKey`"),
        (refusal(400, "InvalidSignatureException"), Denied, true, "check the server's clock and `awsSecretAccessKey`"),
        (refusal(500, "InternalFailure"), Unreachable, true, "wait until it has recovered"),
        (refusal(400, &"X".repeat(100_000)), BadReply, false, "not as SQS does: check `awsEndpoint`"),
        (refusal(403, "No\nhunter2"), Denied, true, "check `awsAccessKeyID` and `awsSecretAccessKey`"),
        (Reply::new(200, "[".repeat(200_000)), BadReply, false, "check `awsEndpoint`"),
        (Reply::new(200, "x".repeat(300_000)), BadReply, false, "check `awsEndpoint`"),
        (refusal(403, "RequestThrottled"), Throttled, true, "it is asked less often until it serves again"),
        (refusal(400, "ThrottlingException"), Throttled, true, "it is asked less often until it serves again"),
        (refusal(503, "ServiceUnavailable"), Unreachable, true, "wait until it has recovered"),
        (Reply::new(502, "<html>bad gateway</html>"), Unreachable, true, "wait until it has recovered"),
        (Reply::new(200, "<html>log in</html>"), BadReply, false, "check `awsEndpoint`"),
        (Reply::new(404, "nothing here"), BadReply, false, "check `awsEndpoint`"),
        (refusal(400, "InvalidAddress"), BadReply, false, "for no address: correct it"),
        (refusal(400, "InvalidAction"), BadReply, false, "check `queueURL` and `awsEndpoint`"),
        (Reply::new(200, "{}"), BadReply, false, "check that `awsEndpoint` speaks SQS"),
        (visible("many"), BadReply, false, "check that `awsEndpoint` speaks SQS"),
    ];
    let server = StandIn::new(|_| visible("0")).await;
    for (reply, kind, whole, cure) in cases {
        server.now(move |_| reply.clone());
        held(&read(&server).await, kind, whole, cure);
    }
}

#[tokio::test]
async fn a_queue_of_another_region_is_told_from_its_url() {
    let server = StandIn::new(|_| refusal(400, "QueueDoesNotExist")).await;
    let source = source(&Sqs::default(), &server, &[("queueURL", "https://sqs.us-east-1.amazonaws.com/1/orders")]);
    let error = source.read().await.expect_err("missing");
    held(&error, NotFound, false, "or `awsRegion`: the URL is of `us-east-1`, the trigger of `eu-west-1`");
}

#[tokio::test]
async fn a_url_of_another_server_without_an_endpoint_is_told_with_what_to_set() {
    let address = Address::parse("http://user:hunter2@localhost:4566/000000000000/orders").expect("a queue");
    let connection = spec(&[]).expect("legal").connection;
    let error = ReadError::new(Unreachable, "it cannot be reached");
    let error = hinted(&connection, &address, error);
    held(&error, Unreachable, true, "to ask there, set `awsEndpoint: http://localhost:4566`");
    let there = spec(&[("awsEndpoint", "http://localhost:4566")]).expect("legal").connection;
    let error = hinted(&there, &address, ReadError::new(Unreachable, "it cannot be reached"));
    held(&error, Unreachable, true, "it cannot be reached");
}

#[tokio::test]
async fn the_sdk_tries_twice_at_most_and_not_at_all_again_where_that_is_of_no_use() {
    let server = StandIn::new(|_| refusal(403, "RequestThrottled")).await;
    read(&server).await;
    assert_eq!(server.calls().len(), 2);
    let server = StandIn::new(|_| refusal(403, "AccessDenied")).await;
    read(&server).await;
    assert_eq!(server.calls().len(), 1);
}

#[tokio::test]
async fn a_server_that_says_nothing_is_given_up_before_the_samplers_own_deadline() {
    assert!(LOOK < Duration::from_secs(5), "the default of `--read-timeout`");
    let server = StandIn::new(|_| Reply::Silence).await;
    let error = read(&server).await;
    held(&error, Timeout, true, "check the way to it and `awsEndpoint`");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unreachable() {
    let server = StandIn::new(|_| Reply::Silence).await;
    let sqs = Sqs::default();
    let source = source(&sqs, &server, &[]);
    drop(server);
    let error = source.read().await.expect_err("nobody listens");
    held(
        &error,
        Unreachable,
        true,
        "cannot be reached: connection refused: check the address, and that it is up, see `awsEndpoint`",
    );
}
