//! The methods of AMQP 0-9-1 that we say and those that we understand: the few that a passive declare takes.
//!
//! A field table is never read, only stepped over by its length, so nothing that a broker puts into one costs anything.
//! Pure functions over bytes. Not for: framing (`frame.rs`), what follows from an answer (`link.rs`).

use crate::error::quoted;

/// What precedes everything: AMQP, and the version.
pub const HEADER: &[u8; 8] = b"AMQP\0\0\x09\x01";

/// What a broker says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// `connection.start`: the mechanisms of login that it offers.
    Start { mechanisms: String },
    /// `connection.tune`: its limits, each 0 for none.
    Tune { channel_max: u16, heartbeat: u16 },
    /// `connection.open-ok`.
    Opened,
    /// `connection.close`.
    Close(Goodbye),
    /// `connection.close-ok`.
    Closed,
    /// `connection.blocked` and its end, which concern those who publish.
    Blocked,
    /// `channel.open-ok`.
    ChannelOpened,
    /// `channel.close`.
    ChannelClose(Goodbye),
    /// `queue.declare-ok`.
    Declared { queue: Vec<u8>, ready: u32 },
}

/// Why something is closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Goodbye {
    /// AMQP's reply code: 404, say.
    pub code: u16,
    /// In the broker's words, fit to be quoted.
    pub words: String,
}

/// Reads the payload of a method frame. `None`: nothing that a broker has to say to us, or not as it should be said.
pub fn decode(payload: &[u8]) -> Option<Said> {
    let mut fields = Fields(payload);
    let said = match (fields.u16()?, fields.u16()?) {
        (10, 10) => {
            fields.take(2)?;
            fields.long()?;
            Said::Start { mechanisms: String::from_utf8_lossy(fields.long()?).into_owned() }
        }
        (10, 30) => {
            let channel_max = fields.u16()?;
            fields.take(4)?;
            Said::Tune { channel_max, heartbeat: fields.u16()? }
        }
        (10, 41) => Said::Opened,
        (10, 50) => Said::Close(fields.goodbye()?),
        (10, 51) => Said::Closed,
        (10, 60 | 61) => Said::Blocked,
        (20, 11) => Said::ChannelOpened,
        (20, 40) => Said::ChannelClose(fields.goodbye()?),
        (50, 11) => Said::Declared { queue: fields.short()?.to_vec(), ready: fields.u32()? },
        _ => return None,
    };
    Some(said)
}

/// Bytes still to be read; every read is held against what there is.
struct Fields<'f>(&'f [u8]);

impl<'f> Fields<'f> {
    fn take(&mut self, count: usize) -> Option<&'f [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    fn short(&mut self) -> Option<&'f [u8]> {
        let [length] = self.array()?;
        self.take(length.into())
    }

    /// A long string, or a table as bytes.
    fn long(&mut self) -> Option<&'f [u8]> {
        let length = self.u32()?;
        self.take(usize::try_from(length).ok()?)
    }

    fn goodbye(&mut self) -> Option<Goodbye> {
        Some(Goodbye { code: self.u16()?, words: quoted(&String::from_utf8_lossy(self.short()?)) })
    }
}

/// A payload in the making.
struct Method(Vec<u8>);

impl Method {
    fn new(class: u16, method: u16) -> Self {
        Self(Vec::new()).u16(class).u16(method)
    }

    fn u16(self, number: u16) -> Self {
        self.bytes(&number.to_be_bytes())
    }

    fn u32(self, number: u32) -> Self {
        self.bytes(&number.to_be_bytes())
    }

    fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// At most 255 bytes of it: `spec.rs` refuses longer names.
    fn short(self, text: &str) -> Self {
        let bytes = text.as_bytes();
        let bytes = bytes.get(..bytes.len().min(255)).unwrap_or_default();
        let length = u8::try_from(bytes.len()).unwrap_or(u8::MAX);
        self.bytes(&[length]).bytes(bytes)
    }

    fn long(self, bytes: &[u8]) -> Self {
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        self.u32(length).bytes(bytes)
    }

    /// One field of a table that is a text.
    fn text(self, name: &str, value: &str) -> Self {
        self.short(name).bytes(b"S").long(value.as_bytes())
    }
}

/// `connection.start-ok`.
pub fn start_ok(mechanism: &str, response: &[u8]) -> Vec<u8> {
    let fields = || Method(Vec::new());
    // With it a refused login is told, not just hung up on.
    let capabilities = fields().short("authentication_failure_close").bytes(b"t\x01");
    let properties = fields()
        .text("product", "Plimsoll")
        .text("version", env!("CARGO_PKG_VERSION"))
        .text("connection_name", "plimsoll")
        .short("capabilities")
        .bytes(b"F")
        .long(&capabilities.0);
    Method::new(10, 11).long(&properties.0).short(mechanism).long(response).short("en_US").0
}

/// What PLAIN sends.
pub fn plain(username: &str, password: &str) -> Vec<u8> {
    [b"\0", username.as_bytes(), b"\0", password.as_bytes()].concat()
}

/// What AMQPLAIN sends: a table without its length.
pub fn amqplain(username: &str, password: &str) -> Vec<u8> {
    Method(Vec::new()).text("LOGIN", username).text("PASSWORD", password).0
}

/// `connection.tune-ok`.
pub fn tune_ok(channel_max: u16, frame_max: u32, heartbeat: u16) -> Vec<u8> {
    Method::new(10, 31).u16(channel_max).u32(frame_max).u16(heartbeat).0
}

/// `connection.open`.
pub fn open(vhost: &str) -> Vec<u8> {
    Method::new(10, 40).short(vhost).short("").bytes(&[0]).0
}

/// `connection.close`.
pub fn close() -> Vec<u8> {
    Method::new(10, 50).u16(200).short("OK").u16(0).u16(0).0
}

/// `channel.open`.
pub fn channel_open() -> Vec<u8> {
    Method::new(20, 10).short("").0
}

/// `channel.close-ok`.
pub fn channel_close_ok() -> Vec<u8> {
    Method::new(20, 41).0
}

/// `queue.declare`, passive: it declares nothing, it asks.
pub fn declare(queue: &str) -> Vec<u8> {
    const PASSIVE: u8 = 1;
    Method::new(50, 10).u16(0).short(queue).bytes(&[PASSIVE]).u32(0).0
}

#[cfg(test)]
pub mod tests {
    use proptest::prelude::*;

    use super::*;

    /// `connection.start` with these bytes as its table.
    pub fn start(table: &[u8], mechanisms: &str) -> Vec<u8> {
        Method::new(10, 10).bytes(&[0, 9]).long(table).long(mechanisms.as_bytes()).long(b"en_US").0
    }

    /// `connection.tune`.
    pub fn tune(channel_max: u16, frame_max: u32, heartbeat: u16) -> Vec<u8> {
        Method::new(10, 30).u16(channel_max).u32(frame_max).u16(heartbeat).0
    }

    /// Methods without arguments: `(10, 41)`, or with those of a goodbye.
    pub fn bare(class: u16, method: u16) -> Vec<u8> {
        Method::new(class, method).0
    }

    pub fn goodbye(class: u16, code: u16, words: &str) -> Vec<u8> {
        Method::new(class, if class == 10 { 50 } else { 40 }).u16(code).short(words).u16(50).u16(10).0
    }

    pub fn declare_ok(queue: &str, ready: u32) -> Vec<u8> {
        Method::new(50, 11).short(queue).u32(ready).u32(0).0
    }

    /// The queue of a `queue.declare`.
    pub fn declared(payload: &[u8]) -> Option<String> {
        let queue = Fields(payload.strip_prefix(&[0, 50, 0, 10, 0, 0])?).short()?;
        String::from_utf8(queue.to_vec()).ok()
    }

    #[test]
    fn what_is_said_is_understood() {
        let said = Said::Start { mechanisms: "PLAIN AMQPLAIN".to_owned() };
        assert_eq!(decode(&start(&[0xff; 3000], "PLAIN AMQPLAIN")), Some(said));
        assert_eq!(decode(&tune(7, 1, 60)), Some(Said::Tune { channel_max: 7, heartbeat: 60 }));
        let words = "NOT_FOUND - no\u{1b}[31m queue\r\n".to_owned() + &"x".repeat(200);
        let Some(Said::ChannelClose(goodbye)) = decode(&goodbye(20, 404, &words)) else { panic!("no goodbye") };
        assert_eq!((goodbye.code, goodbye.words.chars().count()), (404, 100));
        assert!(goodbye.words.starts_with("NOT_FOUND - no\u{fffd}[31m queue  x"), "{}", goodbye.words);
        let declared = Said::Declared { queue: b"q".to_vec(), ready: 3 };
        assert_eq!(decode(&declare_ok("q", 3)), Some(declared));
        for unknown in [&[][..], &[0, 10, 0], &[0, 60, 0, 60], &[0, 10, 0, 10, 0, 9, 0xff, 0xff, 0xff, 0xff]] {
            assert_eq!(decode(unknown), None);
        }
    }

    #[test]
    fn a_name_is_never_longer_than_its_length_can_say() {
        let name = "ü".repeat(300);
        assert_eq!(Method(Vec::new()).short(&name).0.len(), 256);
        assert_eq!(declared(&declare("orders")), Some("orders".to_owned()));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_bytes_do_harm(bytes: Vec<u8>, class in 0_u16..60, method in 0_u16..70) {
            decode(&bytes);
            decode(&[&Method::new(class, method).0, bytes.as_slice()].concat());
        }
    }
}
