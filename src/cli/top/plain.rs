//! The triggers as lines, where nobody looks at a screen: a pipe, a file, a log.
//!
//! Not for: a terminal (`screen`).

use std::io::{self, Write};

use super::{board::Board, draw};
use crate::cli::{
    output::{self, Format},
    remote::{Row, Seen, Server},
    words::table,
};
use serde_json::{Value, json};

/// One long name must not push all others out of sight.
const WIDEST: usize = 60;

/// Prints all that the board asks for.
pub(super) async fn print(server: &Server, board: &Board, format: Format) -> anyhow::Result<()> {
    let seen: Seen = server.get("/api/v1/server", &[]).await?;
    // In the order in which they came, which does not change from page to page; ours is made of it when all are here.
    let query: Vec<(&str, String)> = board.query().into_iter().filter(|(name, _)| *name != "sort").collect();
    let query: Vec<(&str, &str)> = query.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let mut rows = server.triggers(&query).await?;
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
    let mut cells: Vec<Vec<String>> = vec![columns.iter().map(|column| column.title().to_owned()).collect()];
    cells.extend(rows.iter().map(|row| columns.iter().map(|column| column.cell(row, now)).collect()));
    let is_number = |at: usize| columns.get(at).is_some_and(|column| column.is_number());
    table(&cells, WIDEST, is_number).into_iter().try_for_each(|line| writeln!(out, "{line}"))
}

#[cfg(test)]
mod tests {
    use unicode_width::UnicodeWidthStr;

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
