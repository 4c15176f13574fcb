//! What a run has found: a table for people, `target/faults.md`, and the same for programs, `target/faults.json`.

use std::{fs, time::Duration};

use serde_json::json;

use crate::cell::Cell;

/// A row of the table.
pub fn row(cell: &Cell) -> String {
    let time = |took: Option<Duration>| took.map_or("never".to_owned(), |took| format!("{} ms", took.as_millis()));
    format!(
        "| {} | {} | {} | {} | {} | {:.1} ms | {:.1} ms | {:.1} MB |",
        cell.broker,
        cell.fault.name(),
        cell.told.map_or("nothing".to_owned(), |code| format!("{code:?}")),
        time(cell.right),
        if cell.woken == Some(Duration::ZERO) { "meanwhile".to_owned() } else { time(cell.woken) },
        cell.harm.troubled_ms,
        cell.harm.calm_ms,
        cell.memory_mb,
    )
}

/// Writes the table and its twin.
pub fn write(cells: &[Cell]) {
    let head = "| Broker | Fault | KEDA was told | Right again | Woken | p99 of the others | without | Memory |";
    let lines = [head.to_owned(), "|---|---|---|---|---|---|---|---|".to_owned()];
    let table: Vec<String> = lines.into_iter().chain(cells.iter().map(row)).collect();
    fs::write("target/faults.md", table.join("\n") + "\n").unwrap();
    let rows = cells.iter().map(|cell| {
        json!({
            "broker": cell.broker,
            "fault": cell.fault.name(),
            "told": cell.told.map(|code| format!("{code:?}")),
            "right_ms": cell.right.map(|took| took.as_millis()),
            "woken_ms": cell.woken.map(|took| took.as_millis()),
            "others_p99_ms": cell.harm.troubled_ms,
            "others_p99_without_ms": cell.harm.calm_ms,
            "memory_mb": cell.memory_mb,
        })
    });
    fs::write("target/faults.json", serde_json::to_string_pretty(&rows.collect::<Vec<_>>()).unwrap()).unwrap();
}
