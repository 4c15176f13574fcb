//! What an error on the way to credentials means to an operator: a kind, a constant text and what to do.
//!
//! AWS's own messages carry request ids and times; only its error codes are repeated.

use std::{error::Error, io, time::Duration};

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_sts::{
    error::{ProvideErrorMetadata, SdkError},
    operation::{assume_role::AssumeRoleError, assume_role_with_web_identity::AssumeRoleWithWebIdentityError},
};

use super::{Credentials, connector::reason};
use crate::{
    error::{
        ReadError,
        ReadErrorKind::{self, BadReply, Denied, NotFound, Throttled, Timeout, Unreachable},
        give_login,
    },
    net::http::{self, StatusCode},
};

/// An error's code as it may be repeated: a word, as AWS's are; anything else is somebody's own.
#[must_use]
pub fn shown(code: Option<&str>) -> Option<&str> {
    code.filter(|code| {
        code.len() <= LONGEST_CODE && code.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
    })
}

/// AWS's longest are some 60 characters.
const LONGEST_CODE: usize = 80;

/// The kind of an error that any AWS service answers with, by its code and HTTP status.
#[must_use]
pub fn kind_of(code: &str, status: u16) -> ReadErrorKind {
    let is_any = |words: &[&str]| words.iter().any(|word| code.contains(word));
    if is_any(&["Throttl", "SlowDown", "TooManyRequests", "RequestLimitExceeded", "LimitExceeded"]) || status == 429 {
        Throttled
    } else if is_any(&["NonExistent", "DoesNotExist", "NotFound"]) {
        NotFound
    } else if status >= 500 {
        StatusCode::from_u16(status).map_or(Unreachable, http::kind)
    } else if status == 401 || status == 403 || is_any(DENIED) {
        Denied
    } else {
        BadReply
    }
}

/// Some of them come with status 400.
const DENIED: &[&str] = &[
    "AccessDenied",
    "ExpiredToken",
    "IDPRejectedClaim",
    "IncompleteSignature",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "InvalidIdentityToken",
    "InvalidSecurity",
    "InvalidSignature",
    "MissingAuthenticationToken",
    "NotAuthorized",
    "OptInRequired",
    "RegionDisabled",
    "RequestExpired",
    "SignatureDoesNotMatch",
    "UnrecognizedClient",
    "ValidationError",
];

/// Nothing came within `patience`.
pub fn late(credentials: &Credentials, patience: Duration) -> ReadError {
    let text = format!(
        "no AWS credentials of {} within {patience:?}: check that STS, or the pod's credentials endpoint, answers",
        credentials.describe()
    );
    ReadError::new(Timeout, text)
}

/// Whoever hands out credentials refuses, or there is nobody.
pub fn refused(credentials: &Credentials, error: &CredentialsError) -> ReadError {
    let who = credentials.describe();
    let mut chain: Vec<&(dyn Error + 'static)> = Vec::new();
    let mut link: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(found) = link {
        chain.push(found);
        link = found.source();
    }
    // From the inside: an STS call fails for want of credentials to sign it, too.
    let told = chain.iter().rev().find_map(|link| {
        if let Some(sdk) = link.downcast_ref::<SdkError<AssumeRoleError>>() {
            return sts(&who, "AssumeRole", sdk);
        }
        if let Some(sdk) = link.downcast_ref::<SdkError<AssumeRoleWithWebIdentityError>>() {
            return sts(&who, "AssumeRoleWithWebIdentity", sdk);
        }
        link.downcast_ref::<CredentialsError>().and_then(|error| unsent(&who, error))
    });
    let (kind, text) =
        told.unwrap_or_else(|| (Unreachable, format!("AWS credentials of {who} cannot be fetched: {}", cure())));
    ReadError::new(kind, text).of_connection()
}

fn cure() -> String {
    let keys = give_login(&["awsAccessKeyID", "awsSecretAccessKey"]);
    format!("give the server's service account a role (IRSA or EKS Pod Identity), or an access key: {keys}")
}

/// Nothing was asked of STS.
fn unsent(who: &str, error: &CredentialsError) -> Option<(ReadErrorKind, String)> {
    Some(match error {
        CredentialsError::CredentialsNotLoaded(_) => {
            (Denied, format!("the server has no AWS credentials for {who}: {}", cure()))
        }
        CredentialsError::ProviderTimedOut(_) => {
            (Timeout, format!("AWS credentials of {who} do not come in time: check the pod's credentials endpoint"))
        }
        CredentialsError::InvalidConfiguration(_) => (
            Denied,
            format!(
                "the server's AWS configuration does not lead to credentials of {who}: check its `AWS_…` variables"
            ),
        ),
        CredentialsError::ProviderError(_) if error.source().is_some_and(|source| source.is::<io::Error>()) => (
            Denied,
            format!("the token file for {who} cannot be read: check `AWS_WEB_IDENTITY_TOKEN_FILE` and its volume"),
        ),
        _ => return None,
    })
}

fn sts<E: ProvideErrorMetadata>(who: &str, call: &str, error: &SdkError<E>) -> Option<(ReadErrorKind, String)> {
    Some(match error {
        SdkError::TimeoutError(_) => (Timeout, format!("STS does not answer `{call}` for {who} in time: try again")),
        SdkError::DispatchFailure(failure) if failure.is_timeout() || failure.is_io() => (
            Unreachable,
            format!("STS cannot be reached for {who}: check DNS, the network policy and `AWS_ENDPOINT_URL_STS`"),
        ),
        SdkError::DispatchFailure(failure)
            if failure.as_connector_error().and_then(|error| reason(error)).is_some() =>
        {
            (BadReply, format!("STS answers `{call}` for {who} with something else: check `AWS_ENDPOINT_URL_STS`"))
        }
        SdkError::ServiceError(refusal) => {
            let code = shown(refusal.err().code()).unwrap_or("no code");
            let status = refusal.raw().status().as_u16();
            let kind = kind_of(code, status);
            let cure = match (kind, code) {
                (Throttled, _) => "it asks for less, so we wait longer".to_owned(),
                (Unreachable, _) => "wait until it has recovered".to_owned(),
                (_, "ExpiredTokenException") => "check that the token file is renewed by its volume".to_owned(),
                (_, "ValidationError") => "correct `awsRoleArn`".to_owned(),
                _ => "let the role's trust policy name the server's own identity, and correct `awsRoleArn`".to_owned(),
            };
            (kind, format!("STS refuses `{call}` for {who} with `{code}`: {cure}"))
        }
        SdkError::ResponseError(_) => {
            (BadReply, format!("STS answers `{call}` for {who} with something else: check `AWS_ENDPOINT_URL_STS`"))
        }
        // Not sent: the reason is further inside, or there is none to tell.
        _ => return None,
    })
}
