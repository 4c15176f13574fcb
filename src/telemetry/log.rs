//! The log: fields on standard error, for people or as JSON, filtered by `RUST_LOG`. It never blocks whoever logs.
//!
//! Lines go through a bounded queue to a thread of their own. When nobody reads them, what does not fit is dropped,
//! counted, and told of as soon as it can be. Not for: what is logged.

use std::{
    io::{self, IsTerminal, Write},
    panic,
    sync::{Arc, OnceLock},
};

use tracing::Subscriber;
use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::{
    EnvFilter, Layer, Registry,
    fmt::{
        MakeWriter,
        format::Writer,
        time::{FormatTime, SystemTime},
    },
    layer::SubscriberExt,
    registry::LookupSpan,
    util::SubscriberInitExt,
};

use crate::{
    error::{clean, clean_within},
    limits,
};

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Without `RUST_LOG`. The AWS SDK warns of what we explain ourselves, and of each try that another one makes good.
const FILTER: &str = "info,aws_config=error";

/// How many lines were dropped, once there is a log.
static DROPPED: OnceLock<ErrorCounter> = OnceLock::new();

/// The running log. Dropping it writes what waits, for a second at most.
#[derive(Debug)]
#[must_use = "the last lines are written when this is dropped"]
pub struct Log(#[expect(dead_code, reason = "held until the end")] WorkerGuard);

/// What takes part in what is traced besides the log.
pub type Spans = Box<dyn Layer<Registry> + Send + Sync>;

/// Starts logging, panics too, with `spans` beside it. `RUST_LOG` wins; `NO_COLOR` is honoured.
pub fn init(format: LogFormat, spans: Option<Spans>) -> Log {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(FILTER));
    let colour = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let (lines, dropped, log) = lines(io::stderr(), format, colour, limits::LOG_LINES);
    DROPPED.set(dropped).ok();
    match spans {
        None => tracing_subscriber::registry().with(shown(lines, filter)).init(),
        Some(spans) => tracing_subscriber::registry().with(spans).with(shown(lines, filter)).init(),
    }
    panic::set_hook(Box::new(|panic| {
        let (text, at) =
            (panic.payload_as_str().unwrap_or("without a text"), panic.location().map(ToString::to_string));
        let thread = std::thread::current();
        tracing::error!(thread = thread.name(), at, "panic: {text}");
    }));
    log
}

/// What formats the lines that `filter` lets through.
fn shown<S>(lines: Lines, filter: EnvFilter) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let Lines { format, colour, .. } = lines;
    let layer = tracing_subscriber::fmt::layer().with_ansi(colour).with_writer(lines);
    match format {
        LogFormat::Text => layer.with_filter(filter).boxed(),
        LogFormat::Json => layer.json().with_filter(filter).boxed(),
    }
}

/// How many lines nobody has read in time.
#[must_use]
pub fn dropped_lines() -> u64 {
    DROPPED.get().map_or(0, |dropped| u64::try_from(dropped.dropped_lines()).unwrap_or(u64::MAX))
}

/// Lines on their way to `out`, at most `most` of them.
fn lines(out: impl Write + Send + 'static, format: LogFormat, colour: bool, most: usize) -> (Lines, ErrorCounter, Log) {
    let dropped = Arc::new(OnceLock::new());
    let out = Candid { out, format, dropped: Arc::clone(&dropped), told: 0 };
    let (queue, guard) = NonBlockingBuilder::default().buffered_lines_limit(most).lossy(true).finish(out);
    let counter = queue.error_counter();
    dropped.set(counter.clone()).ok();
    (Lines { queue, format, colour }, counter, Log(guard))
}

/// Where the formatter writes each line, in one piece.
#[derive(Debug, Clone)]
struct Lines {
    queue: NonBlocking,
    format: LogFormat,
    colour: bool,
}

impl MakeWriter<'_> for Lines {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(line);
        let text = text.strip_suffix('\n').unwrap_or(&text);
        let clean = if self.format == LogFormat::Json && text.len() > limits::LOG_LINE {
            // What is cut is no JSON any more.
            let begins = clean(text).replace('\\', "\\\\").replace('"', "\\\"");
            notice(self.format, "a log line was too long", &format!("\"begins\":\"{begins}\""))
        } else {
            // Colours are ours; the formatter has made all other escapes harmless.
            let parts = text.split(|c| self.colour && c == '\u{1b}').map(|part| clean_within(part, limits::LOG_LINE));
            parts.collect::<Vec<_>>().join("\u{1b}") + "\n"
        };
        self.queue.write_all(clean.as_bytes())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Says how many lines were dropped, as soon as one can be written again. Runs in the log's own thread.
struct Candid<W> {
    out: W,
    format: LogFormat,
    dropped: Arc<OnceLock<ErrorCounter>>,
    told: usize,
}

impl<W: Write> Write for Candid<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.out.write_all(line)?;
        let dropped = self.dropped.get().map_or(0, ErrorCounter::dropped_lines);
        if dropped > self.told {
            let count = format!("\"count\":{}", dropped - self.told);
            let text = "log lines were dropped, since nobody read them in time";
            self.out.write_all(notice(self.format, text, &count).as_bytes())?;
            self.told = dropped;
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// A line of the log's own; `field` is in JSON.
fn notice(format: LogFormat, text: &str, field: &str) -> String {
    let mut time = String::new();
    // A clock that cannot be shown leaves the line without one.
    SystemTime.format_time(&mut Writer::new(&mut time)).ok();
    match format {
        LogFormat::Text => format!("{time}  WARN plimsoll: {text} {field}\n"),
        LogFormat::Json => format!(
            "{{\"timestamp\":\"{time}\",\"level\":\"WARN\",\"fields\":{{\"message\":\"{text}\",{field}}},\"target\":\"plimsoll\"}}\n"
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// Writes when it is let.
    struct Slow(mpsc::Receiver<()>, mpsc::Sender<String>);

    impl Write for Slow {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            self.0.recv().ok();
            self.1.send(String::from_utf8_lossy(line).into_owned()).ok();
            Ok(line.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn written(format: LogFormat, colour: bool, line: &str) -> String {
        let ((go, ready), (said, heard)) = (mpsc::channel(), mpsc::channel());
        drop(go);
        let (mut lines, _, log) = lines(Slow(ready, said), format, colour, 10);
        lines.write_all(line.as_bytes()).expect("queued");
        drop(log);
        heard.recv().expect("written")
    }

    #[test]
    fn no_line_can_be_forged_or_be_endless() {
        let text = |colour, line: &str| written(LogFormat::Text, colour, line);
        assert_eq!(text(false, "a\nERROR forged\u{1b}[2J\u{202e}\n"), "a ERROR forged\u{fffd}[2J\u{fffd}\n");
        assert_eq!(text(true, "\u{1b}[33mWARN\u{1b}[0m a\nb\n"), "\u{1b}[33mWARN\u{1b}[0m a b\n");
        let long = text(false, &"x".repeat(1 << 20));
        assert!(long.len() <= limits::LOG_LINE + 1 && long.ends_with("…\n"), "{}", long.len());
        // A long line of JSON is JSON still.
        let long = format!(r#"{{"fields":{{"message":"a \\ \"b\"{}"}}}}"#, "x".repeat(1 << 20));
        let short = written(LogFormat::Json, false, &long);
        let parsed: serde_json::Value = serde_json::from_str(&short).expect("JSON");
        assert!(
            short.len() < 2 * limits::TEXT
                && parsed["fields"]["begins"].as_str().is_some_and(|text| long.starts_with(text.trim_end_matches('…')))
        );
    }

    #[test]
    fn who_logs_never_waits_and_hears_how_much_was_lost() {
        let ((go, ready), (said, heard)) = (mpsc::channel(), mpsc::channel());
        let (mut lines, dropped, log) = lines(Slow(ready, said), LogFormat::Json, false, 10);
        for n in 0..1000 {
            lines.write_all(format!("line {n}\n").as_bytes()).expect("never blocks");
        }
        let lost = dropped.dropped_lines();
        assert!((980..=990).contains(&lost), "{lost}");
        // Somebody reads again.
        drop(go);
        drop(log);
        let read: Vec<String> = heard.iter().collect();
        assert_eq!(read[0], "line 0\n");
        assert!(read[1..].concat().contains(&format!("\"count\":{lost}")), "{read:?}");
        assert_eq!(read.iter().filter(|line| line.starts_with("line ")).count() + lost, 1000);
    }
}
