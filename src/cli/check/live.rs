//! `check --live`: the looks, some at a time.

use futures::{StreamExt, stream};

use crate::{
    check::{
        Readable, Report,
        live::{Looked, look as look_once},
    },
    limits,
};

/// Looks at each trigger once; what is wrong goes into `report`.
pub(super) async fn look(readable: &[Readable<'_, '_>], report: &mut Report) -> Vec<Looked> {
    let looks = readable.iter().map(look_once);
    let mut looked = Vec::new();
    for (one, findings) in stream::iter(looks).buffered(limits::LOOKS_AT_ONCE).collect::<Vec<_>>().await {
        looked.push(one);
        report.findings.extend(findings);
    }
    looked
}
