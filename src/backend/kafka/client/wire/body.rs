//! Reads the body of a reply, and believes nothing that it claims.
//!
//! What is not needed is stepped over, so a reply costs no more memory than what is kept of it; and as each element
//! of an array takes a byte at least, none is walked for longer than the reply is. Not for: which fields a reply has
//! (`replies`).

use uuid::Uuid;

/// A reply that is not what it should be. The texts are constant: they hold nothing of the reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// A field goes on beyond the end.
    #[error("it ends too early")]
    Short,
    /// More elements than the bytes that are left.
    #[error("it claims more elements than it holds")]
    Count,
    /// More of these than any cluster has.
    #[error("it has more than {1} {0}")]
    TooMany(&'static str, usize),
    /// A length or a variable-length number that cannot be.
    #[error("a number in it cannot be")]
    Number,
    /// Text that is not UTF-8.
    #[error("a text in it is not UTF-8")]
    Text,
    /// Absent though it may not be.
    #[error("a field in it is absent")]
    Absent,
}

type Read<T> = Result<T, Malformed>;

/// What is left of a reply.
#[derive(Debug, Clone)]
pub struct Body<'f> {
    rest: &'f [u8],
    /// Whether lengths are varints and structures end with tagged fields (KIP-482).
    flexible: bool,
}

macro_rules! numbers {
    ($($name:ident: $type:ty),*) => {$(
        pub fn $name(&mut self) -> Read<$type> {
            let (number, rest) = self.rest.split_first_chunk().ok_or(Malformed::Short)?;
            self.rest = rest;
            Ok(<$type>::from_be_bytes(*number))
        }
    )*};
}

impl<'f> Body<'f> {
    pub fn new(bytes: &'f [u8], flexible: bool) -> Self {
        Self { rest: bytes, flexible }
    }

    /// What comes behind a header, which may be written otherwise.
    pub fn into_body(self, flexible: bool) -> Self {
        Self { flexible, ..self }
    }

    numbers!(i8: i8, i16: i16, i32: i32, i64: i64);

    pub fn uuid(&mut self) -> Read<Uuid> {
        let (bytes, rest) = self.rest.split_first_chunk().ok_or(Malformed::Short)?;
        self.rest = rest;
        Ok(Uuid::from_bytes(*bytes))
    }

    /// `None` is null.
    pub fn optional_text(&mut self) -> Read<Option<&'f str>> {
        let length = if self.flexible { self.compact_length()? } else { length(self.i16()?.into())? };
        let Some(length) = length else { return Ok(None) };
        std::str::from_utf8(self.take(length)?).map(Some).map_err(|_| Malformed::Text)
    }

    pub fn text(&mut self) -> Read<&'f str> {
        self.optional_text()?.ok_or(Malformed::Absent)
    }

    /// Null is nothing.
    pub fn bytes(&mut self) -> Read<&'f [u8]> {
        let length = if self.flexible { self.compact_length()? } else { length(self.i32()?)? };
        self.take(length.unwrap_or(0))
    }

    /// Reads each element of an array; a null array has none.
    pub fn each(&mut self, mut read: impl FnMut(&mut Self) -> Read<()>) -> Read<()> {
        for _ in 0..self.count()? {
            read(self)?;
        }
        Ok(())
    }

    /// Steps over an array whose elements have `size` bytes each, and no fields that are tagged.
    pub fn skip_each(&mut self, size: usize) -> Read<()> {
        let count = self.count()?;
        self.skip(count.checked_mul(size).ok_or(Malformed::Count)?)
    }

    pub fn skip(&mut self, count: usize) -> Read<()> {
        self.take(count).map(drop)
    }

    /// Steps over the tagged fields at the end of a structure, if it has any.
    pub fn tags(&mut self) -> Read<()> {
        if !self.flexible {
            return Ok(());
        }
        for _ in 0..self.varint()? {
            self.varint()?;
            let size = self.varint()?;
            self.skip(usize::try_from(size).map_err(|_| Malformed::Number)?)?;
        }
        Ok(())
    }

    fn count(&mut self) -> Read<usize> {
        let count = if self.flexible { self.compact_length()? } else { length(self.i32()?)? }.unwrap_or(0);
        if count <= self.rest.len() { Ok(count) } else { Err(Malformed::Count) }
    }

    /// One more than the length; 0 is null.
    fn compact_length(&mut self) -> Read<Option<usize>> {
        let coded = self.varint()?;
        coded.checked_sub(1).map(|length| usize::try_from(length).map_err(|_| Malformed::Number)).transpose()
    }

    fn varint(&mut self) -> Read<u32> {
        let mut value = 0_u32;
        for shift in (0..35).step_by(7) {
            let (byte, rest) = self.rest.split_first().ok_or(Malformed::Short)?;
            self.rest = rest;
            let bits = u32::from(byte & 0x7f);
            if shift == 28 && bits > 0xf {
                return Err(Malformed::Number);
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Malformed::Number)
    }

    fn take(&mut self, count: usize) -> Read<&'f [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(Malformed::Short)?;
        self.rest = rest;
        Ok(taken)
    }
}

/// Adds to a list that has a bound.
pub fn push<T>(list: &mut Vec<T>, item: T, what: &'static str, most: usize) -> Read<()> {
    if list.len() >= most {
        return Err(Malformed::TooMany(what, most));
    }
    list.push(item);
    Ok(())
}

/// −1 is null.
fn length(stated: i32) -> Read<Option<usize>> {
    match stated {
        -1 => Ok(None),
        length => usize::try_from(length).map(Some).map_err(|_| Malformed::Number),
    }
}
