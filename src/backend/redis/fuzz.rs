//! A server's bytes as a fuzzer has them.

use std::sync::Arc;

use super::{
    client::fuzz::replies,
    measure::{Look, Measure, Memory, Step},
    refusal::Place,
};

/// What a key can be asked for, times what can be answered: replies in a row, to every question.
pub fn answer(data: &[u8]) {
    let replies = replies(data);
    let (key, group): (Arc<str>, Arc<str>) = ("key".into(), "group".into());
    let group = || Arc::clone(&group);
    for measure in
        [Measure::Length, Measure::StreamLength, Measure::Pending { group: group() }, Measure::Lag { group: group() }]
    {
        let mut look = Look::new(Arc::clone(&key), measure, Memory::default());
        let mut rest = replies.as_slice();
        while let Some((now, later)) = rest.split_at_checked(look.commands().len()) {
            let Ok(Step::Again(next)) = look.judge(&Place::node(&"redis:6379"), now) else { break };
            (look, rest) = (next, later);
        }
    }
}
