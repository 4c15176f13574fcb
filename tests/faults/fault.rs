//! What can befall a broker, and how each kind is done: by the proxy before it, by a signal to it, or by its own rights.
//!
//! Not for: what must hold meanwhile (`cell.rs`).

/// One kind of trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nobody listens, and what was connected is cut.
    Refused,
    /// Every connection is reset, as soon as something is said on it.
    Reset,
    /// Connections stay and nothing moves on them in either direction; new ones open and are silent.
    Frozen,
    /// What we say never arrives, and the broker's own words still do: half-open.
    Deaf,
    /// Each piece takes longer than a polling interval, each way.
    Slow,
    /// Answers come byte by byte.
    Trickling,
    /// An answer breaks off in its middle, and the connection ends.
    Truncated,
    /// Answers are as long as they should be and mean nothing.
    Garbage,
    /// The broker's process ends without a word.
    Killed,
    /// The broker's process stands still: its kernel still accepts.
    Stopped,
    /// The broker refuses our login or our rights.
    Denied,
}

impl Fault {
    pub const ALL: [Self; 11] = [
        Self::Refused,
        Self::Reset,
        Self::Frozen,
        Self::Deaf,
        Self::Slow,
        Self::Trickling,
        Self::Truncated,
        Self::Garbage,
        Self::Killed,
        Self::Stopped,
        Self::Denied,
    ];

    /// As tables and selections write it.
    pub fn name(self) -> String {
        format!("{self:?}").to_lowercase()
    }

    /// Whether the broker itself is hit, so that it cannot be written to meanwhile.
    pub fn hits_the_process(self) -> bool {
        matches!(self, Self::Killed | Self::Stopped)
    }
}
