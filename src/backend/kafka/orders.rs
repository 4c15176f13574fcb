//! Which keys of the scaler may come from elsewhere than a trigger's metadata, in KEDA's order for each.

use crate::{
    identity::aws::AWS_ORDER,
    metadata::{Order, Orders},
};

pub(super) const KAFKA: Orders = &[
    (
        Order::ReferenceFirst,
        &[
            "username",
            "password",
            "ca",
            "cert",
            "key",
            "keyPassword",
            "scopes",
            "oauthTokenEndpointUri",
            "oauthExtensions",
            "keytab",
            "realm",
            "kerberosConfig",
            "kerberosServiceName",
            "kerberosDisableFAST",
        ],
    ),
    (Order::ReferenceLast, &["sasl", "tls", "saslTokenProvider"]),
    AWS_ORDER,
    (Order::NeverOfReference, &["bootstrapServers", "awsRegion", "skipTlsVerify"]),
];
pub(super) const APACHE_KAFKA: Orders = &[
    (Order::ReferenceFirst, &["username", "password", "ca", "cert", "key", "keyPassword"]),
    (Order::Either, &["sasl", "tls"]),
    AWS_ORDER,
    (Order::NeverOfReference, &["bootstrapServers", "awsRegion", "skipTlsVerify"]),
];
