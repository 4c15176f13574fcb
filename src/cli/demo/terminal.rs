//! Where the demo is shown: redrawn in place on a terminal, a line per change anywhere else.

use std::{
    env,
    io::{self, IsTerminal, StdoutLock, Write},
    time::Duration,
};

use tokio::{
    sync::watch,
    time::{MissedTickBehavior, interval},
};

use super::{
    board::Facts,
    screen::{Canvas, INTRODUCTION, Screen, line_text},
};

/// How often the picture is redrawn, and how often the curves get a point.
const FRAME: Duration = Duration::from_millis(100);
const FRAMES_PER_POINT: u32 = 4;
const HIDE_CURSOR: &str = "\x1b[?25l";
const SHOW_CURSOR: &str = "\x1b[?25h";
const CLEAR_ALL: &str = "\x1b[2J\x1b[H";
const CLEAR_TO_END: &str = "\x1b[J";
const CLEAR_LINE: &str = "\x1b[K";

/// Shows the facts until the future is dropped, or standard output is gone.
pub(super) async fn show(screen: Screen, facts: watch::Receiver<Facts>) -> io::Result<()> {
    if io::stdout().is_terminal() {
        return Live::new(screen, facts).run().await;
    }
    write_lines(&INTRODUCTION.map(str::to_owned))?;
    write_lines(screen.notes())?;
    lines(facts).await
}

/// Writes lines that stay, below whatever was drawn.
pub(super) fn write_lines(lines: &[String]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    lines.iter().try_for_each(|line| writeln!(out, "{line}"))?;
    out.flush()
}

async fn lines(mut facts: watch::Receiver<Facts>) -> io::Result<()> {
    let mut written = 0;
    loop {
        let news: Vec<String> = {
            let facts = facts.borrow_and_update();
            let unseen = usize::try_from(facts.lines_written - written).unwrap_or(usize::MAX);
            written = facts.lines_written;
            facts.lines.iter().skip(facts.lines.len().saturating_sub(unseen)).map(line_text).collect()
        };
        write_lines(&news)?;
        if facts.changed().await.is_err() {
            return Ok(());
        }
    }
}

/// A picture on a terminal. The cursor comes back when this is dropped.
struct Live {
    screen: Screen,
    facts: watch::Receiver<Facts>,
    colours: bool,
    /// Rows drawn last time, below which the cursor stands, and the canvas they were drawn for.
    drawn: usize,
    canvas: Option<Canvas>,
}

impl Live {
    fn new(screen: Screen, facts: watch::Receiver<Facts>) -> Self {
        let colours = env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self { screen, facts, colours, drawn: 0, canvas: None }
    }

    async fn run(mut self) -> io::Result<()> {
        write!(io::stdout(), "{HIDE_CURSOR}")?;
        let mut frames = interval(FRAME);
        frames.set_missed_tick_behavior(MissedTickBehavior::Skip);
        for frame in 0_u32.. {
            frames.tick().await;
            let facts = self.facts.borrow().clone();
            if frame % FRAMES_PER_POINT == 0 {
                self.screen.remember(&facts);
            }
            self.write(&facts, io::stdout().lock())?;
        }
        Ok(())
    }

    fn write(&mut self, facts: &Facts, mut out: StdoutLock<'static>) -> io::Result<()> {
        let canvas = canvas(self.colours);
        let rows = self.screen.draw(facts, canvas);
        let mut frame = match self.canvas.replace(canvas) {
            // What was drawn for another size may have been folded: nobody knows where it begins.
            Some(before) if before != canvas => CLEAR_ALL.to_owned(),
            Some(_) => format!("\x1b[{}A\r", self.drawn),
            None => String::new(),
        };
        for row in &rows {
            frame.extend([row.as_str(), CLEAR_LINE, "\n"]);
        }
        frame.push_str(CLEAR_TO_END);
        self.drawn = rows.len();
        out.write_all(frame.as_bytes())?;
        out.flush()
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        // A terminal that is gone needs no cursor.
        write!(io::stdout(), "{SHOW_CURSOR}").and_then(|()| io::stdout().flush()).ok();
    }
}

/// The terminal's size, less the row that the cursor stands on.
fn canvas(colours: bool) -> Canvas {
    let size = rustix::termios::tcgetwinsize(io::stdout()).ok();
    let size = size.map(|size| (usize::from(size.ws_col), usize::from(size.ws_row)));
    let (columns, rows) = size.filter(|(columns, rows)| *columns > 0 && *rows > 0).unwrap_or((80, 24));
    let columns = env::var("COLUMNS").ok().and_then(|text| text.parse().ok()).unwrap_or(columns);
    Canvas { columns, rows: rows.saturating_sub(1), colours }
}
