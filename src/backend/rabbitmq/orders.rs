//! Which keys of the scaler may come from elsewhere than a trigger's metadata, in KEDA's order for each.

use crate::metadata::{Order, Orders};

pub(super) const RABBITMQ: Orders = &[
    (
        Order::ReferenceFirst,
        &[
            "username",
            "password",
            "ca",
            "cert",
            "key",
            "keyPassword",
            "tls",
            "workloadIdentityResource",
            "oauthTokenURI",
            "clientID",
            "clientSecret",
            "scopes",
            "scope",
            "endpointParams",
        ],
    ),
    (Order::MetadataFirst, &["host"]),
    (Order::ReferenceLast, &["protocol", "vhostName", "podIdentity", "identityId", "identityTenantId"]),
    (Order::NeverOfReference, &["skipTlsVerify"]),
];
