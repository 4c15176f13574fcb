//! The last quarter of an hour as a picture: a line in a row, a chart on a trigger's own page.
//!
//! Drawn here, so that it is there without a script. What was not read is a gap, never a line at zero.

use std::fmt::Write;

use maud::{Markup, html};

use super::words::{count, number, span};
use crate::sampler::History;

/// A path through `values`, `height` high; corners alone, since a value that stands needs two points.
fn line(values: &[Option<f32>], width: f64, height: f64, top: f64) -> String {
    let step = width / values.len().saturating_sub(1).max(1) as f64;
    let rounded = |number: f64| (number * 10.0).round() / 10.0;
    let y = |value: f32| if top > 0.0 { rounded(height - f64::from(value.max(0.0)) / top * height) } else { height };
    let points: Vec<(f64, Option<f64>)> =
        values.iter().enumerate().map(|(index, value)| (rounded(index as f64 * step), value.map(y))).collect();
    let mut path = String::new();
    for run in points.split(|(_, y)| y.is_none()) {
        let ys: Vec<(f64, f64)> = run.iter().filter_map(|(x, y)| Some((*x, (*y)?))).collect();
        for (index, (x, y)) in ys.iter().enumerate() {
            let y_of = |index: Option<usize>| index.and_then(|index| ys.get(index)).map(|(_, y)| *y);
            let (before, after) = (y_of(index.checked_sub(1)), y_of(Some(index + 1)));
            match (before, after) {
                // One reading alone is a dot.
                (None, None) => write!(path, "M{x} {y}h.1").unwrap_or(()),
                (None, _) => write!(path, "M{x} {y}").unwrap_or(()),
                (Some(before), Some(after)) if before == *y && after == *y => {}
                _ => write!(path, "L{x} {y}").unwrap_or(()),
            }
        }
    }
    path
}

fn largest(values: &[Option<f32>]) -> Option<f32> {
    values.iter().flatten().copied().reduce(f32::max)
}

/// In a row. Its words are in the row's own cells, so it says little.
pub(super) fn spark(values: &[Option<f32>]) -> Markup {
    let Some(top) = largest(values) else { return html! {} };
    let label = format!("largest in 15 minutes: {}", number(f64::from(top)));
    html! {
        svg.spark viewBox="-1 -2 92 24" preserveAspectRatio="none" role="img" aria-label=(label) {
            path d=(line(values, 90.0, 20.0, f64::from(top))) {}
        }
    }
}

const WIDTH: f64 = 900.0;
const HEIGHT: f64 = 150.0;

/// On a trigger's own page: value, activity, pushes and failures; and the same as a table.
pub(super) fn chart(history: &History) -> Markup {
    let top = largest(&history.values);
    let failures: usize = history.failures.iter().map(|count| usize::from(*count)).sum();
    let pushes: usize = history.pushes.iter().map(|count| usize::from(*count)).sum();
    let steps = history.values.len();
    let x = |index: usize| index as f64 * WIDTH / steps.max(1) as f64;
    let width = WIDTH / steps.max(1) as f64;
    let failed = |failures| count(failures, "failed look", "failed looks");
    let label = match top {
        Some(top) => format!(
            "value of the last 15 minutes, at most {}; {}, {}",
            number(f64::from(top)),
            count(pushes, "push", "pushes"),
            failed(failures)
        ),
        None => format!("nothing was read in the last 15 minutes; {}", failed(failures)),
    };
    html! {
        figure.chart {
            svg viewBox=(format!("0 -14 {WIDTH} {}", HEIGHT + 34.0)) preserveAspectRatio="none" role="img" aria-label=(label) {
                @for (index, active) in history.active.iter().enumerate() {
                    @if *active == Some(true) { rect.active x=(x(index)) y="0" width=(width) height=(HEIGHT) {} }
                }
                path.floor d=(format!("M0 {HEIGHT}H{WIDTH}")) {}
                path.value d=(line(&history.values, WIDTH, HEIGHT, top.map_or(0.0, f64::from))) {}
                @for (index, count) in history.pushes.iter().enumerate() {
                    @if *count > 0 { path.push d=(format!("M{} -12h8l-4 9z", x(index) + width / 2.0 - 4.0)) {} }
                }
                @for (index, count) in history.failures.iter().enumerate() {
                    @if *count > 0 { rect.failure x=(x(index)) y=(HEIGHT + 6.0) width=(width - 1.0) height="10" {} }
                }
            }
            figcaption {
                span { "15 min ago" }
                span.legend {
                    span.key.value { "value" @if let Some(top) = top { ", at most " (number(f64::from(top))) } }
                    span.key.active { "active" }
                    span.key.push { "pushed to KEDA: " (pushes) }
                    span.key.failure { "failed looks: " (failures) }
                }
                span { "now" }
            }
        }
        details {
            summary { "As a table" }
            div.scroll tabindex="0" role="region" aria-label="History as a table" {
                table {
                    thead { tr { th scope="col" { "Ago" } th.n scope="col" { "Largest value" } th scope="col" { "Active" } th.n scope="col" { "Pushes" } th.n scope="col" { "Failed looks" } } }
                    tbody {
                        @for (back, index) in (0..steps).rev().enumerate() {
                            @let (value, active) = (history.values.get(index).copied().flatten(), history.active.get(index).copied().flatten());
                            @let (pushes, failures) = (history.pushes.get(index).copied().unwrap_or(0), history.failures.get(index).copied().unwrap_or(0));
                            @if value.is_some() || pushes > 0 || failures > 0 {
                                tr {
                                    td { (span(back as f64 * history.step)) }
                                    td.n { (value.map_or_else(|| "–".to_owned(), |value| number(f64::from(value)))) }
                                    td { (active.map_or("–", |active| if active { "yes" } else { "no" })) }
                                    td.n { (pushes) }
                                    td.n { (failures) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_corners_gaps_and_no_zero_for_what_is_not_known() {
        let draw = |values: &[Option<f32>]| line(values, 10.0 * (values.len() - 1) as f64, 20.0, 4.0);
        assert_eq!(draw(&[Some(0.0), Some(0.0), Some(0.0), Some(4.0)]), "M0 20L20 20L30 0");
        assert_eq!(draw(&[None, Some(2.0), Some(4.0), None, Some(1.0), None]), "M10 10L20 0M40 15h.1");
        assert_eq!(draw(&[None, None]), "");
        assert_eq!(draw(&[None, Some(4.0)]), "M10 0h.1");
        // All zero is a line at the bottom.
        assert_eq!(line(&[Some(0.0), Some(0.0)], 10.0, 20.0, 0.0), "M0 20L10 20");
    }
}
