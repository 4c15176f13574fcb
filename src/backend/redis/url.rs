//! An address given as a URL, `rediss://user:password@host:6379/0`, as Redis services print it: taken apart.
//!
//! Not for: which keys of a trigger its parts stand for (`address.rs`, `spec.rs`). Nothing here shows the text: it may
//! hold a password, wherever somebody has put it.

use percent_encoding::percent_decode_str;

use crate::metadata::Secret;

/// What a URL says beside host and port.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Extras {
    /// `rediss` or `redis`.
    pub tls: Option<bool>,
    /// The user.
    pub username: Option<String>,
    /// The password.
    pub password: Option<Secret>,
    /// The number in its path.
    pub database: Option<i64>,
    /// There was more, which means nothing to us.
    pub ignored: bool,
}

impl Extras {
    /// Takes over what `other` says, too; false when the two differ in something that both say.
    pub fn merge(&mut self, other: Self) -> bool {
        fn one<T: PartialEq>(mine: &mut Option<T>, other: Option<T>) -> bool {
            let agree = mine.is_none() || other.is_none() || *mine == other;
            *mine = mine.take().or(other);
            agree
        }
        self.ignored |= other.ignored;
        let Self { tls, username, password, database, .. } = other;
        one(&mut self.tls, tls)
            & one(&mut self.username, username)
            & one(&mut self.password, password)
            & one(&mut self.database, database)
    }
}

/// A URL, taken apart.
#[derive(Debug, Clone, PartialEq)]
pub struct Url {
    /// As it stands there; IPv6 in brackets.
    pub host: String,
    /// If it is given.
    pub port: Option<u16>,
    /// The rest.
    pub extras: Extras,
}

const SOCKET: &str = "is a Unix socket, which no other machine can reach: write `host:port`";
const NO_SCHEME: &str = "is a URL of another kind: write `host:port`, `redis://…` or `rediss://…`";
const NO_HOST: &str = "is a URL without a host: write `redis://host:6379`";
const NO_PORT: &str = "is a URL whose port is not a number from 0 to 65535";
const NO_DATABASE: &str = "is a URL whose path is not the number of a database: write `redis://host:6379/0`";
const NOT_TEXT: &str = "is a URL whose user or password is not UTF-8 when its `%` codes are read";

/// Takes `text` apart, if it is a URL or has a user part at least; the error says what is wrong, and nothing of it.
pub fn parse(text: &str) -> Result<Option<Url>, &'static str> {
    let (scheme, rest) = match text.split_once("://") {
        Some((scheme, rest)) => (Some(scheme.to_ascii_lowercase()), rest),
        None => (None, text),
    };
    if text.starts_with('/') || is_socket(scheme.as_deref().unwrap_or(text)) {
        return Err(SOCKET);
    }
    // The last one: a password may have others in it, and nothing after it may.
    let (user_part, place) = match rest.rsplit_once('@') {
        Some((user_part, place)) => (Some(user_part), place),
        None if scheme.is_none() => return Ok(None),
        None => (None, rest),
    };
    let mut extras = Extras { tls: tls_of(scheme.as_deref())?, ..Extras::default() };
    if let Some(user_part) = user_part {
        let (username, password) = user_part.split_once(':').map_or((user_part, ""), |parts| parts);
        extras.username = decoded(username)?;
        extras.password = decoded(password)?.map(Secret::new);
    }
    let (place, query) = place.split_once(['?', '#']).unwrap_or((place, ""));
    let (place, path) = place.split_once('/').unwrap_or((place, ""));
    let database = query.split('&').find_map(|pair| pair.strip_prefix("db=")).filter(|_| path.is_empty());
    extras.ignored = !query.is_empty() && database.is_none_or(|database| query.len() > "db=".len() + database.len());
    extras.database = match database.unwrap_or(path) {
        "" => None,
        digits if digits.bytes().all(|c| c.is_ascii_digit()) => Some(digits.parse().map_err(|_| NO_DATABASE)?),
        _ => return Err(NO_DATABASE),
    };
    let (host, port) = host_and_port(place)?;
    Ok(Some(Url { host: host.to_owned(), port, extras }))
}

/// Splits a list at its commas, but for those inside a user part, which ends in the next `@`.
pub fn split(text: &str) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    for part in text.split(',') {
        let ends_another = part.contains('@') && !part.contains("://");
        // It began with a scheme, or with the first part since the last `@`.
        let since = parts.iter().rposition(|part| part.contains('@')).map_or(0, |last| last + 1);
        let begun = parts.iter().rposition(|part| part.contains("://")).map_or(since, |scheme| scheme.max(since));
        let user_part = if ends_another { parts.split_off(begun) } else { Vec::new() };
        parts.push(user_part.iter().map(|part| format!("{part},")).chain([part.to_owned()]).collect());
    }
    parts.into_iter().map(|part| part.trim().to_owned()).collect()
}

fn is_socket(start: &str) -> bool {
    let start = start.to_ascii_lowercase();
    start == "unix" || start.starts_with("unix:") || start.ends_with("+socket") || start.ends_with("+unix")
}

fn tls_of(scheme: Option<&str>) -> Result<Option<bool>, &'static str> {
    match scheme {
        None | Some("tcp") => Ok(None),
        Some("redis" | "valkey") => Ok(Some(false)),
        Some("rediss" | "valkeys") => Ok(Some(true)),
        Some(_) => Err(NO_SCHEME),
    }
}

fn decoded(part: &str) -> Result<Option<String>, &'static str> {
    let text = percent_decode_str(part).decode_utf8().map_err(|_| NOT_TEXT)?;
    Ok((!text.is_empty()).then(|| text.into_owned()))
}

fn host_and_port(place: &str) -> Result<(&str, Option<u16>), &'static str> {
    let (host, port) = match place.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port.parse().map_err(|_| NO_PORT)?)),
        _ => (place, None),
    };
    if host.is_empty() && port.is_none() { Err(NO_HOST) } else { Ok((host, port)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(
        text: &str,
        host: &str,
        port: Option<u16>,
        login: (Option<&str>, Option<&str>),
        rest: (Option<bool>, Option<i64>),
    ) {
        let url = parse(text).expect("legal").expect("a URL");
        assert_eq!((&*url.host, url.port), (host, port), "{text}");
        let password = url.extras.password.as_ref().map(Secret::expose);
        assert_eq!((url.extras.username.as_deref(), password), login, "{text}");
        assert_eq!((url.extras.tls, url.extras.database), rest, "{text}");
    }

    #[test]
    fn a_url_is_taken_apart() {
        check("rediss://default:PW@h:6379", "h", Some(6379), (Some("default"), Some("PW")), (Some(true), None));
        check("redis://h", "h", None, (None, None), (Some(false), None));
        check("REDIS://:PW@[::1]:7/3", "[::1]", Some(7), (None, Some("PW")), (Some(false), Some(3)));
        check("valkeys://[::1]", "[::1]", None, (None, None), (Some(true), None));
        check("u:PW@h:1", "h", Some(1), (Some("u"), Some("PW")), (None, None));
        check("tcp://10.0.0.1:6379", "10.0.0.1", Some(6379), (None, None), (None, None));
        check("redis://u:p%40s%3As@h:1/0?db=2", "h", Some(1), (Some("u"), Some("p@s:s")), (Some(false), Some(0)));
        check("redis://h:1?db=2", "h", Some(1), (None, None), (Some(false), Some(2)));
        // As people paste them: not encoded.
        check("redis://u:a/b@c#d?e:f%@h:1", "h", Some(1), (Some("u"), Some("a/b@c#d?e:f%")), (Some(false), None));
        check("redis://:6379", "", Some(6379), (None, None), (Some(false), None));
    }

    #[test]
    fn a_plain_address_is_none() {
        for text in ["h:6379", "[::1]:6379", ":7001", "", "justhost", "h:p"] {
            assert_eq!(parse(text), Ok(None), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_followed_says_what_would_be_right_and_nothing_of_itself() {
        for (text, why) in [
            ("unix:///PW/redis.sock", "Unix socket"),
            ("unix:/PW", "Unix socket"),
            ("redis+socket://u:PW@/tmp/redis.sock", "Unix socket"),
            ("/PW/redis.sock", "Unix socket"),
            ("http://u:PW@h", "another kind"),
            ("PW://h", "another kind"),
            ("redis://", "without a host"),
            ("redis://u:PW@", "without a host"),
            ("redis://u:PW@h:PW", "port"),
            ("redis://PW:PW", "port"),
            ("redis://u:PW@h:1/PW", "path"),
            ("redis://u:%ffPW@h:1", "UTF-8"),
        ] {
            let error = parse(text).expect_err(text);
            assert!(error.contains(why) && !error.contains("PW"), "{text}: {error}");
        }
    }

    #[test]
    fn a_comma_in_a_password_does_not_split_it() {
        assert_eq!(split("a:1, b:2"), ["a:1", "b:2"]);
        assert_eq!(split("redis://u:p,q,r@h:1,redis://u:p@g:2"), ["redis://u:p,q,r@h:1", "redis://u:p@g:2"]);
        assert_eq!(split("a:1,redis://u:p,q@h:1,b:2"), ["a:1", "redis://u:p,q@h:1", "b:2"]);
        assert_eq!(split("u:p,q@h:1,b:2"), ["u:p,q@h:1", "b:2"]);
    }
}
