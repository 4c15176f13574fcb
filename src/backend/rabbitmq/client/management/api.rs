//! The management API: which paths answer what, and what its refusals mean.

use serde::Deserialize;

use crate::{
    backend::rabbitmq::{
        connection::{Login, Management},
        question::no_queue,
    },
    error::{
        ReadError,
        ReadErrorKind::{BadReply, Denied, NotFound, Timeout},
        give_login, quoted,
    },
    limits,
    net::http::{self, Answer, StatusCode, escape},
};

/// Asks the queues themselves, not the statistics. A server that does not know this ignores it.
const FRESH: &str = "disable_stats=true&enable_queue_totals=true&columns=name,messages,messages_ready,messages_details";
const SAMPLED: &str = "columns=name,messages,messages_ready";
const WITH_RATES: &str = "columns=name,messages,messages_ready,message_stats";

/// Which numbers are wanted.
#[derive(Debug, Clone, Copy)]
pub(super) enum Numbers {
    /// Counts as they are now.
    Fresh,
    /// Counts from the statistics, some seconds old.
    Sampled,
    /// Counts and rates from the statistics.
    Rates,
}

/// What a request was about, for the words of its refusal.
#[derive(Debug, Clone, Copy)]
pub(super) enum Scope<'s> {
    Vhost,
    Queue(&'s str),
}

/// All queues of the vhost.
pub(super) fn list(to: &Management) -> String {
    format!("{}?{FRESH}", queues(to))
}

/// One queue.
pub(super) fn queue(to: &Management, name: &str, numbers: Numbers) -> String {
    format!("{}/{}?{}", queues(to), escape(name), columns(numbers))
}

/// The `page`th page, from 1, of the queues whose names match.
pub(super) fn page(to: &Management, pattern: &str, page_size: u16, page: u32, numbers: Numbers) -> String {
    let (queues, pattern, columns) = (queues(to), escape(pattern), columns(numbers));
    format!("{queues}?page={page}&use_regex=true&pagination=false&name={pattern}&page_size={page_size}&{columns}")
}

fn queues(to: &Management) -> String {
    format!("{}/api/queues/{}", to.sub_path, escape(&to.vhost))
}

fn columns(numbers: Numbers) -> &'static str {
    match numbers {
        Numbers::Fresh => FRESH,
        Numbers::Sampled => SAMPLED,
        Numbers::Rates => WITH_RATES,
    }
}

/// `spec.rs` lets through what Go would.
pub(super) fn no_url(place: &str) -> ReadError {
    ReadError::new(BadReply, format!("`{place}` is no address to send a request to: correct `host`")).of_connection()
}

/// A pattern matches more than will be read.
pub(super) fn too_many_pages(place: &str, pattern: &str) -> ReadError {
    let most = limits::HTTP_PAGES;
    let text = format!(
        "`{place}` has more than {most} pages of queues that match `{pattern}`: match fewer by `queueName`, or raise `pageSize`"
    );
    ReadError::new(BadReply, text)
}

/// Nobody waits for the rest of the pages.
pub(super) fn too_late(place: &str) -> ReadError {
    let text = format!("`{place}` has not told all pages of queues in time: check its load, or raise `timeout`");
    ReadError::new(Timeout, text).of_source()
}

/// How the API says no.
#[derive(Debug, Default, Deserialize)]
struct Refusal {
    #[serde(default)]
    reason: serde_json::Value,
}

/// What an answer other than 200 means.
pub(super) fn refused(to: &Management, answer: &Answer, scope: Scope<'_>) -> ReadError {
    let place = format!("`{}`", to.origin);
    let refusal = refusal(answer);
    let reason = quoted(refusal.as_ref().and_then(|refusal| refusal.reason.as_str()).unwrap_or_default());
    let reason = reason.as_str();
    let vhost = &to.vhost;
    match (answer.status, scope) {
        (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, _) => {
            ReadError::new(Denied, not_authorised(to, &place, answer.status, reason)).of_connection()
        }
        // The API's own words are JSON; anything else is not the API.
        (StatusCode::NOT_FOUND | StatusCode::BAD_REQUEST, _) if refusal.is_none() => {
            let path = if to.sub_path.is_empty() { "/" } else { &to.sub_path };
            let text = format!("{place} has no management API below `{path}`: correct the path of `host`");
            ReadError::new(NotFound, text).of_connection()
        }
        (StatusCode::NOT_FOUND, Scope::Queue(queue)) => no_queue(queue, vhost),
        (StatusCode::NOT_FOUND, Scope::Vhost) => {
            let text =
                format!("{place} has no vhost `{vhost}`: create it, or correct `vhostName` or the path of `host`");
            ReadError::new(NotFound, text).of_connection()
        }
        (StatusCode::BAD_REQUEST, _) if !reason.is_empty() => {
            ReadError::new(BadReply, format!("{place} does not take the question, {reason}: correct `queueName`"))
        }
        (_, _) if reason.is_empty() => answer.refusal(&place),
        (status, _) => ReadError::new(http::kind(status), format!("{place} answered {status}, {reason}: see its log")),
    }
}

/// Its own words, if they are as short as they always are.
fn refusal(answer: &Answer) -> Option<Refusal> {
    const LONGEST: usize = 64 << 10;
    serde_json::from_slice(answer.body.get(..answer.body.len().min(LONGEST))?).ok()
}

fn not_authorised(to: &Management, place: &str, status: StatusCode, reason: &str) -> String {
    let who = match &to.login {
        Login::Password { username, .. } => format!("user `{username}`"),
        Login::OAuth(oauth) => format!("the token of client `{}`", oauth.client_id),
        Login::Azure(_) => "the token of the server's workload identity".to_owned(),
        _ => return format!("{place} wants a login: {}", give_login(&["username", "password"])),
    };
    let said = if reason.is_empty() { String::new() } else { format!(", {reason}") };
    let vhost = &to.vhost;
    match reason {
        "Not management user" => format!("{place} keeps {who} from its API: give the user the tag `management`"),
        reason if reason.contains("virtual host") => {
            format!("{place} refuses {who} vhost `{vhost}`: grant access to it, no permission in it is needed")
        }
        _ if matches!(to.login, Login::OAuth(_)) => {
            format!(
                "{place} refuses {who} with {status}{said}: grant it the scope that reads vhost `{vhost}`, see `scopes`"
            )
        }
        _ if matches!(to.login, Login::Azure(_)) => {
            format!(
                "{place} refuses {who} with {status}{said}: grant it access to vhost `{vhost}`, and check `workloadIdentityResource`"
            )
        }
        _ => format!(
            "{place} refuses {who} with {status}{said}: correct `username` and `password`, or the user part of `host`"
        ),
    }
}
