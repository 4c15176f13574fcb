//! KEDA's own series, as its operator shows them to Prometheus: the value of each trigger and how many of its reads have failed.
//!
//! Not for: series of ours, or any other text of that form.

use std::{collections::HashMap, time::Duration};

use crate::{
    cli::exit::Unusable,
    error::quoted,
    net::{
        Reach,
        http::{Http, Method, Request, Url, place},
    },
};

/// The value that the HPA is told.
const VALUE: &str = "keda_scaler_metrics_value";
/// Reads that have failed.
const ERRORS: &str = "keda_scaler_detail_errors_total";
/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(15);
/// The largest: some 1 KiB of all series for each trigger.
const MOST: usize = 64 << 20;

/// Which trigger: kind, namespace, name, index.
pub(super) type Of = (&'static str, String, String, usize);

/// What KEDA says of one trigger.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Said {
    /// The metric's name, with KEDA's prefix.
    pub metric: String,
    pub value: Option<f64>,
    pub errors: f64,
}

/// Where KEDA's operator shows its series.
#[derive(Debug)]
pub(super) struct Series {
    http: Http,
    url: Url,
}

impl Series {
    pub(super) fn new(url: &str) -> Result<Self, Unusable> {
        let text = if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
        let mut parsed = Url::parse(&text)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.host().is_some())
            .ok_or_else(|| Unusable(format!("`--keda-metrics`: `{}` is no address", quoted(url))))?;
        if parsed.path() == "/" {
            parsed.set_path("/metrics");
        }
        let http = Http::of_system(Reach::of_operator()).map_err(|error| Unusable(error.to_string()))?;
        Ok(Self { http: http.taking(MOST), url: parsed })
    }

    /// All of them, as they are now.
    pub(super) async fn read(&self) -> Result<HashMap<Of, Said>, String> {
        let shown = place(&self.url);
        let answer = self.http.send(Request::new(Method::GET, self.url.clone()), ANSWER).await;
        let answer = answer.map_err(|error| format!("`--keda-metrics`: {error}"))?;
        if !answer.status.is_success() {
            return Err(format!("`--keda-metrics`: {shown} answers {}", answer.status));
        }
        let text = String::from_utf8_lossy(&answer.body);
        if !text.lines().any(|line| line.starts_with("# TYPE keda_") || line.starts_with("keda_")) {
            return Err(format!(
                "`--keda-metrics`: what {shown} shows has no series of KEDA's, give the metrics port of `keda-operator` (8080)"
            ));
        }
        Ok(understood(&text))
    }
}

fn understood(text: &str) -> HashMap<Of, Said> {
    let mut all: HashMap<Of, Said> = HashMap::new();
    for line in text.lines() {
        let Some((name, rest)) = line.split_once('{') else { continue };
        if name != VALUE && name != ERRORS {
            continue;
        }
        let Some((labels, value)) = labels(rest) else { continue };
        let label = |name: &str| labels.iter().find(|(label, _)| label == name).map(|(_, value)| value.as_str());
        let kind = match label("type") {
            Some("scaledjob") => "ScaledJob",
            _ => "ScaledObject",
        };
        let (Some(namespace), Some(object), Some(index)) =
            (label("namespace"), label("scaledObject"), label("triggerIndex").and_then(|index| index.parse().ok()))
        else {
            continue;
        };
        let said = all.entry((kind, namespace.to_owned(), object.to_owned(), index)).or_default();
        let metric = label("metric").unwrap_or_default();
        if name == ERRORS {
            said.errors += value;
        } else if metric != "composite-metric" {
            // What a formula makes of all triggers stands under the first one's index.
            (said.metric, said.value) = (metric.to_owned(), Some(value).filter(|value| value.is_finite()));
        }
    }
    all
}

type Labels = Vec<(String, String)>;

/// Labels up to the brace that ends them, and the number behind it.
fn labels(text: &str) -> Option<(Labels, f64)> {
    let mut labels = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches([',', ' ']);
        if let Some(after) = rest.strip_prefix('}') {
            return Some((labels, after.split_ascii_whitespace().next()?.parse().ok()?));
        }
        let (name, after) = rest.split_once("=\"")?;
        let mut value = String::new();
        let mut chars = after.char_indices();
        let end = loop {
            match chars.next()? {
                (at, '"') => break at,
                (_, '\\') => match chars.next()?.1 {
                    'n' => value.push('\n'),
                    other => value.push(other),
                },
                (_, other) => value.push(other),
            }
        };
        labels.push((name.to_owned(), value));
        rest = after.get(end + 1..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As KEDA 2.21's operator shows them.
    const SHOWN: &str = r#"# HELP keda_scaler_metrics_value The current value for each scaler's metric that would be used by the HPA in computing the target average.
# TYPE keda_scaler_metrics_value gauge
keda_scaler_metrics_value{metric="s0-redis-jobs",namespace="shop",scaledObject="orders",scaler="redisScaler",triggerIndex="0",type="scaledobject"} 42
keda_scaler_metrics_value{metric="s1-kafka-a\\b\"c}",namespace="shop",scaledObject="orders",scaler="x",triggerIndex="1",type="scaledobject"} 1.5e+06
keda_scaler_metrics_value{metric="composite-metric",namespace="shop",scaledObject="orders",scaler="composite-metric",triggerIndex="0",type="scaledobject"} 7
keda_scaler_metrics_value{metric="s0-rabbitmq-mails",namespace="shop",scaledObject="mails",scaler="rabbitMQScaler",triggerIndex="0",type="scaledjob"} NaN
keda_scaler_detail_errors_total{metric="s0-redis-jobs",namespace="shop",scaledObject="orders",scaler="redisScaler",triggerIndex="0",type="scaledobject"} 3
keda_scaler_active{metric="s0-redis-jobs",namespace="shop",scaledObject="orders",scaler="redisScaler",triggerIndex="0",type="scaledobject"} 1
go_goroutines 12
keda_scaler_metrics_value{broken
"#;

    #[test]
    fn kedas_series_are_read_as_its_operator_writes_them() {
        let all = understood(SHOWN);
        let of = |kind, name: &str, index| all[&(kind, "shop".to_owned(), name.to_owned(), index)].clone();
        assert_eq!(
            of("ScaledObject", "orders", 0),
            Said { metric: "s0-redis-jobs".into(), value: Some(42.0), errors: 3.0 }
        );
        let odd = of("ScaledObject", "orders", 1);
        assert_eq!((odd.metric.as_str(), odd.value), ("s1-kafka-a\\b\"c}", Some(1.5e6)));
        assert_eq!(of("ScaledJob", "mails", 0).value, None, "not a number is no value");
        assert_eq!(all.len(), 3);
    }
}
