//! Which version of each request a broker speaks.

use std::{collections::HashMap, time::Duration};

use kafka_protocol::{
    messages::ApiVersionsRequest,
    protocol::{StrBytes, VersionRange},
};

use super::{body::Body, codes, frames, link::Link, replies::ApiVersions, requests::Ask};
use crate::error::{ReadError, ReadErrorKind};

/// What we ask first. A broker that does not know it answers in version 0, with what it does know.
const FIRST: i16 = 3;

/// The versions of one broker, by request.
#[derive(Debug)]
pub struct Versions(HashMap<i16, VersionRange>);

impl Versions {
    pub fn of(&self, key: i16) -> Option<VersionRange> {
        self.0.get(&key).copied()
    }
}

impl From<ApiVersions> for Versions {
    fn from(reply: ApiVersions) -> Self {
        Self(reply.versions.into_iter().map(|(key, min, max)| (key, VersionRange { min, max })).collect())
    }
}

/// Asks a fresh link which versions it speaks.
pub async fn negotiate(link: &Link, within: Duration) -> Result<Versions, ReadError> {
    let (mut code, mut versions) = ask(link, FIRST, within).await?;
    if code == codes::UNSUPPORTED_VERSION {
        let next = match versions.as_ref().ok().and_then(|versions| versions.of(ApiVersionsRequest::KEY)) {
            Some(theirs) if theirs.max < FIRST => theirs.max,
            Some(theirs) if theirs.min > FIRST => theirs.min,
            // It does not say, or not so that we can read it (librdkafka's mock cluster).
            _ => 0,
        };
        (code, versions) = ask(link, next, within).await?;
    }
    if code != 0 {
        return Err(codes::error(code, &format!("`{}`", link.peer().address)).of_connection());
    }
    versions
}

/// The error code, and the versions if they can be read.
async fn ask(link: &Link, version: i16, within: Duration) -> Result<(i16, Result<Versions, ReadError>), ReadError> {
    let request = match version {
        // Only these have room for a name.
        3.. => ApiVersionsRequest::default()
            .with_client_software_name(StrBytes::from_static_str(env!("CARGO_PKG_NAME")))
            .with_client_software_version(StrBytes::from_static_str(env!("CARGO_PKG_VERSION"))),
        _ => ApiVersionsRequest::default(),
    };
    let frame = link.raw(&request, version, within).await?;
    // The error code comes first in every version; it says in which version the rest is written.
    let mut head = Body::new(&frame, false);
    let code = head.i32().and_then(|_| head.i16()).unwrap_or_default();
    let written_in = if code == codes::UNSUPPORTED_VERSION { 0 } else { version };
    let versions = frames::decode::<ApiVersionsRequest>(&frame, written_in).map(Versions::from).map_err(|_| {
        let text = format!("`{}` answers our greeting in no way we know: is it a Kafka broker?", link.peer().address);
        ReadError::new(ReadErrorKind::BadReply, text)
    });
    Ok((code, versions))
}
