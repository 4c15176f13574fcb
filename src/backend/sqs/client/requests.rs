//! Counts the requests that go out, those that the SDK repeats too: each one is on the bill.

use aws_sdk_sqs::{
    config::{ConfigBag, Intercept, RuntimeComponents, interceptors::BeforeTransmitInterceptorContextRef},
    error::BoxError,
};

use crate::backend::Account;

/// Whoever sends through it is on this account.
#[derive(Debug)]
pub struct Counted(pub Account);

impl Intercept for Counted {
    fn name(&self) -> &'static str {
        "Counted"
    }

    fn read_before_transmit(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.0.sent(1);
        Ok(())
    }
}
