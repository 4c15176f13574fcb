//! `bootstrapServers`: a list of `host:port`, and what people write instead.
//!
//! An address that is not understood is refused without being shown: a URL may hold a password, and a list that is cut
//! at the commas of a password holds pieces of it.

use crate::{metadata::Reader, net::Reach};

pub const SERVERS: &str = "bootstrapServers";

/// Sorted, so that one cluster written in two orders is one connection.
pub fn read(keys: &mut Reader<'_>, reach: &Reach) -> Vec<String> {
    if keys.required(SERVERS).is_empty() {
        return Vec::new();
    }
    let given = keys.list(SERVERS).unwrap_or_default();
    let given: Vec<&str> = given.into_iter().filter(|server| !server.is_empty()).collect();
    if given.is_empty() {
        keys.problem(SERVERS, format!("`{SERVERS}` names no server: give `host:port`, several with commas"));
    }
    if given.iter().any(|server| server.contains('@')) {
        let text = format!(
            "`{SERVERS}` holds a user or a password: give `host:port` alone, and the login as `sasl`, `username` and `password`"
        );
        keys.problem(SERVERS, text);
        return Vec::new();
    }
    let mut servers = Vec::with_capacity(given.len());
    let mut scheme = false;
    for (index, server) in given.iter().enumerate() {
        let bare = without_scheme(server);
        scheme |= bare.is_some();
        let address = bare.unwrap_or(server);
        match host(address) {
            Some(host) => match reach.check_host(host) {
                Ok(()) => servers.push(address.to_owned()),
                Err(refusal) => keys.problem(SERVERS, format!("`{SERVERS}`: {refusal}")),
            },
            None => {
                let text = format!(
                    "`{SERVERS}` has no `host:port` as its address {}: give for instance `kafka.shop.svc:9092`",
                    index + 1
                );
                keys.problem(SERVERS, text);
            }
        }
    }
    if scheme {
        keys.warn(format!(
            "`{SERVERS}` has an address with a scheme (`SASL_SSL://`), which is taken off and sets nothing: TLS is `tls: enable`, a login is `sasl`"
        ));
    }
    servers.sort_unstable();
    servers.dedup();
    servers
}

/// What stands behind the scheme of a URL without a path, if it is one.
fn without_scheme(server: &str) -> Option<&str> {
    let (scheme, rest) = server.split_once("://")?;
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '+' | '-' | '.');
    if scheme.is_empty() || !scheme.chars().all(legal) {
        return None;
    }
    Some(rest.strip_suffix('/').unwrap_or(rest))
}

/// The host of `host:port`, without the brackets of an IPv6 address; `None` if it is anything else.
pub fn host(address: &str) -> Option<&str> {
    let (host, port) = address.rsplit_once(':')?;
    let port: u16 = port.bytes().all(|b| b.is_ascii_digit()).then(|| port.parse().ok())??;
    let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let legal = match bracketed {
        Some(v6) => v6.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            !host.is_empty()
                && host.len() <= 253
                && host.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
        }
    };
    (legal && port > 0).then(|| bracketed.unwrap_or(host))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{error::SpecError, metadata::Metadata, net::Rules};

    fn parse(text: &str, reach: &Reach) -> (Result<Vec<String>, SpecError>, Vec<String>) {
        let metadata: Metadata = [(SERVERS, text)].into_iter().collect();
        let mut keys = Reader::new(&metadata);
        let servers = read(&mut keys, reach);
        (keys.finish().map(|()| servers), keys.unknown_keys())
    }

    #[test]
    fn the_host_of_an_address_is_what_a_certificate_must_name() {
        for (address, expected) in [
            ("b1:9092", Some("b1")),
            ("my_broker-1.shop.svc.:9092", Some("my_broker-1.shop.svc.")),
            ("10.0.0.1:9092", Some("10.0.0.1")),
            ("[::1]:9092", Some("::1")),
            ("b1", None),
            (":9092", None),
            ("b1:kafka", None),
            ("b1:+9092", None),
            ("b1:0", None),
            ("b1:65536", None),
            ("::1:9092", None),
            ("[b1]:9092", None),
            ("b1/x:9092", None),
        ] {
            assert_eq!(host(address), expected, "{address}");
        }
    }

    #[test]
    fn a_scheme_is_taken_off_and_said_to_set_nothing() {
        for text in
            ["SASL_SSL://b1:9092", "b2:9092, PLAINTEXT://b1:9092/", "EXTERNAL://[::1]:9092", "kafka+ssl://b1:9092"]
        {
            let (servers, warnings) = parse(text, &Reach::open());
            let servers = servers.expect(text);
            assert!(servers.iter().all(|server| !server.contains("//") && host(server).is_some()), "{servers:?}");
            assert!(warnings.len() == 1 && warnings[0].contains("`tls: enable`"), "{warnings:?}");
        }
        assert_eq!(parse("b2:9092,b1:9092", &Reach::open()), (Ok(vec!["b1:9092".into(), "b2:9092".into()]), vec![]));
    }

    #[test]
    fn what_may_hold_a_password_is_refused_and_not_shown() {
        for text in [
            "SASL_SSL://user:hunter2@b1:9093",
            "user:hunter2@b1:9093",
            "b1:9092,SASL_SSL://user:hunter2@b2:9093",
            "SASL_SSL://user:hun,ter2,hunter2@b1:9093",
            "SASL_SSL://user:hunter2@b1:9093,b2:9093",
            "SASL_SSL://user:hunter2@",
            "b1:9093/?password=hunter2",
            "b1:9093;password=hunter2",
            "SASL_SSL://b1:9093/hunter2",
            "hunter2://",
            "://hunter2",
            "hunter2",
            "user:hunter2:b1:9093",
            "b1 hunter2:9093",
        ] {
            let (servers, warnings) = parse(text, &Reach::open());
            let error = servers.expect_err(text);
            assert!(error.problems.iter().all(|problem| problem.key == SERVERS), "{text}");
            assert!(error.to_string().contains("`host:port`"), "{error}");
            let said = format!("{error} {warnings:?}");
            assert!(!said.contains("hun") && !said.contains("ter2"), "{text}: {said}");
        }
    }

    #[test]
    fn a_server_that_the_rules_forbid_is_a_problem_of_the_key() {
        let closed = Reach::new(Rules { deny: vec!["*.bank.svc".parse().expect("a domain")], ..Rules::default() });
        for text in ["kafka.bank.svc:9092", "b1:9092,SSL://kafka.bank.svc:9092", "127.0.0.1:9092", "169.254.169.254:80"]
        {
            let error = parse(text, &closed).0.expect_err(text);
            assert_eq!(error.problems.len(), 1);
            assert!(error.to_string().contains("`bootstrapServers`: `"), "{error}");
            assert!(error.to_string().contains("may not be reached"), "{error}");
        }
        assert!(parse("kafka.shop.svc:9092", &closed).0.is_ok());
    }
}
