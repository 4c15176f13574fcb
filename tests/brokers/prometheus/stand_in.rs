//! Where the request itself counts: a server that keeps what it was sent and answers as told.

use std::{collections::VecDeque, sync::Arc};

use parking_lot::Mutex;
use plimsoll::error::ReadErrorKind::{BadReply, Denied, Throttled};

use super::fixtures::{read, source};
use crate::stand_in::{self, Call, Reply};

/// Answers what was told, in that order; then, and from the start, with the number 5.
pub struct StandIn {
    pub address: String,
    told: Arc<Mutex<VecDeque<Reply>>>,
    server: stand_in::StandIn,
}

pub fn vector(value: &str) -> String {
    format!(
        r#"{{"status":"success","data":{{"resultType":"vector","result":[{{"metric":{{}},"value":[1,"{value}"]}}]}}}}"#
    )
}

impl StandIn {
    pub async fn new() -> Self {
        let told = Arc::<Mutex<VecDeque<Reply>>>::default();
        let next = Arc::clone(&told);
        let five = || Reply::of_type(200, "application/json", vector("5"));
        let server = stand_in::StandIn::new(move |_| next.lock().pop_front().unwrap_or_else(five)).await;
        Self { address: server.url(), told, server }
    }

    pub fn tell(&self, status: u16, kind: &str, body: impl Into<String>) {
        self.told.lock().push_back(Reply::of_type(status, kind, body));
    }

    pub fn asked(&self) -> Vec<Call> {
        self.server.calls()
    }

    /// The only request.
    pub fn only(&self) -> Call {
        let asked = self.asked();
        assert_eq!(asked.len(), 1, "{asked:?}");
        asked[0].clone()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn thanos_and_mimir_get_their_headers_and_parameters() {
    let server = StandIn::new().await;
    let more = [
        ("customHeaders", "X-Scope-OrgID=team-a|team-b,X-Other=1"),
        ("queryParameters", "partial_response=false,dedup=true"),
        ("namespace", "shop & co"),
    ];
    assert_eq!(read(&format!("{}/prometheus", server.address), "up == 1", &more).await.unwrap().value, 5.0);
    let asked = server.only();
    assert_eq!(asked.method, "GET");
    assert_eq!((asked.header("x-scope-orgid"), asked.header("x-other")), ("team-a|team-b", "1"));
    assert_eq!(asked.header("user-agent"), concat!("plimsoll/", env!("CARGO_PKG_VERSION")));
    let uri = &asked.target;
    assert!(uri.starts_with("/prometheus/api/v1/query?query=up%20%3D%3D%201&time=20"), "{uri}");
    assert!(uri.ends_with("Z&namespace=shop%20%26%20co&dedup=true&partial_response=false"), "{uri}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_mode_sends_what_it_should() {
    for (more, header, expected) in [
        (&[("authModes", "bearer"), ("bearerToken", "tok")][..], "authorization", "Bearer tok"),
        (&[("authModes", "basic"), ("username", "u"), ("password", "p")], "authorization", "Basic dTpw"),
        (&[("authModes", "custom"), ("customAuthHeader", "X-A"), ("customAuthValue", "v")], "x-a", "v"),
        (&[("authModes", "apiKey"), ("apiKey", "k")], "x-api-key", "k"),
        (&[("customHeaders", "Authorization=zzz")], "authorization", "zzz"),
        (
            &[("customHeaders", "Authorization=zzz"), ("authModes", "bearer"), ("token", "tok")],
            "authorization",
            "Bearer tok",
        ),
    ] {
        let server = StandIn::new().await;
        read(&server.address, "up", more).await.unwrap();
        let asked = server.only();
        assert_eq!(asked.header(header), expected);
        assert_eq!(asked.headers.iter().filter(|(name, _)| name == header).count(), 1);
    }
    let server = StandIn::new().await;
    read(&server.address, "up", &[("authModes", "apiKey"), ("apiKey", "k y"), ("method", "query")]).await.unwrap();
    assert!(server.only().target.ends_with("&api_key=k%20y"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_url_that_is_too_long_is_asked_again_by_post() {
    let server = StandIn::new().await;
    server.tell(414, "text/plain", "too long");
    assert_eq!(read(&server.address, "up", &[("queryParameters", "a=b c")]).await.unwrap().value, 5.0);
    let asked = server.asked();
    assert_eq!(asked.len(), 2);
    assert_eq!((asked[1].method.as_str(), asked[1].target.as_str()), ("POST", "/api/v1/query"));
    assert_eq!(asked[1].header("content-type"), "application/x-www-form-urlencoded");
    assert!(asked[1].body.starts_with("query=up&time=20") && asked[1].body.ends_with("&a=b%20c"), "{}", asked[1].body);
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_fetched_once_sent_along_and_fetched_anew_when_refused() {
    let (server, login) = (StandIn::new().await, StandIn::new().await);
    let json = "application/json";
    login.tell(200, json, r#"{"access_token":"one","token_type":"Bearer","expires_in":3600}"#);
    let token_uri = format!("{}/token", login.address);
    let source = source(
        &server.address,
        "up",
        &[
            ("authModes", "oauth"),
            ("oauthTokenURI", &token_uri),
            ("clientID", "me@x"),
            ("clientSecret", "s:1"),
            ("scopes", "https://prometheus/.default"),
            ("endpointParams", "audience=a%20b"),
        ],
    );
    source.read().await.unwrap();
    source.read().await.unwrap();
    assert!(server.asked().iter().all(|asked| asked.header("authorization") == "Bearer one"));
    let asked = login.only();
    assert_eq!(asked.body, "audience=a%20b&grant_type=client_credentials&scope=https%3A%2F%2Fprometheus%2F.default");
    // `me%40x:s%3A1`
    assert_eq!(asked.header("authorization"), "Basic bWUlNDB4OnMlM0Ex");

    server.tell(401, "text/plain", "revoked");
    assert_eq!(source.read().await.unwrap_err().kind, Denied);
    login.tell(401, json, r#"{"error":"invalid_client"}"#);
    login.tell(200, json, r#"{"access_token":"two","expires_in":"3600"}"#);
    source.read().await.unwrap();
    assert_eq!(server.asked().last().unwrap().header("authorization"), "Bearer two");
    let again = login.asked();
    assert!(again[2].body.ends_with("&client_id=me%40x&client_secret=s%3A1"), "{}", again[2].body);
    assert_eq!(again[2].header("authorization"), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_client_is_denied_without_its_secret_and_many_askers_cost_one_request() {
    let (server, login) = (StandIn::new().await, StandIn::new().await);
    for _ in 0..2 {
        login.tell(400, "application/json", r#"{"error":"invalid_scope","error_description":"s3cret"}"#);
    }
    let token_uri = format!("{}/token", login.address);
    let more =
        [("authModes", "oauth"), ("oauthTokenURI", token_uri.as_str()), ("clientID", "me"), ("clientSecret", "s3cret")];
    let error = read(&server.address, "up", &more).await.unwrap_err();
    assert_eq!((error.kind, error.whole_connection), (Denied, true));
    let expected = "gives no token to client `me`: invalid_scope: correct the client's id, secret and scopes";
    assert!(error.to_string().ends_with(expected), "{error}");
    assert!(server.asked().is_empty());
    // As a Basic login, and in the body.
    assert_eq!(login.asked().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_arrives_is_what_was_signed_for_amazon() {
    use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
    let server = StandIn::new().await;
    server.tell(414, "text/plain", "too long");
    let path = format!("{}/workspaces/ws-1", server.address);
    let more = [("awsRegion", "eu-west-1"), ("awsAccessKeyID", "AKIDEXAMPLE"), ("awsSecretAccessKeyFromEnv", "s3cret")];
    read(&path, "sum(rate(a{b=\"c d\"}[5m]))", &more).await.unwrap();
    for asked in server.asked() {
        let keys = aws_credential_types::Credentials::new("AKIDEXAMPLE", "s3cret", None, None, "test").into();
        let stamp = asked.header("x-amz-date").to_owned();
        // 20230606T150127Z
        let rfc = format!(
            "{}-{}-{}T{}:{}:{}Z",
            &stamp[..4],
            &stamp[4..6],
            &stamp[6..8],
            &stamp[9..11],
            &stamp[11..13],
            &stamp[13..15]
        );
        let mut time = std::time::SystemTime::now();
        while format_time(time) != rfc {
            time -= std::time::Duration::from_secs(1);
            assert!(time.elapsed().unwrap().as_secs() < 60, "{rfc} is not now");
        }
        let parameters = aws_sigv4::sign::v4::SigningParams::builder()
            .identity(&keys)
            .region("eu-west-1")
            .name("aps")
            .time(time)
            .settings(SigningSettings::default())
            .build()
            .unwrap()
            .into();
        let uri = format!("http://{}{}", asked.header("host"), asked.target);
        let mut headers = vec![("host", asked.header("host"))];
        if asked.method == "POST" {
            headers.push(("content-type", asked.header("content-type")));
        }
        let body = SignableBody::Bytes(asked.body.as_bytes());
        let request = SignableRequest::new(asked.method.as_str(), uri, headers.into_iter(), body).unwrap();
        let (instructions, _) = sign(request, &parameters).unwrap().into_parts();
        let expected = instructions.headers().find(|(name, _)| *name == "authorization").unwrap().1;
        assert_eq!(asked.header("authorization"), expected, "{}", asked.method);
        assert!(expected.contains("/eu-west-1/aps/aws4_request"));
    }
}

/// By the calendar of `date`, so that no code of ours is its own judge.
fn format_time(time: std::time::SystemTime) -> String {
    let seconds = time.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let output = std::process::Command::new("date")
        .args(["-u", "-d", &format!("@{seconds}"), "+%Y-%m-%dT%H:%M:%SZ"])
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_google_service_account_signs_a_token_of_its_own() {
    let server = StandIn::new().await;
    let key = super::fixtures::pem("client.key");
    let json = serde_json::json!({
        "type": "service_account", "client_email": "scaler@project.iam.gserviceaccount.com",
        "private_key_id": "k1", "private_key": key, "project_id": "project",
    });
    let address = format!("{}/v1/projects/project/location/global/prometheus", server.address);
    let source = source(&address, "up", &[("credentialsFromEnv", &json.to_string())]);
    source.read().await.unwrap();
    source.read().await.unwrap();
    let asked = server.asked();
    let token = asked[0].header("authorization").strip_prefix("Bearer ").unwrap().to_owned();
    assert_eq!(asked[1].header("authorization"), format!("Bearer {token}"), "one token for both");
    let claims = token.split('.').nth(1).unwrap();
    let claims = claims_of(claims);
    assert_eq!(claims["iss"], "scaler@project.iam.gserviceaccount.com");
    assert_eq!(claims["scope"], "https://www.googleapis.com/auth/monitoring.read");
    assert_eq!(asked[0].target.split('?').next(), Some("/v1/projects/project/location/global/prometheus/api/v1/query"));
}

/// The JSON inside a part of a JWT.
fn claims_of(part: &str) -> serde_json::Value {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut bytes = Vec::new();
    let (mut bits, mut count) = (0_u32, 0);
    for byte in part.bytes() {
        let digit = ALPHABET.iter().position(|known| *known == byte).unwrap();
        bits = bits << 6 | u32::try_from(digit).unwrap();
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from(bits >> count & 0xff).unwrap());
        }
    }
    serde_json::from_slice(&bytes).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_azure_identity_that_the_pod_does_not_have_is_denied_with_the_cure() {
    let server = StandIn::new().await;
    let error = read("https://p.example", "up", &[("podIdentity", "azure-workload")]).await.unwrap_err();
    assert_eq!((error.kind, error.whole_connection), (Denied, true));
    assert!(error.to_string().contains("AZURE_FEDERATED_TOKEN_FILE"), "{error}");
    assert!(server.asked().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_answers_are_errors_that_say_what_they_are() {
    let server = StandIn::new().await;
    let html = "text/html; charset=utf-8";
    let json = "application/json";
    let empty = r#"{"status":"success","data":{"resultType":"vector","result":[]},"warnings":["store down"]}"#;
    let histogram =
        r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"histogram":[1,{}]}]}}"#;
    for (status, kind, body, expected, words) in [
        (200, html, "<html>Sign in</html>", BadReply, "a web page: a proxy or a login stands before it"),
        (403, html, "<html>No</html>", Denied, "403 Forbidden"),
        (429, json, r#"{"status":"error","error":"too many"}"#, Throttled, "429 Too Many Requests, too many"),
        (200, json, empty, BadReply, "a warning that some may be missing"),
        (200, json, histogram, BadReply, "native histogram"),
        (200, json, r#"{"status":"error","errorType":"bad_data","error":"x"}"#, BadReply, "refuses the query: x"),
    ] {
        server.tell(status, kind, body);
        let error = read(&server.address, "up", &[]).await.unwrap_err();
        assert_eq!(error.kind, expected, "{error}");
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_is_missing_is_told_with_where_it_used_to_be() {
    let server = StandIn::new().await;
    server.tell(401, "text/plain", "who are you");
    let error = read(&server.address, "up", &[]).await.unwrap_err();
    assert_eq!((error.kind, error.whole_connection), (Denied, true));
    let text = error.to_string();
    assert!(
        text.contains("wants a login, answering 401 Unauthorized: KEDA does not pass `authenticationRef` on"),
        "{text}"
    );
    assert!(text.contains("`bearerTokenFromEnv`"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn looks_that_nobody_waits_for_hold_no_slot() {
    let server = stand_in::StandIn::new(|call| match call.target.contains("slow") {
        true => Reply::Silence,
        false => Reply::new(200, vector("5")),
    })
    .await;
    // As many as may be under way, each given up by its asker long before its own timeout.
    let slow: Vec<_> = (0..16).map(|n| source(&server.url(), &format!("slow{n}"), &[("timeout", "60s")])).collect();
    let given_up = futures::future::join_all(slow.iter().map(|source| source.read()));
    tokio::time::timeout(std::time::Duration::from_millis(500), given_up).await.unwrap_err();
    assert_eq!(server.calls().len(), 16);
    assert_eq!(read(&server.url(), "quick", &[]).await.unwrap().value, 5.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_lives_a_millisecond_is_no_loop_of_requests() {
    let (server, login) = (StandIn::new().await, StandIn::new().await);
    for _ in 0..10_000 {
        login.tell(200, "application/json", r#"{"access_token":"brief","expires_in":0.001}"#);
    }
    let token_uri = format!("{}/token", login.address);
    let more = [("authModes", "oauth"), ("oauthTokenURI", token_uri.as_str()), ("clientID", "me")];
    let source = source(&server.address, "up", &more);
    let began = tokio::time::Instant::now();
    while began.elapsed().as_secs() < 6 {
        source.read().await.unwrap();
    }
    assert!((1..=10).contains(&login.asked().len()), "{} requests for tokens in 6 s", login.asked().len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_endpoint_whose_words_never_end_is_cut() {
    let (server, login) = (StandIn::new().await, StandIn::new().await);
    let token_uri = format!("{}/token", login.address);
    let more = [("authModes", "oauth"), ("oauthTokenURI", token_uri.as_str()), ("clientID", "me")];
    let long = "word_".repeat(5_000);
    for (status, body) in [
        (400, format!(r#"{{"error":"{long}"}}"#)),
        (200, format!(r#"{{"access_token":{}"#, "[".repeat(30_000))),
        (200, "x".repeat(100_000)),
        (200, format!(r#"{{"access_token":"a\nb{long}","expires_in":1}}"#)),
    ] {
        for _ in 0..2 {
            login.tell(status, "application/json", body.clone());
        }
        // Another client each time: a failure is remembered for a second.
        let client = format!("me{}", body.len());
        let more = [more[0], more[1], ("clientID", client.as_str())];
        let error = read(&server.address, "up", &more).await.unwrap_err();
        assert!(error.to_string().len() < 300 && !error.to_string().contains("word_"), "{error}");
        login.told.lock().clear();
    }
    assert!(server.asked().is_empty());
}
