//! Which queue is meant: KEDA's rules for `queueURL`, a URL or a bare name.

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

impl Address {
    /// `None` for a URL whose path is not `/<account>/<name>`. What is no URL is a name, whatever it looks like.
    pub fn parse(given: &str) -> Option<Self> {
        let Some(path) = path(given) else {
            return Some(Self { given: given.to_owned(), name: given.to_owned(), account: None });
        };
        let mut segments = path.strip_prefix('/')?.split('/');
        match (segments.next(), segments.next(), segments.next()) {
            (Some(account), Some(name), None) if !name.is_empty() => {
                Some(Self { given: given.to_owned(), name: name.to_owned(), account: Some(account.to_owned()) })
            }
            _ => None,
        }
    }

    /// The region in the host name of a URL on AWS: `https://sqs.eu-west-1.amazonaws.com/…`, or the old
    /// `https://eu-west-1.queue.amazonaws.com/…`.
    #[must_use]
    pub fn region(&self) -> Option<&str> {
        let host = self.given.split_once("://")?.1.split('/').next()?;
        let labels: Vec<&str> = host.split('.').collect();
        match labels.as_slice() {
            ["sqs" | "sqs-fips", region, "amazonaws" | "api", ..] | [region, "queue", "amazonaws", ..] => Some(region),
            _ => None,
        }
    }
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
