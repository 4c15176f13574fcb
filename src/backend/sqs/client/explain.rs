//! What an error of SQS means to an operator: a kind, a constant text and what to do.

use std::time::Duration;

use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};

use crate::{
    backend::sqs::{address::Address, connection::Connection},
    error::{
        ReadError,
        ReadErrorKind::{self, BadReply, Denied, Internal, NotFound, Throttled, Timeout, Unreachable},
    },
    identity::aws::{Credentials, kind_of, reason, shown},
};

/// The same error with what else may be wrong: SQS itself is asked, and the queue's URL is of another server.
pub fn hinted(connection: &Connection, queue: &Address, error: ReadError) -> ReadError {
    let Some(elsewhere) = queue.elsewhere().filter(|_| connection.endpoint.is_none()) else { return error };
    let text = format!("{error}; `queueURL` is of `{elsewhere}`: to ask there, set `awsEndpoint: {elsewhere}`");
    let hinted = ReadError::new(error.kind, text);
    if error.whole_connection { hinted.of_connection() } else { hinted.of_source() }
}

/// Nothing came within `patience`.
pub fn late(connection: &Connection, queue: &Address, patience: Duration) -> ReadError {
    let (place, name) = (connection.place(), &queue.name);
    ReadError::new(
        Timeout,
        format!(
            "{place} says nothing about queue `{name}` within {patience:?}: check the way to it and {}",
            key(connection)
        ),
    )
}

/// A request about `queue` came to nothing.
pub fn failed<E: ProvideErrorMetadata>(connection: &Connection, queue: &Address, error: &SdkError<E>) -> ReadError {
    let (place, name) = (connection.place(), &queue.name);
    let foreign = || {
        let text = format!("{place} answers for queue `{name}` with something that is not SQS: check `awsEndpoint`");
        ReadError::new(BadReply, text)
    };
    match error {
        SdkError::ServiceError(refusal) => {
            refused(connection, queue, shown(refusal.err().code()), refusal.raw().status().as_u16())
        }
        SdkError::TimeoutError(_) => ReadError::new(
            Timeout,
            format!("{place} does not answer in time: check the way to it and {}", key(connection)),
        ),
        SdkError::DispatchFailure(failure) if failure.is_timeout() => ReadError::new(
            Timeout,
            format!("{place} does not take a connection in time: check the way to it and {}", key(connection)),
        ),
        SdkError::DispatchFailure(failure) => match failure.as_connector_error().and_then(|error| reason(error)) {
            Some(error) if error.kind == BadReply => foreign(),
            Some(error) if error.kind == Unreachable => {
                ReadError::new(Unreachable, format!("{error}, see {}", key(connection)))
            }
            Some(error) => error.clone(),
            None => {
                let text =
                    format!("{place} cannot be reached: check DNS, TLS, the network policy and {}", key(connection));
                ReadError::new(Unreachable, text)
            }
        },
        SdkError::ResponseError(_) => foreign(),
        _ => {
            let text = format!(
                "the request about queue `{name}` cannot be made: check `queueURL`, `awsRegion` and `awsEndpoint`"
            );
            ReadError::new(Internal, text)
        }
    }
}

/// The URL of a queue given by its bare name was asked for, in vain.
pub fn unresolved<E: ProvideErrorMetadata>(connection: &Connection, queue: &Address, error: &SdkError<E>) -> ReadError {
    let denied = error.code().is_some_and(|code| code.starts_with("AccessDenied"));
    if denied { unnamed(connection, queue) } else { failed(connection, queue, error) }
}

/// Neither the bare name will do, nor can the URL be had.
pub fn unnamed(connection: &Connection, queue: &Address) -> ReadError {
    let (who, name) = (connection.credentials.describe(), &queue.name);
    let text = format!(
        "queue `{name}` is not found by its name, and {who} may not ask for its URL: give the whole URL in \
         `queueURL`, or grant `sqs:GetQueueUrl`"
    );
    ReadError::new(Denied, text)
}

/// The key to look at when the place may be wrong.
fn key(connection: &Connection) -> &'static str {
    if connection.endpoint.is_some() { "`awsEndpoint`" } else { "`awsRegion`" }
}

/// SQS answers, with an error.
fn refused(connection: &Connection, queue: &Address, code: Option<&str>, status: u16) -> ReadError {
    let (place, name, who) = (connection.place(), &queue.name, connection.credentials.describe());
    let told = code.map_or_else(|| format!("HTTP status {status}"), |code| format!("`{code}`"));
    let kind = kind_of(code.unwrap_or_default(), status);
    let error = |text: String| ReadError::new(kind, text);
    match (kind, code) {
        (NotFound, _) => error(format!(
            "queue `{name}` does not exist for {who}: create it, or correct `queueURL`{}",
            region_hint(connection, queue)
        )),
        (Throttled, _) => error(format!("{place} throttles with {told}: it is asked less often until it serves again")),
        (Denied, Some("AccessDenied" | "AccessDeniedException")) => {
            error(format!("{who} may not read queue `{name}`: grant `sqs:GetQueueAttributes` on it"))
        }
        (Denied, _) => {
            error(format!("{place} refuses {who} with {told}: {}", login_cure(connection, code))).of_connection()
        }
        (ReadErrorKind::Unreachable, _) => error(format!("{place} answers with {told}: wait until it has recovered")),
        (_, Some("InvalidAddress")) => error(format!(
            "{place} takes `queueURL` of queue `{name}` for no address: correct it{}",
            region_hint(connection, queue)
        )),
        (_, Some(_)) => {
            error(format!("{place} refuses to count queue `{name}` with {told}: check `queueURL` and `awsEndpoint`"))
        }
        (_, None) => {
            error(format!("{place} answers for queue `{name}` with {told}, not as SQS does: check `awsEndpoint`"))
        }
    }
}

fn region_hint(connection: &Connection, queue: &Address) -> String {
    match queue.region() {
        Some(region) if region != connection.region => {
            format!(" or `awsRegion`: the URL is of `{region}`, the trigger of `{}`", connection.region)
        }
        Some(_) => String::new(),
        None => format!(" or `awsRegion`, which is `{}`", connection.region),
    }
}

/// Whether `code` doubts what was signed, not who signed it: a wrong secret, or a wrong time.
fn is_of_signature(code: &str) -> bool {
    code.contains("Signature") || matches!(code, "RequestExpired" | "RequestTimeTooSkewed")
}

fn login_cure(connection: &Connection, code: Option<&str>) -> &'static str {
    match (code.unwrap_or_default(), &connection.credentials) {
        (code, Credentials::Static { .. }) if is_of_signature(code) => {
            "check the server's clock and `awsSecretAccessKey`"
        }
        (code, _) if is_of_signature(code) => "check the server's clock and its AWS secret key",
        (code, Credentials::Static { .. }) if code.starts_with("ExpiredToken") => {
            "give fresh `awsAccessKeyID`, `awsSecretAccessKey` and `awsSessionToken`"
        }
        (code, _) if code.starts_with("ExpiredToken") => "new ones are fetched for the next look",
        (_, Credentials::Static { .. }) => "check `awsAccessKeyID` and `awsSecretAccessKey`",
        (_, Credentials::AssumeRole { .. }) => "check that the role still exists",
        (_, Credentials::DefaultChain) => "check the role of the server's service account",
    }
}
