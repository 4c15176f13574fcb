//! The walk along the bytes of RESP, versions 2 and 3: knows where each frame begins and ends, and no more.
//!
//! It takes less than the library does and never more, so the two cannot disagree about where a frame ends.

use std::{mem, sync::Arc, time::Duration};

use tokio::time::Instant;

use super::meter::{Crossed, Meter};
use crate::{
    limits::{self, Limit},
    net::ReplyBytes,
};

/// The longest head of a frame, as `$-9223372036854775808`.
const LONGEST_HEAD: usize = 21;
/// What stands in place of a text that is too large.
const NULL: &[u8] = b"$-1\r\n";
/// What a part of a reply costs in memory beside its text.
const PART: usize = 64;

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hears {
    /// Replies, and news that says so.
    Replies,
    /// News alone: publish and subscribe.
    News,
}

/// Where we are.
#[derive(Debug)]
enum At {
    /// At the first byte of a frame.
    Start,
    /// In a line that is passed on as it comes.
    Line { length: usize, after_cr: bool },
    /// In the head of a frame: its kind, and the digits so far.
    Head { kind: u8, digits: Vec<u8> },
    /// In a text, with so many bytes to come, its end of line included.
    Text { left: u64, pass: bool },
}

/// The walk along one connection.
#[derive(Debug)]
pub struct Walk {
    meter: Arc<Meter>,
    hears: Hears,
    at: At,
    /// Parts still to come of each list that is open, the outermost first.
    open: Vec<u64>,
    /// Of the present reply: its parts, bytes, and bytes of text passed on.
    parts: usize,
    bytes: usize,
    text: usize,
    is_news: bool,
    /// Weight not yet told to the meter.
    untold: usize,
    news: News,
}

/// News is what comes unasked.
#[derive(Debug)]
struct News {
    /// Room for what is coming in; it is heard at once.
    bytes: ReplyBytes,
    /// Keys told of so far, and since `since`.
    told: u64,
    recent: u64,
    since: Instant,
}

impl Walk {
    /// Begins where no byte has come yet.
    pub fn new(meter: Arc<Meter>, hears: Hears) -> Self {
        let news = News { bytes: ReplyBytes::default(), told: 0, recent: 0, since: Instant::now() };
        let (open, at) = (Vec::new(), At::Start);
        Self { meter, hears, at, open, parts: 0, bytes: 0, text: 0, is_news: false, untold: 0, news }
    }

    /// Goes along `bytes`, and adds what may be passed on to `checked`.
    pub fn take(&mut self, mut bytes: &[u8], checked: &mut Vec<u8>) -> Result<(), Crossed> {
        while let Some((&byte, rest)) = bytes.split_first() {
            if let At::Text { left, pass } = &mut self.at {
                let now = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                let (text, rest) = bytes.split_at(now);
                if *pass {
                    checked.extend_from_slice(text);
                }
                *left -= now as u64;
                let ended = *left == 0;
                bytes = rest;
                self.weigh(now)?;
                if ended {
                    self.end_of_part()?;
                }
                continue;
            }
            bytes = rest;
            self.weigh(1)?;
            self.step(byte, checked)?;
        }
        self.tell()
    }

    fn step(&mut self, byte: u8, checked: &mut Vec<u8>) -> Result<(), Crossed> {
        match &mut self.at {
            At::Start => {
                self.begin_part(byte)?;
                self.at = match byte {
                    b'$' | b'!' | b'=' | b'*' | b'~' | b'>' | b'%' | b'|' => {
                        At::Head { kind: byte, digits: Vec::with_capacity(LONGEST_HEAD) }
                    }
                    b'+' | b'-' | b':' | b',' | b'#' | b'_' | b'(' => {
                        checked.push(byte);
                        At::Line { length: 0, after_cr: false }
                    }
                    _ => return Err(Crossed::NotRedis),
                };
                Ok(())
            }
            At::Line { length, after_cr } => {
                checked.push(byte);
                *length += 1;
                self.untold += 1;
                if *length > limits::RESP_LINE {
                    return Err(Crossed::Line);
                }
                let ends = *after_cr && byte == b'\n';
                *after_cr = byte == b'\r';
                if ends { self.end_of_part() } else { Ok(()) }
            }
            At::Head { digits, .. } if byte != b'\n' => {
                digits.push(byte);
                if digits.len() > LONGEST_HEAD { Err(Crossed::NotRedis) } else { Ok(()) }
            }
            At::Head { kind, digits } => {
                let (kind, digits) = (*kind, mem::take(digits));
                self.head(kind, &digits, checked)
            }
            // `take` goes through texts in one stride.
            At::Text { .. } => Err(Crossed::NotRedis),
        }
    }

    /// The head is whole: what follows is a text, or the parts of a list.
    fn head(&mut self, kind: u8, digits: &[u8], checked: &mut Vec<u8>) -> Result<(), Crossed> {
        let number = number(digits).ok_or(Crossed::NotRedis)?;
        let whole = |checked: &mut Vec<u8>| {
            checked.push(kind);
            checked.extend_from_slice(digits);
            checked.push(b'\n');
        };
        let Some(length) = number else {
            // A null; what has none of its own in the protocol is read as a length of 2^64 by the library.
            if !matches!(kind, b'$' | b'*') {
                return Err(Crossed::NotRedis);
            }
            whole(checked);
            return self.end_of_part();
        };
        if matches!(kind, b'$' | b'!' | b'=') {
            let room = limits::RESP_TEXT.saturating_sub(self.text);
            let pass = usize::try_from(length).is_ok_and(|length| length <= room);
            if pass {
                whole(checked);
                self.text += usize::try_from(length).unwrap_or(usize::MAX);
                self.untold += usize::try_from(length).unwrap_or(usize::MAX);
            } else {
                Limit::Reply.crossed();
                checked.extend_from_slice(NULL);
            }
            self.at = At::Text { left: length.saturating_add(2), pass };
            return Ok(());
        }
        if length > limits::RESP_LIST {
            return Err(Crossed::List);
        }
        whole(checked);
        let parts = match kind {
            b'%' => 2 * length,
            b'|' => 2 * length + 1,
            _ => length,
        };
        if parts == 0 {
            return self.end_of_part();
        }
        self.open.push(parts);
        self.at = At::Start;
        if self.open.len() > limits::RESP_DEPTH { Err(Crossed::Depth) } else { Ok(()) }
    }

    fn begin_part(&mut self, kind: u8) -> Result<(), Crossed> {
        if self.open.is_empty() {
            self.is_news = kind == b'>' || self.hears == Hears::News;
            if !self.is_news && self.meter.answered() >= self.meter.asked() {
                return Err(Crossed::Unasked);
            }
        }
        self.parts += 1;
        self.untold += PART;
        if self.parts > limits::RESP_PARTS { Err(Crossed::Parts) } else { Ok(()) }
    }

    /// A part is whole, and with it all lists that it was the last part of.
    fn end_of_part(&mut self) -> Result<(), Crossed> {
        self.at = At::Start;
        while let Some(left) = self.open.last_mut() {
            *left -= 1;
            if *left > 0 {
                return Ok(());
            }
            self.open.pop();
        }
        self.tell()?;
        let parts = mem::take(&mut self.parts);
        (self.bytes, self.text) = (0, 0);
        if self.is_news {
            // What names the news and what holds its keys are no keys.
            let keys = if self.hears == Hears::News { 1 } else { parts.saturating_sub(2).max(1) };
            return self.news.heard(keys, self.meter.asked());
        }
        self.meter.reply();
        Ok(())
    }

    fn weigh(&mut self, bytes: usize) -> Result<(), Crossed> {
        self.bytes += bytes;
        if self.bytes > limits::RESP_REPLY { Err(Crossed::Size) } else { Ok(()) }
    }

    fn tell(&mut self) -> Result<(), Crossed> {
        let weight = mem::take(&mut self.untold);
        if self.is_news {
            return self.news.bytes.grow(weight).map_err(|_| Crossed::NoRoom);
        }
        self.meter.hold(weight)
    }
}

impl News {
    /// Redis tells of a key once for each time that we have looked at it, and of all keys now and then.
    fn heard(&mut self, keys: usize, asked: u64) -> Result<(), Crossed> {
        self.bytes = ReplyBytes::default();
        let keys = u64::try_from(keys).unwrap_or(u64::MAX);
        self.told = self.told.max(asked.saturating_sub(limits::RESP_ARMED)).saturating_add(keys);
        if self.told <= asked {
            return Ok(());
        }
        self.told = asked;
        let now = Instant::now();
        if now.saturating_duration_since(self.since) >= Duration::from_secs(1) {
            (self.since, self.recent) = (now, 0);
        }
        self.recent = self.recent.saturating_add(keys);
        if self.recent > limits::RESP_NEWS { Err(Crossed::Flood) } else { Ok(()) }
    }
}

/// The number in a head, without the `\n` of its end: `None` inside is the null, `-1`.
fn number(digits: &[u8]) -> Option<Option<u64>> {
    let digits = digits.strip_suffix(b"\r")?;
    if digits == b"-1" {
        return Some(None);
    }
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok().map(Some)
}
