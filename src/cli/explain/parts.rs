//! What a value is made of, as lines of a table.
//!
//! Not for: the other steps (`chain`).

use serde_json::Value;

use crate::cli::{
    remote::Parts,
    words::{self, known},
};

/// Rows that are told.
pub(super) const MOST: usize = 30;

/// Lines of a table, numbers to the right.
pub(super) fn table(parts: &Parts) -> Vec<String> {
    let cell = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Number(value) => known(value.as_f64()),
        _ => "?".to_owned(),
    };
    if parts.rows.is_empty() {
        return Vec::new();
    }
    let mut cells = vec![parts.columns.clone()];
    cells.extend(parts.rows.iter().take(MOST).map(|row| row.iter().map(cell).collect()));
    let is_number = |column: usize| parts.rows.iter().all(|row| !matches!(row.get(column), Some(Value::String(_))));
    words::table(&cells, usize::MAX, is_number)
}
