//! Every series of `/metrics`, pushed: counters and gauges are read off the same page, so that each is declared once.
//! Histograms, of which a page has only the buckets, are counted beside it (`telemetry`).

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use opentelemetry::{
    KeyValue, global,
    metrics::{AsyncInstrument, Meter},
};
use parking_lot::Mutex;
use tokio::time::interval;

use crate::{
    task::{self, Task},
    telemetry::METER,
};

/// What a page says, as `OpenMetrics` text.
pub type Page = Arc<dyn Fn() -> String + Send + Sync>;

/// By name.
type Points = BTreeMap<String, Vec<(Vec<KeyValue>, f64)>>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Counter,
    Gauge,
}

/// A series that a page has.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Declared {
    name: String,
    kind: Kind,
    help: String,
}

impl Declared {
    /// As OpenTelemetry writes units, which names have in full.
    fn unit(&self) -> &'static str {
        match self.name.trim_end_matches("_total") {
            name if name.ends_with("_seconds") => "s",
            name if name.ends_with("_bytes") => "By",
            _ => "1",
        }
    }
}

/// Reads `page` each `every`, so that what is pushed is what it said last.
pub(super) fn follow(page: Page, every: Duration) -> Task {
    let (points, known) = (Arc::new(Mutex::new(Points::new())), Arc::new(Mutex::new(BTreeSet::new())));
    task::supervise("otlp metrics", move || {
        let (page, points, known) = (Arc::clone(&page), Arc::clone(&points), Arc::clone(&known));
        async move {
            let (meter, mut ticks) = (global::meter(METER), interval(every));
            loop {
                ticks.tick().await;
                let (kinds, read) = read(&page());
                *points.lock() = read;
                for declared in kinds {
                    if known.lock().insert(declared.name.clone()) {
                        instrument(&meter, declared, &points);
                    }
                }
            }
        }
    })
}

fn instrument(meter: &Meter, declared: Declared, points: &Arc<Mutex<Points>>) {
    let unit = declared.unit();
    let Declared { name, kind, help } = declared;
    let (points, of) = (Arc::clone(points), name.clone());
    let observe = move |instrument: &dyn AsyncInstrument<f64>| {
        for (labels, value) in points.lock().get(&of).into_iter().flatten() {
            instrument.observe(*value, labels);
        }
    };
    match kind {
        Kind::Counter => {
            let counter = meter.f64_observable_counter(name).with_unit(unit).with_description(help);
            counter.with_callback(observe).build();
        }
        Kind::Gauge => {
            let gauge = meter.f64_observable_gauge(name).with_unit(unit).with_description(help);
            gauge.with_callback(observe).build();
        }
    }
}

/// The names on a page that are no histogram's, and their points.
fn read(page: &str) -> (Vec<Declared>, Points) {
    let (mut kinds, mut points) = (Vec::new(), Points::new());
    let (mut kind, mut help) = (None, "");
    for line in page.lines() {
        if let Some(head) = line.strip_prefix("# HELP ") {
            // It comes before the type.
            help = head.split_once(' ').map_or("", |(_, help)| help);
        } else if let Some(head) = line.strip_prefix("# TYPE ") {
            kind = head.split_once(' ').and_then(|(name, kind)| match kind {
                "counter" => Some((format!("{name}_total"), Kind::Counter)),
                "gauge" => Some((name.to_owned(), Kind::Gauge)),
                "info" => Some((format!("{name}_info"), Kind::Gauge)),
                _ => None,
            });
            kinds.extend(kind.clone().map(|(name, kind)| Declared { name, kind, help: help.to_owned() }));
        } else if let Some((name, _)) = kind.as_ref().filter(|_| !line.starts_with('#'))
            && let Some(rest) = line.strip_prefix(name.as_str())
            && let Some(point) = point(rest)
        {
            points.entry(name.clone()).or_default().push(point);
        }
    }
    (kinds, points)
}

/// `{key="value",…} 1.0`, or without labels.
fn point(rest: &str) -> Option<(Vec<KeyValue>, f64)> {
    let mut labels = Vec::new();
    let mut rest = rest;
    if let Some(mut inside) = rest.strip_prefix('{') {
        loop {
            let (key, tail) = inside.split_once("=\"")?;
            let (value, tail) = unescaped(tail)?;
            labels.push(KeyValue::new(key.to_owned(), value));
            if let Some(tail) = tail.strip_prefix('}') {
                rest = tail;
                break;
            }
            inside = tail.strip_prefix(',')?;
        }
    }
    Some((labels, rest.trim().split(' ').next()?.parse().ok()?))
}

/// A label's value up to its closing quote, and what follows.
fn unescaped(text: &str) -> Option<(String, &str)> {
    let (mut value, mut chars) = (String::new(), text.char_indices());
    loop {
        match chars.next()? {
            (at, '"') => return Some((value, text.get(at + 1..)?)),
            (_, '\\') => match chars.next()?.1 {
                'n' => value.push('\n'),
                other => value.push(other),
            },
            (_, other) => value.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_read_with_its_labels_and_without_its_histograms() {
        let page = "# HELP a_b About.\n# TYPE a_b counter\na_b_total{x=\"1\",y=\"a \\\"b\\\\ }, \\n\"} 3\na_b_total{x=\"2\"} 4\n\
                    # TYPE c histogram\nc_sum 1.0\nc_bucket{le=\"+Inf\"} 1 # {trace_id=\"x\"} 1.0\n\
                    # TYPE d info\nd_info{version=\"1\"} 1\n# TYPE e_seconds gauge\ne_seconds 2.5\n# EOF\n";
        let (kinds, points) = read(page);
        let names: Vec<&str> = kinds.iter().map(|declared| declared.name.as_str()).collect();
        assert_eq!(names, ["a_b_total", "d_info", "e_seconds"]);
        assert_eq!((kinds[0].help.as_str(), kinds[0].unit(), kinds[2].unit()), ("About.", "1", "s"));
        let label = |key: &'static str, value: &'static str| KeyValue::new(key, value);
        let of_a = [(vec![label("x", "1"), label("y", "a \"b\\ }, \n")], 3.0), (vec![label("x", "2")], 4.0)];
        assert_eq!(points["a_b_total"], of_a);
        assert_eq!(points["e_seconds"], [(vec![], 2.5)]);
        assert_eq!(points.len(), 3);
    }
}
