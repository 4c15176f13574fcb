//! Which keys of the scaler may come from elsewhere than a trigger's metadata, in KEDA's order for each.

use crate::{
    identity::aws::AWS_ORDER,
    metadata::{Order, Orders},
};

pub(super) const SQS: Orders =
    &[AWS_ORDER, (Order::ReferenceLast, &["awsRegion"]), (Order::NeverOfReference, &["awsEndpoint"])];
