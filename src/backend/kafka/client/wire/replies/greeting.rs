//! The replies before any other: which versions a broker speaks, and the steps of a login.

use crate::{
    backend::kafka::client::wire::body::{Body, Malformed, push},
    limits,
};

/// Versions by request; the error code comes first in every version.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct ApiVersions {
    pub code: i16,
    /// Key, least and greatest version, of the requests that we may know.
    pub versions: Vec<(i16, i16, i16)>,
    pub throttle_ms: i32,
}

impl ApiVersions {
    /// Of requests beyond `most` nothing is kept.
    pub fn read(body: &mut Body<'_>, version: i16, most: i16) -> Result<Self, Malformed> {
        let mut reply = Self { code: body.i16()?, ..Self::default() };
        body.each(|body| {
            let of = (body.i16()?, body.i16()?, body.i16()?);
            body.tags()?;
            // Each once, however often it is said.
            if (0..=most).contains(&of.0) && !reply.versions.iter().any(|(key, ..)| *key == of.0) {
                reply.versions.push(of);
            }
            Ok(())
        })?;
        if version >= 1 {
            reply.throttle_ms = body.i32()?;
        }
        body.tags()?;
        Ok(reply)
    }
}

/// Whether a mechanism is taken, and which ones are offered.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct SaslHandshake {
    pub code: i16,
    pub mechanisms: Vec<String>,
}

impl SaslHandshake {
    pub fn read(body: &mut Body<'_>, _version: i16) -> Result<Self, Malformed> {
        let mut reply = Self { code: body.i16()?, ..Self::default() };
        body.each(|body| {
            let name = body.text()?;
            push(&mut reply.mechanisms, name.to_owned(), "mechanisms", limits::KAFKA_MECHANISMS)
        })?;
        Ok(reply)
    }
}

/// One step of a login.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct SaslAuthenticate {
    pub code: i16,
    pub message: Option<String>,
    pub bytes: Vec<u8>,
    /// For how long the login holds; 0 is for ever.
    pub lifetime_ms: i64,
}

impl SaslAuthenticate {
    pub fn read(body: &mut Body<'_>, version: i16) -> Result<Self, Malformed> {
        let code = body.i16()?;
        let message = body.optional_text()?.map(str::to_owned);
        let bytes = body.bytes()?.to_vec();
        let lifetime_ms = if version >= 1 { body.i64()? } else { 0 };
        body.tags()?;
        Ok(Self { code, message, bytes, lifetime_ms })
    }
}
