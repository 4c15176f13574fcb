//! Which groups are share groups (KIP-932).

use crate::{
    backend::kafka::client::wire::body::{Body, Malformed, push},
    limits,
};

/// The share groups among those that were asked for; the others are left out.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct ShareGroups {
    pub throttle_ms: i32,
    pub groups: Vec<String>,
}

impl ShareGroups {
    pub fn read(body: &mut Body<'_>, _version: i16) -> Result<Self, Malformed> {
        let mut reply = Self { throttle_ms: body.i32()?, ..Self::default() };
        body.each(|body| {
            let code = body.i16()?;
            body.optional_text()?;
            let group = body.text()?;
            if code == 0 {
                push(&mut reply.groups, group.to_owned(), "groups", limits::KAFKA_GROUPS)?;
            }
            // State, epochs of the group and its assignment, assignor.
            body.text()?;
            body.skip(8)?;
            body.text()?;
            body.each(skip_member)?;
            body.i32()?;
            body.tags()
        })?;
        body.tags()?;
        Ok(reply)
    }
}

fn skip_member(body: &mut Body<'_>) -> Result<(), Malformed> {
    // Its id, rack and epoch, the client's id and host.
    body.text()?;
    body.optional_text()?;
    body.i32()?;
    body.text()?;
    body.text()?;
    body.each(|topic| topic.text().map(drop))?;
    // The assignment.
    body.each(|body| {
        body.uuid()?;
        body.text()?;
        body.skip_each(4)?;
        body.tags()
    })?;
    body.tags()?;
    body.tags()
}
