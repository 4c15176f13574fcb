//! What a run has found: a table for people, `target/faults.md`, and the same for programs, `target/faults.json`.

use std::{fs, time::Duration};

use serde_json::json;

use crate::cell::Cell;

/// A row of the table.
pub fn row(cell: &Cell) -> String {
    let time = |took: Option<Duration>| took.map_or("never".to_owned(), |took| format!("{} ms", took.as_millis()));
    let harm = cell.harm.usual();
    format!(
        "| {} | {} | {} | {} | {} | {:.1} ms | {:.1} ms | {:.1} MB |",
        cell.broker,
        cell.fault.name(),
        cell.told.map_or("nothing".to_owned(), |code| format!("{code:?}")),
        time(cell.right),
        if cell.woken == Some(Duration::ZERO) { "meanwhile".to_owned() } else { time(cell.woken) },
        harm.troubled_ms,
        harm.calm_ms,
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
            "others_p99_by_second_ms": cell.harm.seconds.iter().map(|second| second.troubled_ms).collect::<Vec<_>>(),
            "others_p99_by_second_without_ms": cell.harm.seconds.iter().map(|second| second.calm_ms).collect::<Vec<_>>(),
            "others_before": cell.harm.before,
            "memory_mb": cell.memory_mb,
        })
    });
    fs::write("target/faults.json", serde_json::to_string_pretty(&rows.collect::<Vec<_>>()).unwrap()).unwrap();
}
