//! The picture: facts in, rows of coloured text out. Pure; where it goes is `terminal.rs`.

use std::{collections::VecDeque, time::Duration};

use super::{
    board::{Facts, Line, Topic, count, in_words},
    cluster::TOPIC,
};

/// What one sees, told before anything moves.
pub(super) const INTRODUCTION: [&str; 3] = [
    "A producer writes bursts to a Kafka topic; a group of consumers works them off.",
    "Plimsoll, the real server, reads the group's lag. A stand-in for KEDA and the",
    "HPA asks it over gRPC, as they do, and scales the consumers from 0 to N to 0.",
];

/// How much of the past the small curves show.
const PAST: usize = 240;
/// Rows of the picture besides the story.
const FIXED_ROWS: usize = 16;
const LABEL: usize = 10;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    Plain,
    Bold,
    Dim,
    Of(Topic),
}

impl Style {
    fn code(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Bold => "\x1b[1m",
            Self::Dim | Self::Of(Topic::Quiet) => "\x1b[2m",
            Self::Of(Topic::Work) => "\x1b[33m",
            Self::Of(Topic::Push) => "\x1b[1;36m",
            Self::Of(Topic::Scale) => "\x1b[32m",
            Self::Of(Topic::Trouble) => "\x1b[31m",
        }
    }
}

/// Pieces of text side by side.
type Row = Vec<(Style, String)>;

/// How the picture is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Canvas {
    pub(super) columns: usize,
    pub(super) rows: usize,
    pub(super) colours: bool,
}

/// The picture's own memory, and the lines that do not change.
#[derive(Debug)]
pub(super) struct Screen {
    max_replicas: u32,
    notes: Vec<String>,
    /// Messages waiting and replicas at work, oldest first.
    past: VecDeque<(u64, u64)>,
}

impl Screen {
    pub(super) fn new(max_replicas: u32, notes: Vec<String>) -> Self {
        Self { max_replicas, notes, past: VecDeque::new() }
    }

    /// What stands below the picture.
    pub(super) fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Adds a point to the curves.
    pub(super) fn remember(&mut self, facts: &Facts) {
        self.past.push_back((facts.waiting(), u64::from(facts.at_work)));
        if self.past.len() > PAST {
            self.past.pop_front();
        }
    }

    /// The whole picture, at most as wide and as high as the canvas.
    pub(super) fn draw(&self, facts: &Facts, canvas: Canvas) -> Vec<String> {
        let blank = Vec::new;
        let story_rows = canvas.rows.saturating_sub(FIXED_ROWS + self.notes.len()).clamp(3, 16);
        let mut rows = vec![title(facts), blank()];
        rows.extend(INTRODUCTION.map(|line| vec![(Style::Plain, format!(" {line}"))]));
        rows.push(blank());
        rows.extend(self.gauges(facts, canvas.columns));
        rows.push(blank());
        rows.extend(self.curves(canvas.columns));
        rows.push(blank());
        rows.extend(story(facts, story_rows));
        rows.push(blank());
        rows.extend(self.notes.iter().map(|note| vec![(Style::Dim, note.clone())]));
        rows.truncate(canvas.rows);
        rows.into_iter().map(|row| paint(row, canvas)).collect()
    }

    fn gauges(&self, facts: &Facts, columns: usize) -> Vec<Row> {
        let bar_width = columns.saturating_sub(LABEL + 34).clamp(10, 80);
        let (waiting, burst) = (facts.waiting(), facts.burst.max(1));
        let mut messages = label("messages");
        messages.extend(bar(Topic::Work, [waiting, waiting], burst, bar_width));
        messages.push((Style::Plain, format!("  {waiting} of {} wait in `{TOPIC}`", facts.burst)));

        let (wanted, at_work) = (u64::from(facts.replicas), u64::from(facts.at_work.min(facts.replicas)));
        let mut replicas = label("replicas");
        replicas.extend(bar(Topic::Scale, [at_work, wanted], u64::from(self.max_replicas), bar_width));
        let consumers = count(wanted, "consumer", "consumers");
        let starting = wanted.saturating_sub(at_work);
        let starting = if starting > 0 { format!(", {starting} still starting") } else { String::new() };
        replicas.push((Style::Plain, format!("  {consumers}{starting}")));
        vec![messages, replicas, answer(facts), push_times(facts), calls(facts)]
    }

    fn curves(&self, columns: usize) -> Vec<Row> {
        let width = columns.saturating_sub(LABEL + 2).min(self.past.len());
        let recent = || self.past.iter().skip(self.past.len() - width);
        let curve = |name, topic, values: Vec<u64>| {
            let top = values.iter().copied().max().unwrap_or(0).max(1);
            let mut row = label(name);
            row.push((Style::Of(topic), values.into_iter().map(|value| block(value, top)).collect()));
            row
        };
        vec![
            curve("messages", Topic::Work, recent().map(|(waiting, _)| *waiting).collect()),
            curve("replicas", Topic::Scale, recent().map(|(_, replicas)| *replicas).collect()),
        ]
    }
}

/// One line of the story, for terminals and files alike.
pub(super) fn line_text(line: &Line) -> String {
    format!("{:>7.2} s  {}", line.at.as_secs_f64(), line.text)
}

fn title(facts: &Facts) -> Row {
    let running = Duration::from_secs(facts.began.elapsed().as_secs());
    let (minutes, seconds) = (running.as_secs() / 60, running.as_secs() % 60);
    let cycle = facts.cycles + 1;
    let title = (Style::Bold, " plimsoll demo".to_owned());
    vec![title, (Style::Dim, format!(" · cycle {cycle} · {minutes}:{seconds:02} · Ctrl-C ends it"))]
}

fn answer(facts: &Facts) -> Row {
    let mut row = label("plimsoll");
    let Some(answer) = facts.answer else {
        row.push((Style::Dim, "not asked yet".to_owned()));
        return row;
    };
    row.push((Style::Plain, format!("lag {:.0} · target {:.0} per replica · ", answer.value, facts.target)));
    row.push(if answer.active {
        (Style::Of(Topic::Scale), "active".to_owned())
    } else {
        (Style::Dim, "idle".to_owned())
    });
    row.push((Style::Dim, format!(" · asked {:.1} s ago", answer.at.elapsed().as_secs_f64())));
    row
}

fn push_times(facts: &Facts) -> Row {
    let mut row = label("push");
    let (Some(last), Some((median, longest))) = (facts.pushes.back(), facts.push_times()) else {
        row.push((Style::Dim, "none yet".to_owned()));
        return row;
    };
    row.push((Style::Of(Topic::Push), in_words(*last)));
    let known = facts.pushes.len();
    let (median, longest) = (in_words(median), in_words(longest));
    row.push((Style::Plain, format!(" from produce to push · {known} so far: p50 {median}, max {longest}")));
    row
}

fn calls(facts: &Facts) -> Row {
    let mut row = label("calls");
    row.push((
        Style::Plain,
        format!("{} of KEDA and the HPA, answered from {} reads of the broker", facts.calls, facts.reads),
    ));
    row
}

fn story(facts: &Facts, rows: usize) -> Vec<Row> {
    let shown = facts.lines.len().min(rows);
    let newest = facts.lines.len().saturating_sub(1);
    let mut story: Vec<Row> = facts
        .lines
        .iter()
        .enumerate()
        .skip(facts.lines.len() - shown)
        .map(|(index, line)| {
            let mark = if index == newest { " ▶" } else { "  " };
            vec![(Style::Bold, mark.to_owned()), (Style::Of(line.topic), line_text(line))]
        })
        .collect();
    story.resize(rows, Vec::new());
    story
}

fn label(text: &str) -> Row {
    vec![(Style::Dim, format!(" {text:<LABEL$}"))]
}

/// A bar of `width`: full up to the first value, half-tone up to the second, empty up to `top`.
fn bar(topic: Topic, [full, begun]: [u64; 2], top: u64, width: usize) -> Row {
    let cells = |value: u64| {
        // Something is never shown as nothing.
        let cells = (value.min(top) * width as u64).div_ceil(top.max(1));
        usize::try_from(cells).unwrap_or(width)
    };
    let (full, begun) = (cells(full), cells(begun));
    let begun = begun.saturating_sub(full);
    let empty = width.saturating_sub(full + begun);
    vec![(Style::Of(topic), "█".repeat(full) + &"▒".repeat(begun)), (Style::Dim, "░".repeat(empty))]
}

fn block(value: u64, top: u64) -> char {
    const BLOCKS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let level = usize::try_from((value.min(top) * 8).div_ceil(top.max(1))).unwrap_or(8);
    BLOCKS.get(level).copied().unwrap_or('█')
}

/// One row as text, cut at the canvas's edge: a row that wraps would break the redrawing.
fn paint(row: Row, canvas: Canvas) -> String {
    let mut room = canvas.columns;
    let mut text = String::new();
    for (style, piece) in row {
        let piece: String = piece.chars().take(room).collect();
        room -= piece.chars().count();
        let code = if canvas.colours { style.code() } else { "" };
        if code.is_empty() {
            text.push_str(&piece);
        } else {
            text.extend([code, &piece, "\x1b[0m"]);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(columns: usize, rows: usize) -> Canvas {
        Canvas { columns, rows, colours: false }
    }

    fn busy() -> (Screen, Facts) {
        let mut facts = Facts::new();
        (facts.produced, facts.burst, facts.worked_off) = (200, 200, 50);
        (facts.replicas, facts.at_work) = (5, 1);
        (0..30).for_each(|number| facts.say(Topic::Work, format!("line {number}")));
        let mut screen = Screen::new(10, vec!["a note".to_owned()]);
        (0..300).for_each(|_| screen.remember(&facts));
        (screen, facts)
    }

    #[tokio::test]
    async fn a_picture_fits_its_canvas_whatever_the_size() {
        let (screen, facts) = busy();
        for (columns, rows) in [(80, 23), (200, 60), (20, 8), (1, 1), (0, 0)] {
            let drawn = screen.draw(&facts, plain(columns, rows));
            assert!(drawn.len() <= rows, "{} rows of {rows}", drawn.len());
            assert!(drawn.iter().all(|row| row.chars().count() <= columns), "{columns} columns: {drawn:#?}");
        }
    }

    #[tokio::test]
    async fn on_eighty_by_twenty_four_nothing_that_must_be_seen_is_cut() {
        let (screen, facts) = busy();
        let drawn = screen.draw(&facts, plain(80, 23)).join("\n");
        for text in
            INTRODUCTION.into_iter().chain(["150 of 200 wait", "5 consumers, 4 still starting", "line 29", "a note"])
        {
            assert!(drawn.contains(text), "no `{text}` in\n{drawn}");
        }
    }

    #[tokio::test]
    async fn colours_are_escape_codes_and_only_where_wanted() {
        let (screen, facts) = busy();
        let escapes = |colours| screen.draw(&facts, Canvas { colours, ..plain(80, 23) }).concat().contains('\x1b');
        assert_eq!((escapes(true), escapes(false)), (true, false));
    }

    #[test]
    fn bars_and_blocks_show_something_for_anything_above_nothing() {
        let text = |row: Row| row.into_iter().map(|(_, piece)| piece).collect::<String>();
        assert_eq!(text(bar(Topic::Work, [0, 0], 10, 4)), "░░░░");
        assert_eq!(text(bar(Topic::Work, [1, 1], 1000, 4)), "█░░░");
        assert_eq!(text(bar(Topic::Work, [5, 10], 10, 4)), "██▒▒");
        assert_eq!(text(bar(Topic::Work, [99, 99], 10, 4)), "████");
        assert_eq!([0, 1, 50, 100].map(|value| block(value, 100)), [' ', '▁', '▄', '█']);
    }
}
