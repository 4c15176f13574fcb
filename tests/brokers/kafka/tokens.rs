//! Logins by token: OIDC against a token endpoint and a real broker, Amazon MSK against a broker that looks at the token.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    routing::post,
};
use parking_lot::Mutex;
use plimsoll::{
    backend::kafka::{
        client::Client,
        connection::{Connection, MskIam, Oidc, Sasl},
    },
    error::{ReadError, ReadErrorKind},
    identity::{aws::Credentials, oauth::OAuth},
    metadata::Secret,
};
use tokio::{net::TcpListener, time::Instant};

use super::{
    fixtures::{Cluster, address, brief, plain, query, read, unique},
    stand_in::StandIn,
};

/// The `Authorization` header and the body of each request.
type Asked = Vec<(Option<String>, String)>;

/// A token endpoint that keeps what it was asked.
#[derive(Clone, Default)]
struct Endpoint {
    asked: Arc<Mutex<Asked>>,
    /// How long its tokens hold, in seconds; the broker is told the same.
    life: u64,
    /// What tokens say of their own end, if other than that.
    claimed_life: Option<i64>,
    secret_in_body_only: bool,
    refuses: bool,
    count: Arc<AtomicUsize>,
}

impl Endpoint {
    async fn start(self) -> (Self, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/token", listener.local_addr().unwrap());
        let app = Router::new().route("/token", post(issue)).with_state(self.clone());
        #[expect(clippy::disallowed_methods, reason = "a test's tasks end with its runtime")]
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        (self, url)
    }
}

async fn issue(State(endpoint): State<Endpoint>, headers: HeaderMap, body: Bytes) -> (StatusCode, String) {
    let basic = headers.get(header::AUTHORIZATION).map(|value| value.to_str().unwrap().to_owned());
    let body = String::from_utf8(body.to_vec()).unwrap();
    endpoint.asked.lock().push((basic.clone(), body));
    if endpoint.refuses || endpoint.secret_in_body_only && basic.is_some() {
        return (StatusCode::UNAUTHORIZED, r#"{"error":"invalid_client","error_description":"at 12:03:44"}"#.into());
    }
    endpoint.count.fetch_add(1, Ordering::Relaxed);
    let now = i64::try_from(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs()).unwrap();
    let exp = now + endpoint.claimed_life.unwrap_or_else(|| i64::try_from(endpoint.life).unwrap());
    let claims = format!(r#"{{"sub":"user","iat":{},"exp":{exp}}}"#, now.min(exp) - 1);
    let token = format!("{}.{}.", base64url(br#"{"alg":"none"}"#), base64url(claims.as_bytes()));
    let life = endpoint.life;
    (StatusCode::OK, format!(r#"{{"access_token":"{token}","token_type":"Bearer","expires_in":{life}}}"#))
}

fn base64url(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for i in 0..=chunk.len() {
            text.push(char::from(LETTERS[(bits >> (18 - 6 * i)) as usize & 63]));
        }
    }
    text
}

fn decode(text: &str) -> String {
    let value = |letter: u8| match letter {
        b'A'..=b'Z' => letter - b'A',
        b'a'..=b'z' => letter - b'a' + 26,
        b'0'..=b'9' => letter - b'0' + 52,
        b'-' => 62,
        _ => 63,
    };
    let mut bytes = Vec::new();
    for chunk in text.trim_end_matches('=').as_bytes().chunks(4) {
        let bits =
            chunk.iter().fold(0_u32, |bits, letter| bits << 6 | u32::from(value(*letter))) << (6 * (4 - chunk.len()));
        bytes.extend(bits.to_be_bytes()[1..chunk.len()].iter());
    }
    String::from_utf8(bytes).unwrap()
}

fn oidc(url: &str) -> Sasl {
    let oauth = OAuth {
        token_uri: url.into(),
        client_id: "the client".into(),
        client_secret: Secret::new("its:secret"),
        scopes: vec!["one".into(), "two".into()],
        parameters: vec![],
    };
    Sasl::OauthOidc(Oidc { oauth, extensions: vec![("traceId".into(), "42".into())] })
}

fn at(sasl: Sasl) -> Connection {
    Connection { sasl: Some(sasl), ..plain(&address("PLIMSOLL_TEST_KAFKA_SASL")) }
}

async fn error(connection: Connection) -> ReadError {
    Client::new(connection).read(query("group", &["topic"]).into()).await.unwrap_err()
}

#[tokio::test]
async fn an_oidc_token_logs_in_with_the_secret_in_the_header_or_in_the_form() {
    let cluster = Cluster::new(address("PLIMSOLL_TEST_KAFKA"));
    let topic = unique("oidc");
    cluster.create(&topic, 1).await;
    for secret_in_body_only in [false, true] {
        let (endpoint, url) = Endpoint { life: 600, secret_in_body_only, ..Endpoint::default() }.start().await;
        let client = Client::new(at(oidc(&url)));
        assert_eq!(brief(&read(&client, &query("group", &[&topic])).await), [(0, None, Some(0))]);
        let asked = endpoint.asked.lock().clone();
        let (basic, form) = &asked[0];
        // `the%20client:its%3Asecret`, as RFC 6749 wants it.
        assert_eq!(basic.as_deref(), Some("Basic dGhlJTIwY2xpZW50Oml0cyUzQXNlY3JldA=="));
        assert_eq!(form, "grant_type=client_credentials&scope=one%20two");
        if secret_in_body_only {
            let (basic, form) = &asked[1];
            assert_eq!(*basic, None);
            assert!(form.ends_with("&client_id=the%20client&client_secret=its%3Asecret"), "{form}");
        }
        assert_eq!(endpoint.count.load(Ordering::Relaxed), 1);
    }
}

#[tokio::test]
async fn a_token_is_renewed_and_the_link_logged_in_again_before_it_expires() {
    let cluster = Cluster::new(address("PLIMSOLL_TEST_KAFKA"));
    let topic = unique("renewed");
    cluster.create(&topic, 1).await;
    let (endpoint, url) = Endpoint { life: 8, ..Endpoint::default() }.start().await;
    let client = Client::new(at(oidc(&url)));
    let begun = Instant::now();
    // Kafka hangs up on a request after the token's end, unless the link has logged in again.
    while begun.elapsed() < Duration::from_secs(18) {
        read(&client, &query("group", &[&topic])).await;
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    let requests = client.requests();
    assert_eq!(requests.connections, 1, "{requests:?}");
    assert!(requests.sasl >= 6, "{requests:?}");
    assert!(endpoint.count.load(Ordering::Relaxed) >= 3);
}

#[tokio::test]
async fn what_is_wrong_with_a_token_or_its_endpoint_is_said() {
    let (_, url) = Endpoint { refuses: true, ..Endpoint::default() }.start().await;
    let refused = error(at(oidc(&url))).await;
    assert_eq!((refused.kind, refused.whole_connection), (ReadErrorKind::Denied, true), "{refused}");
    assert!(
        refused.to_string().contains(&format!(
            "`{}` gives no token to client `the client`: invalid_client",
            url.replace("/token", "")
        )),
        "{refused}"
    );
    assert!(!refused.to_string().contains("12:03"), "{refused}");
    let nobody = error(at(oidc("http://127.0.0.1:1/token"))).await;
    assert_eq!(nobody.kind, ReadErrorKind::Unreachable, "{nobody}");
    assert!(nobody.to_string().contains("`http://127.0.0.1:1`"), "{nobody}");
    let elsewhere = error(at(oidc(&url.replace("/token", "/elsewhere")))).await;
    assert!(elsewhere.to_string().contains("404"), "{elsewhere}");
    let (endpoint, url) = Endpoint { life: 600, claimed_life: Some(-100), ..Endpoint::default() }.start().await;
    let client = Client::new(at(oidc(&url)));
    let expired = client.read(query("group", &["topic"]).into()).await.unwrap_err();
    assert_eq!((expired.kind, expired.whole_connection), (ReadErrorKind::Denied, true), "{expired}");
    assert!(expired.to_string().contains("OAUTHBEARER login"), "{expired}");
    // A token that the broker refuses is not tried again.
    tokio::time::sleep(Duration::from_millis(200)).await;
    client.read(query("group", &["topic"]).into()).await.unwrap_err();
    assert_eq!(endpoint.count.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn an_msk_token_is_a_signed_url_for_the_cluster_s_region() {
    let broker = StandIn::start(None).await;
    let keys = Credentials::Static {
        access_key_id: "AKIDEXAMPLE".into(),
        secret_access_key: Secret::new("wJalrXUtnFEMI"),
        session_token: Some(Secret::new("session")),
    };
    let sasl = Sasl::MskIam(MskIam { region: "eu-central-1".into(), credentials: keys });
    let client = Client::new(Connection { sasl: Some(sasl), ..plain(&broker.address) });
    // The stand-in has no topics; the login comes first.
    client.read(query("group", &["topic"]).into()).await.unwrap_err();
    let (mechanism, first) = broker.logins.lock()[0].clone();
    assert_eq!(mechanism, "OAUTHBEARER");
    let token = first.strip_prefix("n,,\u{1}auth=Bearer ").and_then(|rest| rest.strip_suffix("\u{1}\u{1}")).unwrap();
    let url = decode(token);
    assert!(url.starts_with("https://kafka.eu-central-1.amazonaws.com/?"), "{url}");
    for part in [
        "Action=kafka-cluster%3AConnect",
        "X-Amz-Algorithm=AWS4-HMAC-SHA256",
        "X-Amz-Credential=AKIDEXAMPLE%2F",
        "%2Feu-central-1%2Fkafka-cluster%2Faws4_request",
        "X-Amz-Expires=900",
        "X-Amz-Security-Token=session",
        "X-Amz-Signature=",
    ] {
        assert!(url.contains(part), "{part} is not in {url}");
    }
    assert!(!url.contains("wJalrXUtnFEMI"));
}

#[tokio::test]
async fn a_login_that_the_broker_limits_is_made_again_on_the_same_link_between_other_requests() {
    use plimsoll::backend::kafka::connection::Login;
    let broker = StandIn::start(Some(Duration::from_millis(1000))).await;
    let login = Login { username: "user".into(), password: Secret::new("secret") };
    let client = Client::new(Connection { sasl: Some(Sasl::Plain(login)), ..plain(&broker.address) });
    let begun = Instant::now();
    // The stand-in hangs up on anything that comes between handshake and login, and when a login is too old.
    while begun.elapsed() < Duration::from_millis(3500) {
        let error = client.read(query("group", &["topic"]).into()).await.unwrap_err();
        assert_eq!(error.kind, ReadErrorKind::NotFound, "{error}");
    }
    assert_eq!(client.requests().connections, 1);
    assert!(broker.logins.lock().len() >= 4);
}
