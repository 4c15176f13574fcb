//! Which keys of the scaler may come from elsewhere than a trigger's metadata, in KEDA's order for each.

use crate::metadata::{Order, Orders};

pub(super) const REDIS: Orders = &[
    (Order::ReferenceFirst, &["ca", "Cert", "cert", "key", "keyPassword", "tls"]),
    (Order::MetadataFirst, &["address", "addresses", "sentinelUsername", "sentinelPassword", "sentinelMaster"]),
    (Order::ReferenceLast, &["username", "password", "host", "hosts", "port", "ports"]),
    (Order::NeverOfReference, &["databaseIndex", "skipTlsVerify"]),
];
