//! A question as an HTTP request: KEDA's, but for the escaping of blanks.
//!
//! Not for: what changes from request to request of one sender, a token or a signature (`credentials.rs`).

use std::time::SystemTime;

use super::{
    super::connection::{Authorization, Connection},
    Question,
};
use crate::{
    clock::since_epoch,
    error::{ReadError, ReadErrorKind},
    metadata::Secret,
    net::http::{
        self, Method, Request,
        header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
    },
};

/// The query, the time, and all that shows the sender by itself. In a URL, or with POST in the body.
pub fn build(connection: &Connection, method: Method, question: &Question) -> Result<Request, ReadError> {
    let mut url = connection.server.clone();
    let path = format!("{}/api/v1/query", url.path().strip_suffix('/').unwrap_or(url.path()));
    url.set_path(&path);
    let headers = headers(connection)?;
    let authorization = &connection.auth.authorization;
    if headers.contains_key(AUTHORIZATION) || *authorization != Authorization::None {
        // The address' own login comes last, as in KEDA.
        url.set_username("").and_then(|()| url.set_password(None)).ok();
    }
    let form = form(connection, question);
    let mut request = if method == Method::POST {
        let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
        Request::new(method, url).header(CONTENT_TYPE, kind).body(form)
    } else {
        url.set_query(Some(&form));
        Request::new(method, url)
    };
    request = match authorization {
        Authorization::Basic { username, password } => request.basic_auth(username, password.expose()),
        Authorization::Bearer(token) => request.bearer_auth(token.expose()).ok_or_else(|| unsendable("the token"))?,
        // The rest is added by `credentials.rs`.
        _ => request,
    };
    // Several of one name stay several, and replace what is there.
    for name in headers.keys() {
        request.headers.remove(name);
    }
    for (name, value) in &headers {
        request.headers.append(name, value.clone());
    }
    Ok(request)
}

fn form(connection: &Connection, question: &Question) -> String {
    let time = rfc3339(SystemTime::now());
    let key =
        connection.auth.api_key.iter().filter(|key| key.in_query).map(|key| (key.name.as_str(), key.key.expose()));
    let more = question.parameters.iter().map(|(name, value)| (name.as_str(), value.expose()));
    http::form([("query", question.query.as_str()), ("time", &time)].into_iter().chain(more).chain(key))
}

/// Those that the trigger names: `customHeaders`, then the custom header and the API key, which replace equal ones.
/// None of them replaces the `Authorization` of another mode.
fn headers(connection: &Connection) -> Result<HeaderMap, ReadError> {
    let auth = &connection.auth;
    let mut headers = HeaderMap::new();
    for (name, value) in &connection.headers {
        let (name, value) = header(name, value)?;
        headers.append(name, value);
    }
    let key = auth.api_key.iter().filter(|key| !key.in_query).map(|key| (&key.name, &key.key));
    for (name, value) in auth.custom.iter().map(|(name, value)| (name, value)).chain(key) {
        let (name, value) = header(name, value)?;
        headers.insert(name, value);
    }
    if auth.authorization != Authorization::None {
        headers.remove(AUTHORIZATION);
    }
    Ok(headers)
}

/// Was checked when the trigger was read.
fn header(name: &str, value: &Secret) -> Result<(HeaderName, HeaderValue), ReadError> {
    let header = HeaderName::from_bytes(name.as_bytes()).map_err(|_| unsendable("a header"))?;
    let mut value = HeaderValue::from_str(value.expose()).map_err(|_| unsendable("a header"))?;
    value.set_sensitive(true);
    Ok((header, value))
}

fn unsendable(what: &str) -> ReadError {
    ReadError::new(ReadErrorKind::Internal, format!("{what} cannot be written as HTTP")).of_connection()
}

/// UTC, to the second: `2023-06-06T15:01:27Z`.
fn rfc3339(time: SystemTime) -> String {
    let seconds = since_epoch(time).as_secs();
    let (days, second_of_day) = (seconds / 86_400, seconds % 86_400);
    // Howard Hinnant's civil_from_days, for days after 1970: years begin in March, so that a leap day is the last.
    let from_year_0 = days + 719_468;
    let (era, day_of_era) = (from_year_0 / 146_097, from_year_0 % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute, second) = (second_of_day / 3_600, second_of_day / 60 % 60, second_of_day % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn times_are_rfc_3339_to_the_second() {
        // By `date -u -d @SECONDS +%FT%TZ`.
        for (seconds, expected) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_686_063_687, "2023-06-06T15:01:27Z"),
            (1_709_251_199, "2024-02-29T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(rfc3339(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)), expected);
        }
    }
}
