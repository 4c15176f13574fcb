//! How the board looks: as many columns as the terminal has room for, from the most needed to the least.
//!
//! Not for: what is shown (`board`).

use ratatui::{
    Frame,
    layout::{Alignment, Constraint, Layout, Rect},
    style::{Color, Modifier, Style},
    text::{Line, Span, Text},
    widgets::{Cell, Clear, Paragraph, Row as Line_, Table, Wrap},
};

use super::board::{Board, View};
use crate::cli::{
    explain::Chain,
    output::Paint,
    remote::Row,
    words::{curve, known, number, span},
};

/// A column of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Column {
    State,
    Object,
    Type,
    Value,
    Target,
    Replicas,
    Age,
    Wake,
    Streams,
    Source,
    Recent,
}

impl Column {
    pub(super) const ALL: [Self; 11] = [
        Self::State,
        Self::Object,
        Self::Type,
        Self::Value,
        Self::Target,
        Self::Replicas,
        Self::Age,
        Self::Wake,
        Self::Streams,
        Self::Recent,
        Self::Source,
    ];

    /// Those that have room in so many characters.
    fn that_fit(width: u16) -> Vec<Self> {
        let least = |column: &Self| match column {
            Self::State | Self::Object | Self::Value | Self::Replicas => 0,
            Self::Age => 50,
            Self::Target => 60,
            Self::Type => 72,
            Self::Source => 100,
            Self::Recent => 130,
            Self::Wake => 150,
            Self::Streams => 160,
        };
        Self::ALL.into_iter().filter(|column| least(column) <= width).collect()
    }

    fn width(self) -> Constraint {
        match self {
            Self::State => Constraint::Length(8),
            Self::Object => Constraint::Fill(3),
            Self::Type => Constraint::Length(13),
            Self::Value => Constraint::Length(10),
            Self::Target | Self::Replicas => Constraint::Length(8),
            Self::Age | Self::Wake | Self::Streams => Constraint::Length(7),
            Self::Source => Constraint::Fill(4),
            Self::Recent => Constraint::Length(30),
        }
    }

    pub(super) fn title(self) -> &'static str {
        match self {
            Self::State => "STATE",
            Self::Object => "OBJECT",
            Self::Type => "TYPE",
            Self::Value => "VALUE",
            Self::Target => "TARGET",
            Self::Replicas => "REPLICAS",
            Self::Age => "AGE",
            Self::Wake => "WAKE",
            Self::Streams => "STREAMS",
            Self::Source => "SOURCE",
            Self::Recent => "15 MINUTES",
        }
    }

    pub(super) fn is_number(self) -> bool {
        matches!(self, Self::Value | Self::Target | Self::Replicas | Self::Age | Self::Streams)
    }

    pub(super) fn is_picture(self) -> bool {
        self == Self::Recent
    }

    pub(super) fn cell(self, row: &Row, now: f64) -> String {
        let unless_nothing = |number_: f64| if number_ > 0.0 { number(number_) } else { "?".to_owned() };
        match self {
            Self::State => row.state.clone(),
            Self::Object => object(row),
            Self::Type => row.scaler_type.clone(),
            Self::Value => known(row.value),
            Self::Target => unless_nothing(row.target),
            Self::Replicas => known(row.replicas),
            Self::Age => row.sampled_at.map_or_else(|| "?".to_owned(), |at| span(now - at)),
            Self::Wake => row.wake.clone(),
            Self::Streams => row.streams.to_string(),
            Self::Source => match &row.error {
                Some(error) => format!("{}: {}", error.kind, error.message),
                None => row.source.clone(),
            },
            // As many values as have room, the last ones.
            Self::Recent => {
                let values = row.recent.as_deref().unwrap_or_default();
                curve(values.get(values.len().saturating_sub(30)..).unwrap_or_default())
            }
        }
    }
}

fn object(row: &Row) -> String {
    let trigger = row.objects.iter().find_map(|object| object.trigger_name.as_ref());
    let trigger = trigger.map(|name| format!("/{name}")).unwrap_or_default();
    match row.scaled_objects.as_slice() {
        [] => format!("({})", row.metric),
        [one] => format!("{one}{trigger}"),
        [first, others @ ..] => format!("{first}{trigger} +{}", others.len()),
    }
}

/// Draws all of it.
pub(super) fn draw(frame: &mut Frame<'_>, board: &mut Board, replica: Option<(&str, usize, usize)>, paint: Paint) {
    let [head, body, foot] =
        Layout::vertical([Constraint::Length(2), Constraint::Fill(1), Constraint::Length(1)]).areas(frame.area());
    // One line is the table's head.
    board.resize(usize::from(body.height.saturating_sub(1)));
    let colours = Colours(paint.has_colours());
    frame.render_widget(Text::from(self::head(board, replica, colours)), head);
    match &board.view {
        View::One(_, line) => one(frame, body, board, *line),
        _ => table(frame, body, board, colours),
    }
    if board.view == View::Keys {
        keys(frame, body);
    }
    frame.render_widget(Line::from(self::foot(board)).style(colours.of(Color::Cyan)), foot);
}

#[derive(Clone, Copy)]
struct Colours(bool);

impl Colours {
    fn of(self, colour: Color) -> Style {
        if self.0 { Style::new().fg(colour) } else { Style::new() }
    }

    fn state(self, state: &str) -> Style {
        match state {
            "refused" | "failing" => self.of(Color::Red).add_modifier(Modifier::BOLD),
            "stale" | "warned" => self.of(Color::Yellow),
            "active" => self.of(Color::Green),
            "unasked" | "unknown" => self.of(Color::Magenta),
            _ => Style::new(),
        }
    }
}

fn head(board: &Board, replica: Option<(&str, usize, usize)>, colours: Colours) -> Vec<Line<'static>> {
    let mut first = vec![Span::styled("plimsoll", Style::new().add_modifier(Modifier::BOLD))];
    if let Some(seen) = &board.seen {
        let failing = match seen.failing_connections {
            0 => String::new(),
            count => format!(" ({count} failing)"),
        };
        first.push(Span::raw(format!(
            " {} on {}  connections {}{failing}  streams {}  pushes {}",
            seen.version, seen.host, seen.connections, seen.streams, seen.pushes
        )));
    }
    if let Some((name, at, of)) = replica {
        first.push(Span::raw(format!("  replica {at} of {of}: {name}")));
    }
    let second = match &board.trouble {
        Some(trouble) => vec![Span::styled(trouble.clone(), colours.state("failing"))],
        None => {
            let last = (board.first + board.page.triggers.len()).min(board.page.total);
            let mut spans = vec![Span::raw(format!("{}–{last} of {}", (board.first + 1).min(last), board.page.total))];
            for (state, count) in board.page.counts.iter().filter(|(_, count)| **count > 0) {
                spans.push(Span::styled(format!("  {count} {state}"), colours.state(state)));
            }
            spans
        }
    };
    vec![Line::from(first), Line::from(second)]
}

fn foot(board: &Board) -> String {
    let text = board.text.as_deref().unwrap_or_default();
    match &board.view {
        View::Typing(_) => format!("search: {text}▏  Enter keeps it, Esc gives it up"),
        View::One(..) => "↑ ↓ scroll   Esc back".to_owned(),
        View::Table | View::Keys => {
            let search = if text.is_empty() { String::new() } else { format!(" “{text}”") };
            let namespace = board.namespace.as_ref().map(|name| format!(" in {name}")).unwrap_or_default();
            let reversed = if board.reverse { " reversed" } else { "" };
            format!(
                "by {}{reversed}, {}{search}{namespace}  s sort r reverse f filter / search Enter look ? keys q quit",
                board.sort.word(),
                board.filter.word()
            )
        }
    }
}

fn table(frame: &mut Frame<'_>, area: Rect, board: &Board, colours: Colours) {
    let columns = Column::that_fit(area.width);
    let now = board.seen.as_ref().map_or(0.0, |seen| seen.now_at);
    let aligned = |column: &Column, text: String| {
        let side = if column.is_number() { Alignment::Right } else { Alignment::Left };
        Cell::from(Text::from(text).alignment(side))
    };
    let rows = board.page.triggers.iter().enumerate().map(|(at, row)| {
        let cells = columns.iter().map(|column| {
            let cell = aligned(column, column.cell(row, now));
            match column {
                Column::State => cell.style(colours.state(&row.state)),
                Column::Source if row.error.is_some() => cell.style(colours.of(Color::Red)),
                _ => cell,
            }
        });
        let marked = board.first + at == board.marked;
        let style = if marked { Style::new().add_modifier(Modifier::REVERSED) } else { Style::new() };
        Line_::new(cells).style(style)
    });
    let head = columns.iter().map(|column| aligned(column, column.title().to_owned()));
    let head = Line_::new(head).style(Style::new().add_modifier(Modifier::BOLD | Modifier::UNDERLINED));
    let widths: Vec<Constraint> = columns.iter().map(|column| column.width()).collect();
    frame.render_widget(Table::new(rows, widths).header(head).column_spacing(1), area);
    if board.page.triggers.is_empty() && board.seen.is_some() {
        let text = if board.page.total == 0 && board.page.counts.values().all(|count| *count == 0) {
            "nothing: nobody has asked this server for such a trigger"
        } else {
            "nothing of that kind: Esc shows all"
        };
        let [_, line, _] =
            Layout::vertical([Constraint::Length(2), Constraint::Length(1), Constraint::Fill(1)]).areas(area);
        frame.render_widget(Paragraph::new(text), line);
    }
}

fn one(frame: &mut Frame<'_>, area: Rect, board: &Board, line: u16) {
    let text = match (&board.detail, &board.seen) {
        (Some(detail), Some(seen)) => {
            Chain::new(detail, (&seen.host, seen), Paint::none()).within(usize::from(area.width)).text()
        }
        _ => "…".to_owned(),
    };
    // What has less lines than it was scrolled by shows its last.
    let most = u16::try_from(text.lines().count()).unwrap_or(u16::MAX).saturating_sub(1);
    frame.render_widget(Paragraph::new(text).wrap(Wrap { trim: false }).scroll((line.min(most), 0)), area);
}

fn keys(frame: &mut Frame<'_>, area: Rect) {
    const KEYS: &str = " ↑ ↓ PgUp PgDn Home End   move
 Enter                    the marked trigger, from question to answer
 s  S                     sort by the next, the previous column
 r                        the other way round
 f                        all, failing, active, idle, unasked, warned
 /                        search in names, sources, connections, errors
 Esc                      back; all triggers again
 Tab                      the next replica, where there are several
 q  Ctrl-C                the end";
    let [_, middle, _] =
        Layout::vertical([Constraint::Length(1), Constraint::Length(9), Constraint::Fill(1)]).areas(area);
    frame.render_widget(Clear, middle);
    frame.render_widget(Paragraph::new(KEYS), middle);
}

#[cfg(test)]
mod tests {
    use ratatui::{Terminal, backend::TestBackend};

    use super::*;
    use crate::cli::{
        remote::{Detail, Failure, Page, Seen},
        top::{Answer, Filter, Sort},
    };

    fn rows(count: u64) -> Vec<Row> {
        let row = |id: u64| Row {
            id,
            state: if id == 0 { "failing".into() } else { "active".into() },
            scaled_objects: vec![format!("shop/orders-{id}")],
            scaler_type: "redis-streams".into(),
            source: "stream `世界`".into(),
            value: Some(123_456.0),
            target: 10.0,
            replicas: Some(12_346.0),
            sampled_at: Some(997.0),
            recent: Some(vec![Some(1.0), None, Some(8.0)]),
            error: (id == 0).then(|| Failure { kind: "denied".into(), message: "NOAUTH".into(), ..Failure::default() }),
            ..Row::default()
        };
        (0..count).map(row).collect()
    }

    /// The screen's lines, after these keys.
    fn drawn(width: u16, height: u16, keys: &str) -> Vec<String> {
        let mut board = Board::new((None, None), Filter::All, Sort::State, false);
        let seen: Seen =
            serde_json::from_value(serde_json::json!({"version": "1", "host": "pod-1", "nowAt": 1000.0})).unwrap();
        let counts = [("failing".to_owned(), 1), ("active".to_owned(), 19_999)].into_iter().collect();
        let page = Page { total: 20_000, counts, triggers: rows(u64::from(height)) };
        board.take(Answer { seen: seen.clone(), page: page.clone(), detail: None });
        for key in keys.chars() {
            let code =
                if key == '\r' { crossterm::event::KeyCode::Enter } else { crossterm::event::KeyCode::Char(key) };
            board.key(code.into());
        }
        if let Some(id) = board.one() {
            let trigger = rows(id + 1).pop().unwrap();
            board.take(Answer { seen, page, detail: Some(Box::new(Detail { trigger, ..Detail::default() })) });
        }
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame, &mut board, None, Paint::none())).unwrap();
        let buffer = terminal.backend().buffer().clone();
        let cells: Vec<&str> = buffer.content().iter().map(ratatui::buffer::Cell::symbol).collect();
        cells.chunks(usize::from(width.max(1))).map(|line| line.concat().trim_end().to_owned()).collect()
    }

    #[test]
    fn eighty_columns_hold_what_is_needed_and_more_columns_hold_more() {
        let narrow = drawn(80, 24, "");
        assert_eq!(narrow.len(), 24);
        assert!(narrow[0].starts_with("plimsoll 1 on pod-1"), "{narrow:#?}");
        assert_eq!(narrow[1], "1–24 of 20000  19999 active  1 failing");
        assert_eq!(narrow[2], "STATE    OBJECT               TYPE               VALUE   TARGET REPLICAS     AGE");
        assert!(
            narrow[3].starts_with("failing  shop/orders-0        redis-streams     123456       10    12346     3 s"),
            "{narrow:#?}"
        );
        assert!(narrow[23].contains("by state, all") && narrow[23].contains("? keys"), "{narrow:#?}");
        let wide = drawn(170, 24, "").join("\n");
        for word in ["SOURCE", "WAKE", "STREAMS", "15 MINUTES", "denied: NOAUTH", "▂ █"] {
            assert!(wide.contains(word), "{word} in\n{wide}");
        }
    }

    #[test]
    fn no_size_is_too_small_and_each_view_has_its_picture() {
        for (width, height) in [(1, 1), (3, 2), (10, 3), (20, 4), (300, 100)] {
            for keys in ["", "\r", "?", "/abc"] {
                drawn(width, height, keys);
            }
        }
        let one = drawn(80, 24, "\r").join("\n");
        assert!(one.contains("shop/orders-0") && one.contains("error        denied: NOAUTH"), "{one}");
        assert!(drawn(80, 24, "?").join("\n").contains("the marked trigger, from question to answer"));
        assert!(drawn(80, 24, "/abc").join("\n").contains("search: abc▏"));
    }
}
