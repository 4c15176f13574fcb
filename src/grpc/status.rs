//! Our errors as gRPC statuses. KEDA shows the text as an event, so it is the error's own and nothing is added.

use tonic::{Code, Status};

use crate::{
    error::{ReadError, ReadErrorKind, SpecError},
    sampler::AskError,
};

pub(super) fn of_spec(error: &SpecError) -> Status {
    Status::invalid_argument(error.to_string())
}

pub(super) fn of_read(error: &ReadError) -> Status {
    let code = match error.kind {
        ReadErrorKind::Unreachable | ReadErrorKind::Throttled => Code::Unavailable,
        ReadErrorKind::Timeout => Code::DeadlineExceeded,
        ReadErrorKind::Denied | ReadErrorKind::NotFound | ReadErrorKind::BadReply => Code::FailedPrecondition,
        ReadErrorKind::Invalid => Code::InvalidArgument,
        ReadErrorKind::Internal => Code::Internal,
    };
    Status::new(code, error.to_string())
}

pub(super) fn of_ask(error: &AskError) -> Status {
    match error {
        AskError::Spec(error) => of_spec(error),
        AskError::Full(full) => Status::resource_exhausted(full.to_string()),
        AskError::Read(error) => of_read(error),
    }
}
