//! Numbers and times as people read them.
//!
//! Not for: programs, which get the numbers as they are.

use unicode_width::UnicodeWidthStr;

/// A number without what nobody reads: `42`, `0.125`, `1.5e18`.
#[must_use]
pub fn number(number: f64) -> String {
    if !number.is_finite() {
        return "?".to_owned();
    }
    if number.abs() >= 1e15 {
        return format!("{number:.2e}");
    }
    let text = format!("{number:.3}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    match text {
        // What is small is not nothing.
        "0" | "-0" if number != 0.0 => format!("{number:.1e}"),
        "-0" => "0".to_owned(),
        text => text.to_owned(),
    }
}

/// The same, `?` where it is not known.
#[must_use]
pub fn known(value: Option<f64>) -> String {
    value.map_or_else(|| "?".to_owned(), number)
}

/// How long: `4 ms`, `12 s`, `3 min`, `5 h`, `2 days`.
#[must_use]
pub fn span(seconds: f64) -> String {
    match seconds {
        seconds if !seconds.is_finite() || seconds < 0.0 => "0 s".to_owned(),
        seconds if seconds < 0.9995 => format!("{:.0} ms", seconds * 1e3),
        seconds if seconds < 9.95 => format!("{} s", number((seconds * 10.0).round() / 10.0)),
        seconds if seconds < 119.5 => format!("{seconds:.0} s"),
        seconds if seconds < 7170.0 => format!("{:.0} min", seconds / 60.0),
        seconds if seconds < 171_000.0 => format!("{:.0} h", seconds / 3600.0),
        seconds => format!("{:.0} days", seconds / 86_400.0),
    }
}

/// When something was, seen from `now`: `12 s ago`, `now`, `in 3 s`.
#[must_use]
pub fn ago(now: f64, at: f64) -> String {
    match now - at {
        since if since.abs() < 0.05 => "now".to_owned(),
        since if since < 0.0 => format!("in {}", span(-since)),
        since => format!("{} ago", span(since)),
    }
}

/// The time of day of a Unix time, in UTC: `06:32:10Z`.
#[must_use]
pub fn time_of_day(unix: f64) -> String {
    let seconds = unix.rem_euclid(86_400.0).floor();
    let part = |of: f64| (seconds / of).floor();
    format!("{:02}:{:02}:{:02}Z", part(3600.0), part(60.0) % 60.0, seconds % 60.0)
}

/// Rows of a table as lines, each cell as wide as its column; those of a column that is `right` end below each other.
#[must_use]
pub fn table(rows: &[Vec<String>], widest: usize, right: impl Fn(usize) -> bool) -> Vec<String> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |at: usize| rows.iter().filter_map(|row| row.get(at)).map(|cell| cell.width()).max();
    let shapes: Vec<(usize, bool)> =
        (0..columns).map(|at| (width(at).unwrap_or_default().min(widest), right(at))).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&shapes).map(|(cell, (width, right))| {
            let pad = " ".repeat(width.saturating_sub(cell.width()));
            if *right { format!("{pad}{cell}") } else { format!("{cell}{pad}") }
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

/// `text` in lines of so many columns, broken between words where that can be.
#[must_use]
pub fn lines(text: &str, columns: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut used = 0;
    for word in text.split_whitespace() {
        let width = word.width();
        match lines.last_mut() {
            Some(line) if used == 0 || used + 1 + width <= columns => {
                if used > 0 {
                    line.push(' ');
                    used += 1;
                }
                line.push_str(word);
                used += width;
            }
            _ => {
                lines.push(word.to_owned());
                used = width;
            }
        }
    }
    lines
}

/// A curve in a line: a character for each value, a blank for what is not known.
#[must_use]
pub fn curve(values: &[Option<f64>]) -> String {
    const STEPS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let most = values.iter().flatten().copied().fold(0.0_f64, f64::max);
    let step = |value: f64| {
        let height = if most > 0.0 { (value / most * 7.0).clamp(0.0, 7.0).ceil() } else { 0.0 };
        STEPS.iter().enumerate().find(|(at, _)| *at as f64 >= height).map_or('█', |(_, step)| *step)
    };
    values.iter().map(|value| value.map_or(' ', step)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_times_are_short_and_none_is_made_up() {
        for (value, text) in [
            (42.0, "42"),
            (0.125, "0.125"),
            (-0.0, "0"),
            (0.0, "0"),
            (1.0e-6, "1.0e-6"),
            (1e18, "1.00e18"),
            (1_234_567.0, "1234567"),
            (f64::NAN, "?"),
        ] {
            assert_eq!(number(value), text);
        }
        assert_eq!(known(None), "?");
        for (seconds, text) in [
            (0.004, "4 ms"),
            (0.9999, "1 s"),
            (1.25, "1.3 s"),
            (12.4, "12 s"),
            (119.0, "119 s"),
            (180.0, "3 min"),
            (7200.0, "2 h"),
            (200_000.0, "2 days"),
            (-1.0, "0 s"),
        ] {
            assert_eq!(span(seconds), text);
        }
        assert_eq!(
            (ago(10.0, 7.0), ago(10.0, 10.0), ago(10.0, 12.0)),
            ("3 s ago".into(), "now".into(), "in 2 s".into())
        );
        assert_eq!(time_of_day(86_400.0 * 20_000.0 + 3661.9), "01:01:01Z");
    }

    #[test]
    fn lines_break_between_words_and_a_word_that_is_too_long_has_its_own() {
        assert_eq!(lines("a bb ccc dddd", 4), ["a bb", "ccc", "dddd"]);
        assert_eq!(lines("世界 世界", 8), ["世界", "世界"]);
        assert_eq!(lines("a toolongword b", 5), ["a", "toolongword", "b"]);
        assert_eq!(lines("", 5), [""]);
    }

    #[test]
    fn a_curve_stands_on_zero_and_leaves_gaps() {
        assert_eq!(curve(&[Some(0.0), None, Some(1.0), Some(100.0)]), "▁ ▂█");
        assert_eq!(curve(&[Some(0.0), Some(0.0)]), "▁▁");
        assert_eq!(curve(&[]), "");
    }
}
