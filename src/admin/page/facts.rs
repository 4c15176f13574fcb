//! Small tables and lists that several views have.

use maud::{Markup, html};

use super::words::number;
use crate::reading::Cell;

/// Names with what is said of each.
pub(super) fn facts(rows: Vec<(&str, Markup)>) -> Markup {
    html! {
        dl.facts-list {
            @for (name, value) in rows { div { dt { (name) } dd { (value) } } }
        }
    }
}

/// A table that may be wider than the screen; the columns `numeric` are to the right.
pub(super) fn table(label: &str, columns: &[&str], numeric: &[usize], rows: Vec<Vec<Markup>>) -> Markup {
    // The section around it may have the same name.
    let label = format!("{label}: table");
    let class = |column: usize| numeric.contains(&column).then_some("n");
    html! {
        div.scroll tabindex="0" role="region" aria-label=(label) {
            table {
                thead { tr { @for (index, column) in columns.iter().enumerate() { th scope="col" class=[class(index)] { (column) } } } }
                tbody { @for row in rows { tr { @for (index, cell) in row.iter().enumerate() { td class=[class(index)] { (cell) } } } } }
            }
        }
    }
}

/// A cell of what a value is made of.
pub(super) fn cell(cell: &Cell) -> Markup {
    match cell {
        Cell::Text(text) => html! { (super::words::prose(text)) },
        Cell::Number(value) => html! { (number(*value)) },
        Cell::Unknown => html! { span.none { "–" } },
    }
}

/// Some words, each as code.
pub(super) fn codes<'a>(words: impl IntoIterator<Item = &'a str>) -> Markup {
    html! { @for (index, word) in words.into_iter().enumerate() { @if index > 0 { ", " } code { (word) } } }
}
