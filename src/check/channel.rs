//! KEDA's own way to an external scaler: where it is, and with which TLS.
//!
//! Not for: TLS towards brokers (`metadata.rs`).

use super::{
    finding::{Pen, named},
    login,
    metadata::{Followed, metadata_of},
    rules,
    world::World,
};
use crate::{
    manifest::{Node, Object, Scaled, Trigger},
    metadata::parse_boolean,
};

/// What a trigger of type `external` or `external-push` says to KEDA itself.
pub fn check(
    world: &World<'_, '_>,
    scaled: &Scaled<'_, '_>,
    trigger: &Trigger<'_, '_>,
    followed: Option<&Followed>,
    pen: &mut Pen<'_>,
) {
    if !trigger.is_external() {
        return;
    }
    address(world, scaled, trigger, pen);
    let flags = ["enableTLS", "unsafeSsl"].map(|key| flag(trigger, key, pen));
    if let Some(followed) = followed {
        meant_for_broker(world, scaled, trigger, followed, flags, pen);
    }
    for key in ["caCert", "tlsClientCert", "tlsClientKey"] {
        if let Some((node, _)) = trigger.metadata.and_then(|metadata| metadata.entry(key)) {
            let what = format!("KEDA reads `{key}` from an `authenticationRef` only: here it has no effect");
            pen.say(&rules::CHANNEL_SECRET, node, what, format!("let a TriggerAuthentication give `{key}`"));
        }
    }
}

fn address(world: &World<'_, '_>, scaled: &Scaled<'_, '_>, trigger: &Trigger<'_, '_>, pen: &mut Pen<'_>) {
    let cure = "write `scalerAddress: SERVICE.NAMESPACE.svc:6000`";
    let Some((node, text)) = trigger
        .metadata
        .and_then(|metadata| metadata.get("scalerAddress"))
        .and_then(|node| Some((node, node.written()?.trim())))
    else {
        pen.say(&rules::NO_ADDRESS, metadata_of(trigger), "`scalerAddress` is required: it is where KEDA asks", cure);
        return;
    };
    let bare = text.strip_prefix("dns:///").unwrap_or(text);
    if ["http://", "https://", "grpc://", "tcp://"].iter().any(|scheme| text.starts_with(scheme)) {
        pen.say(
            &rules::NO_ADDRESS,
            node,
            format!("`scalerAddress` {} is a URL: KEDA takes host and port", named(text)),
            cure,
        );
        return;
    }
    if text.starts_with("unix:") || text.starts_with("passthrough:") {
        return;
    }
    let port =
        bare.rsplit_once(':').filter(|(host, _)| !host.is_empty()).and_then(|(_, port)| port.parse::<u16>().ok());
    if port.is_none_or(|port| port == 0) {
        let what = match text {
            "" => "`scalerAddress` is empty".to_owned(),
            _ => format!("`scalerAddress` {} has no port: gRPC then takes 443", named(text)),
        };
        pen.say(&rules::NO_ADDRESS, node, what, cure);
        return;
    }
    if let Some(service) = service(world, scaled, bare) {
        let headless = service.node.at_path(&["spec", "clusterIP"]).and_then(Node::written) == Some("None");
        let by_name = service.node.at_path(&["spec", "type"]).and_then(Node::written) == Some("ExternalName");
        if !headless && !by_name {
            let what = format!(
                "Service {} has an IP of its own: KEDA keeps one connection to it, so one replica is asked by all and the others by nobody",
                named(service.name)
            );
            pen.say(&rules::CLUSTER_IP, node, what, "set `clusterIP: None` on the Service (it must be made anew)");
        }
    }
}

/// The Service of the input that `address` names.
fn service<'m, 't>(world: &World<'m, 't>, scaled: &Scaled<'_, '_>, address: &str) -> Option<Object<'m, 't>> {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    let mut parts = host.split('.');
    let (name, namespace) = (parts.next()?, parts.next());
    let found = |object: &&Object<'m, 't>| {
        let place = namespace.unwrap_or(scaled.object.namespace);
        object.kind == "Service"
            && object.name == name
            && (object.namespace == place || object.namespace.is_empty() || place.is_empty())
    };
    world.others.iter().find(found).copied()
}

/// A truth value of KEDA's own.
fn flag<'m, 't>(trigger: &Trigger<'m, 't>, key: &str, pen: &mut Pen<'_>) -> Option<(Node<'m, 't>, bool)> {
    let (name, value) = trigger.metadata?.entry(key)?;
    let text = value.written()?.trim();
    match parse_boolean(text) {
        _ if text.is_empty() => None,
        Some(on) => Some((name, on)),
        None => {
            pen.say(
                &rules::CHANNEL_KEY,
                value,
                format!("`{key}` must be `true` or `false`: KEDA refuses the trigger"),
                "correct it",
            );
            None
        }
    }
}

/// In a built-in trigger these two are about the broker, in an external one about KEDA's channel.
fn meant_for_broker(
    world: &World<'_, '_>,
    scaled: &Scaled<'_, '_>,
    trigger: &Trigger<'_, '_>,
    followed: &Followed,
    [tls, unsafe_ssl]: [Option<(Node<'_, '_>, bool)>; 2],
    pen: &mut Pen<'_>,
) {
    let has = |key: &str| {
        followed.metadata.contains_key(key)
            || followed.supply.known.get(key).is_some()
            || followed.supply.given.contains(key)
    };
    let broker_tls = has("tls")
        || followed.metadata.values().any(|value| {
            ["https://", "amqps://", "rediss://", "valkeys://"].iter().any(|scheme| value.contains(scheme))
        });
    // Who has given KEDA a certificate for it means the channel.
    let channel_ca = login::references(trigger).iter().any(|reference| match login::target(world, scaled, reference) {
        None => true,
        Some(object) => {
            login::parameters(&object).0.iter().any(|given| matches!(given.parameter, "caCert" | "tlsClientCert"))
        }
    });
    let on = matches!(tls, Some((_, true)));
    if let Some((node, true)) = tls
        && !channel_ca
        && !broker_tls
        && followed.examined.known.contains(&"tls")
    {
        let what = "`enableTLS` is about KEDA's channel to this server, and no CA is given for that: towards the broker it says nothing";
        pen.say(
            &rules::MEANT_FOR_BROKER,
            node,
            what,
            "for TLS towards the broker write `tls: enable`; for the channel alone, let an `authenticationRef` give `caCert`, or write `tls: disable` too",
        );
    }
    if let Some((node, true)) = unsafe_ssl
        && (!on || !channel_ca)
        && !has("skipTlsVerify")
    {
        let what = if on {
            "`unsafeSsl` is about KEDA's channel to this server: towards the broker it says nothing"
        } else {
            "`unsafeSsl` is about KEDA's channel to this server, where without `enableTLS` it has no effect; towards the broker it says nothing"
        };
        pen.say(&rules::MEANT_FOR_BROKER, node, what, "for the broker write `skipTlsVerify`");
    }
}
