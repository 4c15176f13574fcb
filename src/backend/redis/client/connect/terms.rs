//! Our commands and replies in the client library's terms, and back.

use redis::{Cmd, PushInfo, PushKind, ServerError, Value};

use crate::backend::redis::reply::{Command, Refusal, Reply};

/// What Redis says unasked about keys.
#[derive(Debug, PartialEq, Eq)]
pub enum Heard {
    /// This key has changed.
    Key(String),
    /// All have.
    Everything,
}

/// `command` as the library packs it.
pub fn pack(command: &Command) -> Cmd {
    let mut packed = Cmd::new();
    for word in command.name.split(' ') {
        packed.arg(word);
    }
    for arg in &command.args {
        packed.arg(&**arg);
    }
    packed
}

/// A reply as the library has parsed it.
pub fn reply(value: Value) -> Reply {
    match value {
        Value::Nil => Reply::Nil,
        Value::Int(number) => Reply::Int(number),
        Value::BulkString(bytes) => Reply::Text(String::from_utf8_lossy(&bytes).into_owned()),
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => Reply::Text(text),
        Value::Okay => Reply::Text("OK".to_owned()),
        Value::Array(items) | Value::Set(items) => Reply::List(items.into_iter().map(reply).collect()),
        Value::Map(pairs) => Reply::List(pairs.into_iter().flat_map(|(k, v)| [reply(k), reply(v)]).collect()),
        Value::Attribute { data, .. } => reply(*data),
        Value::ServerError(error) => Reply::Error(refusal(&error)),
        _ => Reply::Other,
    }
}

/// An error of the server's.
pub fn refusal(error: &ServerError) -> Refusal {
    Refusal { code: error.code().to_owned(), text: error.details().unwrap_or_default().to_owned() }
}

/// The keys that a push is about; after `FLUSHALL` and the like, everything.
pub fn heard(push: PushInfo) -> Vec<Heard> {
    if push.kind != PushKind::Invalidate {
        return Vec::new();
    }
    let keys = push.data.into_iter().flat_map(|data| match data {
        Value::Array(keys) => keys,
        other => vec![other],
    });
    keys.filter_map(|key| match reply(key) {
        Reply::Text(key) => Some(Heard::Key(key)),
        Reply::Nil => Some(Heard::Everything),
        _ => None,
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_of_two_words_is_packed_as_two() {
        let packed = pack(&Command::new("XINFO GROUPS", ["s"])).get_packed_command();
        assert_eq!(String::from_utf8_lossy(&packed), "*3\r\n$5\r\nXINFO\r\n$6\r\nGROUPS\r\n$1\r\ns\r\n");
    }

    #[test]
    fn maps_look_alike_in_both_protocols() {
        let text = |text: &str| Value::BulkString(text.into());
        let old = reply(Value::Array(vec![text("lag"), Value::Int(3)]));
        let new = reply(Value::Map(vec![(text("lag"), Value::Int(3))]));
        assert_eq!(old, new);
        assert_eq!(new.field("lag"), Some(&Reply::Int(3)));
    }

    #[test]
    fn an_invalidation_names_keys_or_everything() {
        let push = |kind, data| PushInfo { kind, data };
        let keys = Value::Array(vec![Value::BulkString("a".into()), Value::BulkString("b".into())]);
        let both = [Heard::Key("a".to_owned()), Heard::Key("b".to_owned())];
        assert_eq!(heard(push(PushKind::Invalidate, vec![keys])), both);
        assert_eq!(heard(push(PushKind::Invalidate, vec![Value::Nil])), [Heard::Everything]);
        assert_eq!(heard(push(PushKind::Disconnection, vec![])), []);
    }
}
