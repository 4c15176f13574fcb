//! `authModes`: the logins that a trigger itself gives, and TLS.
//!
//! KEDA's rules: each mode needs its keys, at most one of those that fill `Authorization`, and no cloud's identity
//! beside them. Not for: those identities (`identity.rs`).

use super::{
    connection::{ApiKey, Auth, Authorization},
    identity,
};
use crate::{
    identity::oauth::OAuth,
    metadata::{Reader, Secret},
    net::{
        Reach,
        http::{
            Url,
            header::{HeaderName, HeaderValue},
        },
        tls::Tls,
    },
};

const MODES: &str = "authModes";
const BEARER_TOKEN: &str = "bearerToken";
const USERNAME: &str = "username";
const PASSWORD: &str = "password";
const CUSTOM_HEADER: &str = "customAuthHeader";
const CUSTOM_VALUE: &str = "customAuthValue";
const API_KEY: &str = "apiKey";
const KEY_NAME: &str = "keyParamName";
const TOKEN_URI: &str = "oauthTokenURI";
const CLIENT_ID: &str = "clientID";
const CLIENT_SECRET: &str = "clientSecret";
const ENDPOINT_PARAMETERS: &str = "endpointParams";

#[derive(Debug, Clone, Copy, PartialEq)]
enum Mode {
    ApiKey,
    Basic,
    Bearer,
    Custom,
    OAuth,
    Tls,
}

const WORDS: [(&str, Mode); 6] = [
    ("apiKey", Mode::ApiKey),
    ("basic", Mode::Basic),
    ("bearer", Mode::Bearer),
    ("custom", Mode::Custom),
    ("oauth", Mode::OAuth),
    ("tls", Mode::Tls),
];

/// Reads who asks, and the TLS material.
pub fn read(keys: &mut Reader<'_>, reach: &Reach) -> (Auth, Tls) {
    let modes = modes(keys);
    let uses = |mode| modes.contains(&mode);
    let mut auth = Auth { authorization: identity::read(keys, !modes.is_empty()), custom: None, api_key: None };
    if let Some(basic) = basic(keys, uses(Mode::Basic)) {
        auth.authorization = basic;
    }
    if let Some(bearer) = bearer(keys, uses(Mode::Bearer)) {
        auth.authorization = bearer;
    }
    if let Some(oauth) = oauth(keys, uses(Mode::OAuth), reach) {
        auth.authorization = oauth;
    }
    auth.custom = custom(keys, uses(Mode::Custom));
    auth.api_key = api_key(keys, uses(Mode::ApiKey));
    (auth, tls(keys, &modes))
}

fn modes(keys: &mut Reader<'_>) -> Vec<Mode> {
    let Some(text) = keys.first_of(&[MODES, "authMode"]) else { return Vec::new() };
    let given: Vec<_> = text.split(',').map(|word| WORDS.iter().find(|(known, _)| *known == word.trim())).collect();
    if given.iter().any(Option::is_none) {
        let known: Vec<String> = WORDS.iter().map(|(word, _)| format!("`{word}`")).collect();
        keys.problem(MODES, format!("`{MODES}` must be some of {}, with commas", known.join(", ")));
    }
    let modes: Vec<Mode> = given.into_iter().flatten().map(|(_, mode)| *mode).collect();
    // As in KEDA, the same word twice is one too many.
    if modes.iter().filter(|mode| matches!(mode, Mode::Basic | Mode::Bearer | Mode::OAuth)).count() > 1 {
        keys.problem(MODES, format!("`{MODES}` may hold one of `basic`, `bearer`, `oauth`: drop the others"));
    }
    modes
}

fn basic(keys: &mut Reader<'_>, used: bool) -> Option<Authorization> {
    let username = keys.text(USERNAME).map(str::to_owned);
    let password = keys.secret(PASSWORD).unwrap_or_default();
    if !used {
        warn_unused(keys, username.is_some(), USERNAME, "basic");
        return None;
    }
    Some(Authorization::Basic { username: needed(keys, username, USERNAME, "basic"), password })
}

fn bearer(keys: &mut Reader<'_>, used: bool) -> Option<Authorization> {
    let token = keys.first_of(&[BEARER_TOKEN, "token"]).map(str::to_owned);
    if !used {
        warn_unused(keys, token.is_some(), BEARER_TOKEN, "bearer");
        return None;
    }
    let token = needed(keys, token, BEARER_TOKEN, "bearer");
    legal_value(keys, BEARER_TOKEN, &token);
    Some(Authorization::Bearer(Secret::new(token)))
}

fn oauth(keys: &mut Reader<'_>, used: bool, reach: &Reach) -> Option<Authorization> {
    let token_uri = keys.text(TOKEN_URI).map(str::to_owned);
    let client_id = keys.text(CLIENT_ID).map(str::to_owned);
    let client_secret = keys.secret(CLIENT_SECRET).unwrap_or_default();
    let scopes = keys.first_of(&["scopes", "scope"]).unwrap_or_default();
    let parameters = keys.text(ENDPOINT_PARAMETERS).map(form);
    if matches!(parameters, Some(None)) {
        keys.problem(ENDPOINT_PARAMETERS, format!("`{ENDPOINT_PARAMETERS}` must be written as in a URL: `a=1&b=2`"));
    }
    if !used {
        warn_unused(keys, token_uri.is_some(), TOKEN_URI, "oauth");
        return None;
    }
    let token_uri = needed(keys, token_uri, TOKEN_URI, "oauth");
    let client_id = needed(keys, client_id, CLIENT_ID, "oauth");
    let url = Url::parse(&token_uri).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    if url.is_none() && !keys.has_problem(TOKEN_URI) {
        keys.problem(TOKEN_URI, format!("`{TOKEN_URI}` must be a URL such as `https://login.example.com/token`"));
    }
    if let Some(refusal) = url.and_then(|url| reach.check_host(url.host_str()?).err()) {
        keys.problem(TOKEN_URI, format!("`{TOKEN_URI}`: {refusal}"));
    }
    let scopes = scopes.split(',').map(str::trim).filter(|scope| !scope.is_empty()).map(str::to_owned).collect();
    let parameters = parameters.flatten().unwrap_or_default();
    Some(Authorization::OAuth(OAuth { token_uri, client_id, client_secret, scopes, parameters }))
}

/// `a=1&b=2` as in a URL; `None` where an escape is broken.
fn form(text: &str) -> Option<Vec<(String, Secret)>> {
    let is_legal = |tail: &str| tail.as_bytes().get(..2).is_some_and(|code| code.iter().all(u8::is_ascii_hexdigit));
    if !text.split('%').skip(1).all(is_legal) {
        return None;
    }
    let mut url = Url::parse("http://form/").ok()?;
    url.set_query(Some(text));
    Some(url.query_pairs().map(|(name, value)| (name.into_owned(), Secret::new(value))).collect())
}

fn custom(keys: &mut Reader<'_>, used: bool) -> Option<(String, Secret)> {
    let header = keys.text(CUSTOM_HEADER).map(str::to_owned);
    let value = keys.text(CUSTOM_VALUE).map(str::to_owned);
    if !used {
        warn_unused(keys, header.is_some(), CUSTOM_HEADER, "custom");
        return None;
    }
    let header = needed(keys, header, CUSTOM_HEADER, "custom");
    let value = needed(keys, value, CUSTOM_VALUE, "custom");
    legal_name(keys, CUSTOM_HEADER, &header);
    legal_value(keys, CUSTOM_VALUE, &value);
    Some((header, Secret::new(value)))
}

fn api_key(keys: &mut Reader<'_>, used: bool) -> Option<ApiKey> {
    let key = keys.text(API_KEY).map(str::to_owned);
    let in_query = keys.choice("method", &[("header", false), ("query", true)], false);
    let name = keys.text(KEY_NAME).map(str::to_owned);
    if !used {
        warn_unused(keys, key.is_some(), API_KEY, "apiKey");
        return None;
    }
    let key = needed(keys, key, API_KEY, "apiKey");
    // The names that KEDA's other scalers give it.
    let name = name.unwrap_or_else(|| if in_query { "api_key" } else { "X-API-KEY" }.to_owned());
    if !in_query {
        legal_name(keys, KEY_NAME, &name);
        legal_value(keys, API_KEY, &key);
    }
    Some(ApiKey { name, key: Secret::new(key), in_query })
}

/// `ca` and `skipTlsVerify` hold always; a client certificate with mode `tls`, or beside `ca` with any other mode.
fn tls(keys: &mut Reader<'_>, modes: &[Mode]) -> Tls {
    let mut tls = Tls::read(keys);
    let tls_mode = modes.contains(&Mode::Tls);
    if tls_mode && tls.cert.is_none() && tls.key.is_none() {
        keys.problem("cert", "`cert` and `key` are required with `authModes: tls`");
    }
    let presents = tls_mode || (!modes.is_empty() && tls.ca.is_some());
    if !presents {
        warn_unused(keys, tls.cert.is_some(), "cert", "tls");
        (tls.cert, tls.key, tls.key_password) = (None, None, None);
    }
    tls
}

fn needed(keys: &mut Reader<'_>, value: Option<String>, key: &str, mode: &str) -> String {
    value.unwrap_or_else(|| {
        keys.problem(key, format!("`{key}` is required with `{MODES}: {mode}`"));
        String::new()
    })
}

fn warn_unused(keys: &mut Reader<'_>, given: bool, key: &str, mode: &str) {
    if given {
        keys.warn(format!("`{key}` has no effect without `{MODES}: {mode}`"));
    }
}

fn legal_name(keys: &mut Reader<'_>, key: &str, name: &str) {
    if HeaderName::from_bytes(name.as_bytes()).is_err() && !keys.has_problem(key) {
        keys.problem(key, format!("`{key}` must be the name of an HTTP header, such as `X-Auth-Token`"));
    }
}

fn legal_value(keys: &mut Reader<'_>, key: &str, value: &str) {
    if HeaderValue::from_str(value).is_err() {
        keys.problem(key, format!("`{key}` must be one line of text, since it goes into an HTTP header"));
    }
}
