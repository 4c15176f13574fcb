//! The client against a server that says whatever the test wants.

use rustls::crypto::aws_lc_rs;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::{
    header::{AUTHORIZATION, HeaderName},
    *,
};
use crate::net::Rules;
use crate::task::{self, Task};

const SECOND: Duration = Duration::from_secs(1);

/// Answers every request with `answer`, in which `{here}` is its own address, and keeps what was asked.
async fn server(answer: &str) -> (String, Task, std::sync::Arc<parking_lot::Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let here = format!("127.0.0.1:{}", listener.local_addr().unwrap().port());
    let answer = answer.replace("{here}", &here);
    let asked = std::sync::Arc::<parking_lot::Mutex<Vec<String>>>::default();
    let log = std::sync::Arc::clone(&asked);
    let task = task::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = Vec::new();
            // What does not begin as HTTP (TLS, say) is answered at once.
            while !request.ends_with(b"\r\n\r\n") && (request.is_empty() || request.starts_with(b"GET ")) {
                let mut piece = [0; 1024];
                match stream.read(&mut piece).await {
                    Ok(0) | Err(_) => break,
                    Ok(length) => request.extend_from_slice(&piece[..length]),
                }
            }
            let request = String::from_utf8_lossy(&request).into_owned();
            let again = request.starts_with("GET /again ");
            log.lock().push(request);
            let answer = if again { "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nthere" } else { &answer };
            // The client may have seen enough and gone.
            stream.write_all(answer.as_bytes()).await.ok();
        }
    });
    (here, task, asked)
}

async fn get(url: &str) -> Result<Answer, ReadError> {
    aws_lc_rs::default_provider().install_default().ok();
    let http = Http::of_system(Reach::open()).unwrap();
    http.send(Request::new(Method::GET, url.parse().unwrap()), SECOND).await
}

#[tokio::test]
async fn a_redirect_on_the_same_server_is_followed() {
    let (here, _task, asked) =
        server("HTTP/1.1 302 Found\r\nlocation: http://{here}/again\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
            .await;
    let answer = get(&format!("http://{here}/first")).await.unwrap();
    assert_eq!((answer.status, answer.body.as_slice()), (StatusCode::OK, b"there".as_slice()));
    assert_eq!(asked.lock().len(), 2);
}

#[tokio::test]
async fn a_redirect_to_another_server_is_not_followed_and_named_without_its_secrets() {
    let (other, _other_task, asked_other) = server("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let location = format!("http://u:p@{other}/login?token=s3cret");
    let (here, _task, _) =
        server(&format!("HTTP/1.1 302 Found\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n")).await;
    let answer = get(&format!("http://{here}/")).await.unwrap();
    let error = answer.refusal("`here`");
    assert_eq!(
        error.to_string(),
        format!("`here` answered 302 Found and points to `http://{other}`: use that address")
    );
    assert!(asked_other.lock().is_empty());
}

#[tokio::test]
async fn an_answer_of_more_than_ten_mebibytes_is_refused_stated_or_not() {
    let (here, _task, _) = server("HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\n").await;
    let endless = format!("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{}", "x".repeat(limits::HTTP_BODY + 1));
    let (there, _task, _) = server(&endless).await;
    for place in [here, there] {
        let error = get(&format!("http://{place}/")).await.unwrap_err();
        assert_eq!(error.kind, ReadErrorKind::BadReply);
        assert_eq!(error.to_string(), format!("`http://{place}` answered with more than 10 MiB: ask for less"));
    }
}

#[tokio::test]
async fn a_silent_server_is_a_timeout_of_this_source_alone() {
    let (here, _task, _) = server("").await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = listener.local_addr().unwrap();
    let error = get(&format!("http://u:s3cret@{silent}/?q=s3cret")).await.unwrap_err();
    assert_eq!((error.kind, error.whole_connection), (ReadErrorKind::Timeout, false));
    assert_eq!(
        error.to_string(),
        format!("`http://{silent}` did not answer within 1s: check its load, or raise `timeout`")
    );
    let error = get(&format!("http://{here}/")).await.unwrap_err();
    assert_eq!((error.kind, error.whole_connection), (ReadErrorKind::Unreachable, true));
    assert!(error.to_string().starts_with(&format!("the connection to `http://{here}` broke: ")), "{error}");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unreachable_and_its_user_part_stays_hidden() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let error = get(&format!("http://user:s3cret@{free}/path?token=s3cret")).await.unwrap_err();
    assert_eq!((error.kind, error.whole_connection), (ReadErrorKind::Unreachable, true));
    let text = error.to_string();
    assert!(text.starts_with(&format!("`http://{free}` cannot be reached: ")), "{text}");
    assert!(text.contains("refused") && !text.contains("s3cret"), "{text}");
}

#[tokio::test]
async fn a_server_without_tls_where_tls_was_expected_says_so() {
    let (here, _task, _) = server("HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n").await;
    let error = get(&format!("https://{here}/")).await.unwrap_err();
    assert_eq!(error.kind, ReadErrorKind::Unreachable);
    assert!(error.to_string().ends_with("does not speak TLS: use `http`, or give its TLS port"), "{error}");
}

#[test]
fn each_status_has_its_kind() {
    for (status, expected) in [
        (401, ReadErrorKind::Denied),
        (403, ReadErrorKind::Denied),
        (404, ReadErrorKind::NotFound),
        (408, ReadErrorKind::Timeout),
        (429, ReadErrorKind::Throttled),
        (502, ReadErrorKind::Unreachable),
        (503, ReadErrorKind::Unreachable),
        (504, ReadErrorKind::Timeout),
        (400, ReadErrorKind::BadReply),
        (500, ReadErrorKind::Unreachable),
        (501, ReadErrorKind::Unreachable),
        (599, ReadErrorKind::Unreachable),
        (302, ReadErrorKind::BadReply),
    ] {
        assert_eq!(kind(StatusCode::from_u16(status).unwrap()), expected, "{status}");
    }
}

#[test]
fn everything_but_unreserved_characters_is_escaped() {
    assert_eq!(
        form([("query", "up{a=\"b c\"} > 0-_.~é+%"), ("x", "")]),
        "query=up%7Ba%3D%22b%20c%22%7D%20%3E%200-_.~%C3%A9%2B%25&x="
    );
}

/// A client that asks by way of `proxy`.
fn behind(proxy: &str, reach: Reach) -> Http {
    aws_lc_rs::default_provider().install_default().ok();
    let proxies = Matcher::builder().http(proxy).https(proxy).no("direct.example").build();
    Http::through(proxies, Tls::of_system().unwrap(), false, reach)
}

#[tokio::test]
async fn a_proxy_is_asked_for_whole_urls_and_its_login_goes_to_it_alone() {
    let (proxy, _task, asked) = server("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
    let http = behind(&format!("http://user:pw@{proxy}"), Reach::open());
    let request = |url: &str| Request::new(Method::GET, url.parse().unwrap());
    assert_eq!(http.send(request("http://broker.example/path"), SECOND).await.unwrap().body, b"ok");
    let seen = asked.lock().last().unwrap().to_ascii_lowercase();
    assert!(seen.starts_with("get http://broker.example/path http/1.1\r\n"), "{seen}");
    assert!(seen.contains("proxy-authorization: basic dxnlcjpwdw=="), "{seen}");
    let error = http.send(request("http://direct.example/"), SECOND * 5).await.unwrap_err();
    assert!(error.to_string().contains("cannot be reached: its name has no address"), "{error}");
    // This machine and its link are never behind a proxy.
    let (here, _task, asked_here) = server("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    http.send(request(&format!("http://{here}/")), SECOND).await.unwrap();
    assert_eq!((asked.lock().len(), asked_here.lock().len()), (1, 1));
    assert!(!asked_here.lock()[0].to_ascii_lowercase().contains("proxy-authorization"));
}

#[tokio::test]
async fn a_proxy_that_refuses_a_tunnel_says_so_and_names_beyond_reach_are_refused_before_it() {
    let (proxy, _task, asked) = server("HTTP/1.1 407 No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await;
    let request = |url: &str| Request::new(Method::GET, url.parse().unwrap());
    let error = behind(&proxy, Reach::open()).send(request("https://broker.example/"), SECOND * 5).await.unwrap_err();
    let expected = "`https://broker.example` cannot be reached: the proxy of `HTTPS_PROXY` does not let us through: check the proxy";
    assert_eq!(error.to_string(), expected);
    assert!(asked.lock()[0].starts_with("CONNECT broker.example:443 "), "{:?}", asked.lock());
    let rules = Rules { deny: vec!["broker.example".parse().unwrap()], ..Rules::default() };
    let error = behind(&proxy, Reach::new(rules)).send(request("https://broker.example/"), SECOND).await.unwrap_err();
    assert_eq!(error.kind, ReadErrorKind::Denied);
    assert_eq!(asked.lock().len(), 1);
}

#[tokio::test]
async fn a_host_beyond_reach_is_refused_by_its_name_by_its_address_and_by_what_it_resolves_to() {
    aws_lc_rs::default_provider().install_default().ok();
    let (here, _task, asked) = server("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let port = here.split(':').next_back().unwrap();
    let deny = vec!["127.0.0.0/8".parse().unwrap(), "::1".parse().unwrap()];
    let closed = Reach::new(Rules { deny, loopback: true, ..Rules::default() });
    let http = Http::of_system(closed).unwrap();
    for host in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "2130706433", "0x7f.1"] {
        let url = format!("http://{host}:{port}/").parse().unwrap();
        let error = http.send(Request::new(Method::GET, url), SECOND).await.unwrap_err();
        assert_eq!((error.kind, error.whole_connection), (ReadErrorKind::Denied, true), "{host}: {error}");
        assert!(error.to_string().contains("the policy's `deny` has"), "{error}");
    }
    assert!(asked.lock().is_empty());
    let metadata = Request::new(Method::GET, "http://169.254.169.254/latest".parse().unwrap());
    let open = Http::of_system(Reach::open()).unwrap();
    assert_eq!(open.send(metadata, SECOND).await.unwrap_err().kind, ReadErrorKind::Denied);
}

#[tokio::test]
async fn what_is_no_address_of_http_is_refused_and_not_shown() {
    for url in ["user:hunter2@127.0.0.1:1", "ftp://user:hunter2@127.0.0.1/", "data:hunter2"] {
        let error = get(url).await.unwrap_err();
        assert_eq!(error.kind, ReadErrorKind::BadReply, "{error}");
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}

#[tokio::test]
async fn a_server_that_redirects_to_itself_for_ever_is_given_up() {
    let (here, _task, asked) = server("HTTP/1.1 307 Round\r\nlocation: /next\r\ncontent-length: 0\r\n\r\n").await;
    let error = get(&format!("http://{here}/")).await.unwrap_err();
    assert_eq!(error.to_string(), format!("`http://{here}` redirects for ever: correct the address in the trigger"));
    assert_eq!(asked.lock().len(), MOST_REDIRECTS);
}

#[tokio::test]
async fn what_an_answer_holds_counts_for_the_budget_of_all_replies() {
    let body = "x".repeat(1 << 20);
    let (here, _task, _) = server(&format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len())).await;
    let answer = get(&format!("http://{here}/")).await.unwrap();
    assert!(ReplyBytes::held() >= answer.body.len());
}

#[test]
fn what_a_refusal_repeats_of_our_login_is_concealed_whole_or_in_part() {
    let url = "http://p/api?query=up&token=s3cret-in-the-query".parse().unwrap();
    let request = Request::new(Method::GET, url).bearer_auth("hunter2-of-the-bearer").unwrap();
    for said in [
        "authorization: Bearer hunter2-of-the-bearer",
        "you said hunter2-of-the-be",
        "GET /api?query=up&token=s3cret-in-the-query HTTP/1.1",
    ] {
        let shown = String::from_utf8(request.concealed_in(said.into())).unwrap();
        assert!(!shown.contains("hunter2") && !shown.contains("s3cret") && shown.len() == said.len(), "{shown}");
    }
    for words in ["parse error: unexpected end of input", "the Bearer token is not known"] {
        assert_eq!(request.concealed_in(words.into()), words.as_bytes());
    }
}

#[test]
fn what_aws_says_of_a_request_is_left_but_for_its_signature_and_its_token() {
    let signed =
        "AWS4-HMAC-SHA256 Credential=AKIATEST/20260101/eu-west-1/sqs/aws4_request, SignedHeaders=host, Signature=";
    let header = |text: &str| HeaderValue::from_str(text).unwrap();
    let request = Request::new(Method::POST, "https://sqs.eu-west-1.amazonaws.com/".parse().unwrap())
        .header(AUTHORIZATION, header(&format!("{signed}5ecretof7heday")))
        .header(HeaderName::from_static("x-amz-security-token"), header("hunter2-of-a-role"))
        .header(HeaderName::from_static("amz-sdk-request"), header("attempt=1; max=2"));
    for words in ["SignatureDoesNotMatch", "RequestThrottled", "Credential should be scoped to a valid region"] {
        assert_eq!(request.concealed_in(words.into()), words.as_bytes());
    }
    let shown = request.concealed_in("not 5ecretof7heday nor hunter2-of-a-ro".into());
    assert_eq!(shown, b"not .............. nor ...............");
}
