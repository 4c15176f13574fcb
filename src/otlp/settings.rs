//! What the standard `OTEL_…` variables say, as far as a mistake in them would else go unseen: the SDK passes over what it
//! cannot read.
//!
//! Not for: what the exporters read by themselves once it is known to be right (endpoints, headers, times, sizes).

use opentelemetry_otlp::Protocol;

use crate::{error::quoted, net::http::Url};

/// Which signals go where.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Settings {
    pub(super) traces: Option<Target>,
    pub(super) metrics: Option<Target>,
    /// Nobody says what the service is called.
    pub(super) unnamed: bool,
    /// PEM files, by what they are for.
    pub(super) files: Files,
}

/// Where one signal goes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) protocol: Protocol,
    /// For people: without a user part.
    pub(super) place: String,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Files {
    pub(super) ca: Option<String>,
    pub(super) certificate: Option<String>,
    pub(super) key: Option<String>,
}

/// A variable that cannot be followed: its name and the cure, and nothing of a value that may be secret.
type Wrong = String;

const SIGNALS: [&str; 2] = ["TRACES", "METRICS"];

const SAMPLERS: [&str; 6] = [
    "always_on",
    "always_off",
    "traceidratio",
    "parentbased_always_on",
    "parentbased_always_off",
    "parentbased_traceidratio",
];

/// Whole numbers, and the most that each may be.
const NUMBERS: [(&str, u64); 12] = [
    ("OTEL_EXPORTER_OTLP_TIMEOUT", HOUR),
    ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", HOUR),
    ("OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", HOUR),
    ("OTEL_METRIC_EXPORT_INTERVAL", HOUR),
    ("OTEL_METRIC_EXPORT_TIMEOUT", HOUR),
    ("OTEL_BSP_SCHEDULE_DELAY", HOUR),
    ("OTEL_BSP_EXPORT_TIMEOUT", HOUR),
    ("OTEL_BSP_MAX_QUEUE_SIZE", SPANS),
    ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", SPANS),
    ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", SPANS),
    ("OTEL_SPAN_EVENT_COUNT_LIMIT", SPANS),
    ("OTEL_SPAN_LINK_COUNT_LIMIT", SPANS),
];

/// In milliseconds.
const HOUR: u64 = 3_600_000;
/// A span has about 1 KiB.
const SPANS: u64 = 100_000;

impl Settings {
    /// What the variables say that `given` gives; one that is empty is not set.
    pub(super) fn of(given: impl Fn(&str) -> Option<String>) -> Result<Self, Wrong> {
        let get = |name: &str| given(name).filter(|value| !value.trim().is_empty());
        let disabled = one_of(&get, "OTEL_SDK_DISABLED", &["true", "false"])?;
        if disabled.is_some_and(|disabled| disabled == "true") {
            return Ok(Self::default());
        }
        let [traces, metrics] = SIGNALS.map(|signal| Target::of(signal, &get));
        let (traces, metrics) = (traces?, metrics?);
        if traces.is_none() && metrics.is_none() {
            return Ok(Self::default());
        }
        check(&get)?;
        let unnamed = get("OTEL_SERVICE_NAME").is_none()
            && !get("OTEL_RESOURCE_ATTRIBUTES").is_some_and(|given| given.contains("service.name="));
        let files = Files {
            ca: get("OTEL_EXPORTER_OTLP_CERTIFICATE"),
            certificate: get("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE"),
            key: get("OTEL_EXPORTER_OTLP_CLIENT_KEY"),
        };
        if files.certificate.is_some() != files.key.is_some() {
            return Err("`OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE` and `OTEL_EXPORTER_OTLP_CLIENT_KEY` go together: \
                        set both or neither"
                .to_owned());
        }
        Ok(Self { traces, metrics, unnamed, files })
    }
}

impl Target {
    fn of(signal: &str, get: &impl Fn(&str) -> Option<String>) -> Result<Option<Self>, Wrong> {
        let own = format!("OTEL_EXPORTER_OTLP_{signal}_ENDPOINT");
        let endpoint =
            [own.as_str(), "OTEL_EXPORTER_OTLP_ENDPOINT"].into_iter().find_map(|name| Some((name, get(name)?)));
        let name = format!("OTEL_{signal}_EXPORTER");
        // Whoever scrapes does so at `/metrics` in any case.
        let known = if signal == "METRICS" { &["otlp", "none", "prometheus"][..] } else { &["otlp", "none"] };
        match (one_of(get, &name, known)?.as_deref(), &endpoint) {
            (Some("otlp"), _) | (None, Some(_)) => {}
            _ => return Ok(None),
        }
        let own = format!("OTEL_EXPORTER_OTLP_{signal}_PROTOCOL");
        let words = ["grpc", "http/protobuf"];
        let stated = match one_of(get, &own, &words)? {
            Some(stated) => Some(stated),
            None => one_of(get, "OTEL_EXPORTER_OTLP_PROTOCOL", &words)?,
        };
        let url = endpoint.map(|(name, endpoint)| url(name, &endpoint)).transpose()?;
        let grpc = match stated.as_deref() {
            Some(stated) => stated == "grpc",
            // Nobody says: each has its port.
            None => url.as_ref().and_then(Url::port) == Some(4317),
        };
        let (protocol, default) = if grpc {
            (Protocol::Grpc, "http://localhost:4317")
        } else {
            (Protocol::HttpBinary, "http://localhost:4318")
        };
        let place = url.map_or_else(|| default.to_owned(), |url| url.origin().ascii_serialization());
        Ok(Some(Self { protocol, place }))
    }
}

/// What the SDK and its exporters read by themselves.
fn check(get: &impl Fn(&str) -> Option<String>) -> Result<(), Wrong> {
    for (name, most) in NUMBERS {
        let Some(value) = get(name) else { continue };
        if !value.trim().parse::<u64>().is_ok_and(|number| number <= most) {
            return Err(format!("`{name}` is {}: it must be a whole number, {most} at most", quoted(&value)));
        }
    }
    let sampler = one_of(get, "OTEL_TRACES_SAMPLER", &SAMPLERS)?;
    if sampler.is_some_and(|sampler| sampler.ends_with("traceidratio"))
        && let Some(ratio) = get("OTEL_TRACES_SAMPLER_ARG")
        && !ratio.trim().parse::<f64>().is_ok_and(|ratio| (0.0..=1.0).contains(&ratio))
    {
        return Err(format!("`OTEL_TRACES_SAMPLER_ARG` is {}: it must be a number from 0 to 1", quoted(&ratio)));
    }
    if let Some(propagators) = get("OTEL_PROPAGATORS") {
        for name in propagators.split(',').map(str::trim) {
            if !["tracecontext", "baggage", "none"].contains(&name) {
                return Err(format!(
                    "`OTEL_PROPAGATORS` has {}: this server goes by `tracecontext` alone (`baggage` is passed over)",
                    quoted(name)
                ));
            }
        }
    }
    for of in ["", "TRACES_", "METRICS_"] {
        one_of(get, &format!("OTEL_EXPORTER_OTLP_{of}COMPRESSION"), &["gzip", "none"])?;
        headers(get, &format!("OTEL_EXPORTER_OTLP_{of}HEADERS"))?;
    }
    let words = ["cumulative", "delta", "lowmemory"];
    one_of(get, "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", &words)?;
    Ok(())
}

fn one_of(get: &impl Fn(&str) -> Option<String>, name: &str, words: &[&str]) -> Result<Option<String>, Wrong> {
    let Some(value) = get(name) else { return Ok(None) };
    let value = value.trim().to_ascii_lowercase();
    if words.contains(&value.as_str()) {
        return Ok(Some(value));
    }
    let words: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    Err(format!("`{name}` is {}: it must be one of {}", quoted(&value), words.join(", ")))
}

/// Nothing of the value is shown: it may have a login in it.
fn url(name: &str, value: &str) -> Result<Url, Wrong> {
    let wrong = || format!("`{name}` is no address: it must be `http://HOST:PORT` or `https://HOST:PORT`");
    let url: Url = value.trim().parse().map_err(|_| wrong())?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(wrong());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(format!(
            "`{name}` has a login in it: give that in `OTEL_EXPORTER_OTLP_HEADERS` (`authorization=Basic …`)"
        ));
    }
    Ok(url)
}

/// Nothing of the values is shown: they are secrets.
fn headers(get: &impl Fn(&str) -> Option<String>, name: &str) -> Result<(), Wrong> {
    for (place, entry) in get(name).iter().flat_map(|given| given.split(',')).enumerate() {
        let key = entry.split_once('=').map(|(key, _)| key.trim());
        let legal =
            |key: &str| !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
        if !key.is_some_and(legal) {
            let place = place + 1;
            return Err(format!("`{name}` has no `name=value` as its entry {place}: separate `name=value` by commas"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(given: &[(&str, &str)]) -> Result<Settings, String> {
        Settings::of(|name| given.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()))
    }

    const TO: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4317");

    #[track_caller]
    fn refuses(given: &[(&str, &str)], words: &[&str]) {
        let wrong = of(&[&[TO], given].concat()).expect_err("it is wrong");
        for word in words {
            assert!(wrong.contains(word), "{word} in {wrong}");
        }
        assert!(!wrong.contains("s3cret"), "{wrong}");
    }

    #[test]
    fn nothing_is_sent_unless_somebody_says_so() {
        for off in [&[][..], &[("OTEL_SERVICE_NAME", "x")], &[TO, ("OTEL_SDK_DISABLED", "TRUE")]] {
            assert_eq!(of(off), Ok(Settings::default()), "{off:?}");
        }
        let both = of(&[TO]).expect("right");
        assert!(both.traces.is_some() && both.metrics.is_some() && both.unnamed);
        let traces = of(&[TO, ("OTEL_METRICS_EXPORTER", "prometheus"), ("OTEL_SERVICE_NAME", "x")]).expect("right");
        assert!(traces.traces.is_some() && traces.metrics.is_none() && !traces.unnamed);
        let metrics = of(&[("OTEL_METRICS_EXPORTER", "otlp")]).expect("right").metrics.expect("wanted");
        assert_eq!((metrics.protocol, metrics.place.as_str()), (Protocol::HttpBinary, "http://localhost:4318"));
    }

    #[test]
    fn the_protocol_is_the_one_that_is_said_or_that_of_the_port() {
        let protocol = |given: &[(&str, &str)]| of(given).expect("right").traces.expect("wanted").protocol;
        assert_eq!(protocol(&[TO]), Protocol::Grpc);
        assert_eq!(
            protocol(&[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://collector/v1/traces")]),
            Protocol::HttpBinary
        );
        assert_eq!(protocol(&[TO, ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")]), Protocol::HttpBinary);
        let own =
            [TO, ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"), ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "grpc")];
        assert_eq!(protocol(&own), Protocol::Grpc);
    }

    #[test]
    fn what_cannot_be_followed_is_told_with_its_name_and_the_cure_and_no_secret() {
        refuses(&[("OTEL_SDK_DISABLED", "yes")], &["`OTEL_SDK_DISABLED`", "`true`"]);
        refuses(&[("OTEL_TRACES_EXPORTER", "zipkin")], &["`OTEL_TRACES_EXPORTER`", "`otlp`", "`none`"]);
        refuses(&[("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")], &["`OTEL_EXPORTER_OTLP_PROTOCOL`", "`http/protobuf`"]);
        refuses(&[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "collector:4317")], &["`OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`"]);
        refuses(&[("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://a:s3cret@b")], &["METRICS_ENDPOINT`", "HEADERS"]);
        refuses(&[("OTEL_EXPORTER_OTLP_HEADERS", "a=b,s3cret")], &["`OTEL_EXPORTER_OTLP_HEADERS`", "entry 2"]);
        refuses(&[("OTEL_TRACES_SAMPLER", "sometimes")], &["`OTEL_TRACES_SAMPLER`", "`traceidratio`"]);
        let ratio = [("OTEL_TRACES_SAMPLER", "traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "10%")];
        refuses(&ratio, &["`OTEL_TRACES_SAMPLER_ARG`", "from 0 to 1"]);
        refuses(&[("OTEL_BSP_MAX_QUEUE_SIZE", "1000000000")], &["`OTEL_BSP_MAX_QUEUE_SIZE`", "at most"]);
        refuses(&[("OTEL_METRIC_EXPORT_INTERVAL", "10s")], &["`OTEL_METRIC_EXPORT_INTERVAL`", "whole number"]);
        refuses(&[("OTEL_EXPORTER_OTLP_COMPRESSION", "brotli")], &["COMPRESSION`", "`gzip`"]);
        refuses(&[("OTEL_PROPAGATORS", "b3")], &["`OTEL_PROPAGATORS`", "`tracecontext`"]);
        refuses(&[("OTEL_EXPORTER_OTLP_CLIENT_KEY", "/s3cret.pem")], &["CLIENT_CERTIFICATE`", "both"]);
        refuses(&[("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "x")], &["`delta`"]);
    }
}
