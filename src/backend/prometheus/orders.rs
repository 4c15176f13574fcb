//! Which keys of the scaler may come from elsewhere than a trigger's metadata, in KEDA's order for each.

use crate::{
    identity::aws::AWS_ORDER,
    metadata::{Order, Orders},
};

pub(super) const PROMETHEUS: Orders = &[
    (
        Order::ReferenceFirst,
        &[
            "bearerToken",
            "token",
            "username",
            "password",
            "ca",
            "cert",
            "key",
            "customAuthHeader",
            "customAuthValue",
            "oauthTokenURI",
            "clientID",
            "clientSecret",
            "scopes",
            "scope",
            "endpointParams",
            "GoogleApplicationCredentials",
            "credentials",
        ],
    ),
    (
        Order::ReferenceLast,
        &[
            "authModes",
            "authMode",
            "awsRegion",
            "apiKey",
            "method",
            "keyParamName",
            "podIdentity",
            "identityId",
            "identityTenantId",
        ],
    ),
    AWS_ORDER,
    (Order::NeverOfReference, &["serverAddress", "skipTlsVerify", "customHeaders"]),
];
