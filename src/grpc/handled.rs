//! One call, counted: in when its head has come, and out, with its code, when its answer has been taken or given up.

use std::sync::Arc;

use tokio::time::Instant;
use tonic::{Code, codegen::http::HeaderMap};

use crate::telemetry::{Method, Metrics, spans::Kept};

/// Counts the call out when it is dropped.
#[derive(Debug)]
pub(super) struct Handled {
    /// None of a method that nobody serves.
    of: Option<(Method, Arc<Metrics>)>,
    began: Instant,
    /// Nobody has waited for the end, until one is seen.
    code: Code,
    pub(super) span: Kept,
}

impl Handled {
    /// The call to `path` begins.
    pub(super) fn begin(metrics: &Arc<Metrics>, path: &str, headers: &HeaderMap) -> Self {
        let of = Method::of(path).map(|method| (method, Arc::clone(metrics)));
        let header = |name: &str| headers.get(name)?.to_str().ok().map(str::to_owned);
        let span = of.as_ref().map_or_else(Kept::default, |(method, metrics)| {
            metrics.call_started(*method);
            Kept::call(*method, header)
        });
        Self { of, began: Instant::now(), code: Code::Cancelled, span }
    }

    /// It ends with `code`.
    pub(super) fn ends(&mut self, code: Code) {
        self.code = code;
    }

    /// Headers or trailers of the answer, one of which has the code.
    pub(super) fn look(&mut self, headers: &HeaderMap) {
        if let Some(code) = headers.get("grpc-status") {
            self.code = Code::from_bytes(code.as_bytes());
        }
    }
}

impl Drop for Handled {
    fn drop(&mut self) {
        if let Some((method, metrics)) = &self.of {
            let code = usize::try_from(i32::from(self.code)).unwrap_or(usize::MAX);
            metrics.call_handled(*method, code, self.began.elapsed(), self.span.ended(code));
        }
    }
}
