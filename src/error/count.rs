//! Numbers of things in a sentence.

use std::fmt::Display;

/// `1 trigger`, `2 triggers`, `3 pushes`: so many of `thing`, which takes an s as words do.
#[must_use]
pub fn counted(count: impl Display, thing: &str) -> String {
    let count = count.to_string();
    let ending = match count.as_str() {
        "1" => "",
        _ if ["s", "x", "ch", "sh"].iter().any(|end| thing.ends_with(end)) => "es",
        _ => "s",
    };
    format!("{count} {thing}{ending}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_one_and_all_else_are_many() {
        for (count, thing, text) in [
            (0, "look", "0 looks"),
            (1, "failed look", "1 failed look"),
            (2, "failed look", "2 failed looks"),
            (1, "push", "1 push"),
            (11, "push", "11 pushes"),
            (21, "trigger", "21 triggers"),
        ] {
            assert_eq!(counted(count, thing), text);
        }
        assert_eq!((counted(1.0, "read"), counted(1.5, "read")), ("1 read".to_owned(), "1.5 reads".to_owned()));
    }
}
