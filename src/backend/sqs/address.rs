//! Which queue is meant: KEDA's rules for `queueURL`, a URL or a bare name.

use crate::net::http::Url;

/// A queue as the trigger names it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Address {
    /// As it stands in the trigger, and as it is sent.
    pub given: String,
    /// The queue's name.
    pub name: String,
    /// The first segment of a URL's path: the account, on AWS. `None` for a bare name.
    pub account: Option<String>,
}

/// A name as SQS takes it: 80 characters, and `.fifo`.
const LONGEST_NAME: usize = 85;

impl Address {
    /// `None` for a URL whose path is neither `/<account>/<name>` nor, as LocalStack has it,
    /// `/queue/<region>/<account>/<name>`; and for a name that no queue can have. What is no URL is a name.
    pub fn parse(given: &str) -> Option<Self> {
        let Some(path) = path(given) else {
            return is_name(given).then(|| Self { given: given.to_owned(), name: given.to_owned(), account: None });
        };
        let segments: Vec<&str> = path.strip_prefix('/')?.split('/').collect();
        match segments.as_slice() {
            [account, name] | ["queue", _, account, name] if is_name(name) => {
                Some(Self { given: given.to_owned(), name: (*name).to_owned(), account: Some((*account).to_owned()) })
            }
            _ => None,
        }
    }

    /// The region that a URL names: `https://sqs.eu-west-1.amazonaws.com/…`, the old
    /// `https://eu-west-1.queue.amazonaws.com/…`, or in one of LocalStack's ways.
    #[must_use]
    pub fn region(&self) -> Option<&str> {
        let mut parts = self.given.split_once("://")?.1.split('/');
        let labels: Vec<&str> = parts.next()?.split('.').collect();
        match labels.as_slice() {
            ["sqs" | "sqs-fips", region, "amazonaws" | "api" | "localhost", ..]
            | [region, "queue", "amazonaws" | "localhost", ..] => Some(region),
            _ => match (parts.next(), parts.next(), parts.count()) {
                (Some("queue"), Some(region), 2) => Some(region),
                _ => None,
            },
        }
    }

    /// Scheme, host and port of a URL that is not of AWS.
    #[must_use]
    pub fn elsewhere(&self) -> Option<String> {
        let url = Url::parse(&self.given).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
        let aws = [".amazonaws.com", ".amazonaws.com.cn", ".api.aws"];
        let host = url.host_str()?;
        (!aws.iter().any(|domain| host.ends_with(domain))).then(|| url.origin().ascii_serialization())
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= LONGEST_NAME
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

/// The path of a request URI: with a scheme, or beginning with `/`. `None` for anything else.
fn path(text: &str) -> Option<&str> {
    let rest = match text.split_once(':') {
        Some((scheme, rest)) if is_scheme(scheme) => rest,
        _ if text.starts_with('/') => text,
        _ => return None,
    };
    let rest = rest.split('?').next().unwrap_or_default();
    Some(match rest.strip_prefix("//") {
        Some(after) => after.find('/').and_then(|at| after.get(at..)).unwrap_or_default(),
        None => rest,
    })
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
}
