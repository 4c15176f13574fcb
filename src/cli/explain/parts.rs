//! What a value is made of, as lines of a table.
//!
//! Not for: the other steps (`chain`).

use serde_json::Value;
use unicode_width::UnicodeWidthStr;

use crate::cli::{remote::Parts, words::known};

/// Rows that are told.
pub(super) const MOST: usize = 30;

/// Lines of a table, numbers to the right.
pub(super) fn table(parts: &Parts) -> Vec<String> {
    let cell = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Number(value) => known(value.as_f64()),
        _ => "?".to_owned(),
    };
    let rows: Vec<Vec<String>> = parts.rows.iter().take(MOST).map(|row| row.iter().map(cell).collect()).collect();
    let is_number = |column: usize| parts.rows.iter().all(|row| !matches!(row.get(column), Some(Value::String(_))));
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).chain(parts.columns.get(column));
        cells.map(|cell| cell.width()).max().unwrap_or_default()
    };
    let widths: Vec<(usize, bool)> =
        (0..parts.columns.len()).map(|column| (width(column), is_number(column))).collect();
    let line = |cells: &Vec<String>| {
        let cells = cells.iter().zip(&widths).map(|(cell, (width, right))| {
            let pad = " ".repeat(width.saturating_sub(cell.width()));
            if *right { format!("{pad}{cell}") } else { format!("{cell}{pad}") }
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    if rows.is_empty() {
        return Vec::new();
    }
    std::iter::once(&parts.columns).chain(&rows).map(line).collect()
}
