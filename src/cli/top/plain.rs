//! The triggers as lines, where nobody looks at a screen: a pipe, a file, a log.
//!
//! Not for: a terminal (`screen`).

use std::io::{self, Write};

use serde_json::{Value, json};
use unicode_width::UnicodeWidthStr;

use super::{board::Board, draw};
use crate::cli::{
    output::{self, Format},
    remote::{Row, Seen, Server},
};

/// Rows of one question.
const ROWS: usize = 500;

/// Prints all that the board asks for.
pub(super) async fn print(server: &Server, board: &Board, format: Format) -> anyhow::Result<()> {
    let seen: Seen = server.get("/api/v1/server", &[]).await?;
    let mut rows: Vec<(Value, Row)> = Vec::new();
    loop {
        // In the order in which they came, which does not change from page to page; ours is made of it when all are here.
        let mut query: Vec<(&str, String)> = board.query().into_iter().filter(|(name, _)| *name != "sort").collect();
        query.push(("offset", rows.len().to_string()));
        query.push(("limit", ROWS.to_string()));
        let query: Vec<(&str, &str)> = query.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let mut value = server.value("/api/v1/triggers", &query).await?;
        let more = value.get_mut("triggers").and_then(Value::as_array_mut).map(std::mem::take).unwrap_or_default();
        let last = more.len() < ROWS;
        rows.extend(more.into_iter().map(|row| (row.clone(), serde_json::from_value(row).unwrap_or_default())));
        if last {
            break;
        }
    }
    board.order(&mut rows, |(_, row)| row);
    let (documents, rows): (Vec<Value>, Vec<Row>) = rows.into_iter().unzip();
    let mut out = io::BufWriter::new(io::stdout().lock());
    match format {
        Format::Json => {
            output::json(&mut out, &json!({"server": server.name, "nowAt": seen.now_at, "triggers": documents}))?
        }
        Format::Text => lines(&mut out, &rows, seen.now_at)?,
    }
    out.flush()?;
    Ok(())
}

fn lines(out: &mut impl Write, rows: &[Row], now: f64) -> io::Result<()> {
    let columns: Vec<draw::Column> = draw::Column::ALL.into_iter().filter(|column| !column.is_picture()).collect();
    let head: Vec<String> = columns.iter().map(|column| column.title().to_owned()).collect();
    let cells: Vec<Vec<String>> =
        rows.iter().map(|row| columns.iter().map(|column| column.cell(row, now)).collect()).collect();
    let width = |at: usize| {
        let cells = cells.iter().chain([&head]).filter_map(|row| row.get(at));
        // One long name must not push all others out of sight.
        cells.map(|cell| cell.width()).max().unwrap_or_default().min(60)
    };
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();
    for row in std::iter::once(&head).chain(&cells) {
        let cells = row.iter().zip(&widths).zip(&columns).map(|((cell, width), column)| {
            let pad = " ".repeat(width.saturating_sub(cell.width()));
            if column.is_number() { format!("{pad}{cell}") } else { format!("{cell}{pad}") }
        });
        writeln!(out, "{}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trigger_is_a_line_and_numbers_stand_below_each_other() {
        let row = |name: &str, value: f64| Row {
            state: "active".into(),
            scaled_objects: vec![name.into()],
            scaler_type: "redis".into(),
            value: Some(value),
            target: 10.0,
            replicas: Some((value / 10.0).ceil()),
            sampled_at: Some(7.0),
            source: "list `a`".into(),
            ..Row::default()
        };
        let mut text = Vec::new();
        lines(&mut text, &[row("shop/orders", 42.0), row("shop/世界", 7.0)], 10.0).unwrap();
        let text = String::from_utf8(text).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3, "{text}");
        assert!(lines[0].starts_with("STATE   OBJECT"), "{text}");
        assert_eq!(lines[1].find("42"), Some(lines[1].len() - lines[1].split_once("42").unwrap().1.len() - 2));
        assert_eq!(
            lines[1].split_once("42").unwrap().0.width() + 1,
            lines[2].split_once(" 7 ").unwrap().0.width() + 1,
            "{text}"
        );
    }
}
