//! Who may see the pages for people, and what a browser may make of them.
//!
//! With a token: who shows it, as `Bearer` or as the password of `Basic`, which a browser asks its user for. Without one: who
//! reaches the port, but by a name that nobody outside could have given to it, so that a web site cannot have its visitors'
//! browsers read the pages (DNS rebinding). Not for: probes and scrapers.

use std::net::IpAddr;

use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderName, HeaderValue, StatusCode, header, uri::Authority},
    middleware::{Next, from_fn, from_fn_with_state},
    response::{IntoResponse, Response},
};
use base64::{Engine, prelude::BASE64_STANDARD};

use super::Pages;
use crate::config::Token;

/// What goes with every answer to a browser. Everything it needs is here, and nothing is written into a page that could run.
const HEADERS: [(HeaderName, &str); 6] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; \
         form-action 'self'; frame-ancestors 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
];

/// Domains that are of the cluster or of the machine alone: nobody else can make their names lead here.
const INSIDE: [&str; 5] = ["localhost", "svc", "cluster.local", "local", "internal"];

/// `routes`, for those who may see them.
pub(super) fn guarded(routes: Router<Pages>, token: Option<Token>) -> Router<Pages> {
    let routes = match token {
        Some(token) => routes.route_layer(from_fn_with_state(token, let_in)),
        None => routes.route_layer(from_fn(by_a_name_of_ours)),
    };
    routes.layer(from_fn(with_headers))
}

async fn with_headers(request: Request, next: Next) -> Response {
    let mut answer = next.run(request).await;
    for (name, value) in HEADERS {
        answer.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    answer.headers_mut().entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    answer
}

async fn let_in(State(token): State<Token>, request: Request, next: Next) -> Response {
    let given = request.headers().get(header::AUTHORIZATION).and_then(|value| shown(value.as_bytes()));
    if given.is_some_and(|given| token.is(given.trim_ascii())) {
        return next.run(request).await;
    }
    let text = "this page wants the token of `--admin-token-file`: as the password (any user name), or as `authorization: \
                Bearer TOKEN`\n";
    let ways =
        [HeaderValue::from_static("Basic realm=\"plimsoll\", charset=\"UTF-8\""), HeaderValue::from_static("Bearer")];
    let mut answer = (StatusCode::UNAUTHORIZED, text).into_response();
    for way in ways {
        answer.headers_mut().append(header::WWW_AUTHENTICATE, way);
    }
    answer
}

/// The token that a header `authorization` shows.
fn shown(header: &[u8]) -> Option<Vec<u8>> {
    let space = header.iter().position(|byte| *byte == b' ')?;
    let (scheme, given) = header.split_at_checked(space)?;
    let given = given.trim_ascii();
    if scheme.eq_ignore_ascii_case(b"bearer") {
        return Some(given.to_vec());
    }
    if !scheme.eq_ignore_ascii_case(b"basic") {
        return None;
    }
    let login = BASE64_STANDARD.decode(given).ok()?;
    let colon = login.iter().position(|byte| *byte == b':')?;
    login.get(colon + 1..).map(<[u8]>::to_vec)
}

async fn by_a_name_of_ours(request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST).map(|host| host.to_str().unwrap_or_default());
    if host.or(request.uri().host()).is_none_or(is_ours) {
        return next.run(request).await;
    }
    let text = "this page has no token and is then shown by an address, `localhost` or a name within the cluster alone, so that \
                no web site can read it through a browser: set `--admin-token-file`\n";
    (StatusCode::MISDIRECTED_REQUEST, text).into_response()
}

/// Whether nobody outside can have made this name lead to us. Without one (HTTP/1.0) it is no browser.
fn is_ours(host: &str) -> bool {
    let Ok(authority) = host.parse::<Authority>() else { return host.is_empty() };
    let name =
        authority.host().trim_start_matches('[').trim_end_matches(']').trim_end_matches('.').to_ascii_lowercase();
    let below = |domain: &str| name.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    name.parse::<IpAddr>().is_ok() || !name.contains('.') || INSIDE.iter().any(|domain| below(domain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_ours_where_nobody_outside_could_have_given_it() {
        for host in [
            "",
            "localhost",
            "localhost:8080",
            "127.0.0.1:8080",
            "[::1]:8080",
            "10.1.2.3",
            "plimsoll",
            "plimsoll.keda.svc:8080",
            "plimsoll.keda.svc.cluster.local.",
            "LOCALHOST",
            "a.localhost",
            "box.local",
            "scaler.corp.internal",
        ] {
            assert!(is_ours(host), "{host}");
        }
        for host in
            ["evil.example", "localhost.evil.example", "evilsvc.com", "127.0.0.1.nip.io:8080", "a.notlocal", "a b"]
        {
            assert!(!is_ours(host), "{host}");
        }
    }

    #[test]
    fn a_token_is_shown_as_bearer_or_as_a_password() {
        let token = Some(b"0123456789abcdef".to_vec());
        for header in [
            "Bearer 0123456789abcdef",
            "bearer   0123456789abcdef ",
            "Basic YWRtaW46MDEyMzQ1Njc4OWFiY2RlZg==",
            "basic OjAxMjM0NTY3ODlhYmNkZWY=",
        ] {
            assert_eq!(shown(header.as_bytes()), token, "{header}");
        }
        for header in ["", "Bearer", "Digest 0123456789abcdef", "Basic !!", "Basic MDEyMzQ1Njc4OWFiY2RlZg=="] {
            assert_ne!(shown(header.as_bytes()), token, "{header}");
        }
    }
}
