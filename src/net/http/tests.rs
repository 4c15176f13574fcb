//! The client against a server that says whatever the test wants.

use rustls::crypto::aws_lc_rs;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::*;
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
    let http = Http::new(&Tls::default()).await.unwrap();
    http.send(Request::new(reqwest::Method::GET, url.parse().unwrap()), SECOND).await
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
        (500, ReadErrorKind::BadReply),
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
