//! Our HTTP client as the AWS SDK wants it: the one dialer, the bound on replies and the proxies hold for it too.

use std::{error::Error, time::Duration};

use aws_smithy_runtime_api::{
    client::{
        http::{
            HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
            SharedHttpConnector,
        },
        orchestrator::{HttpRequest, HttpResponse},
        result::ConnectorError,
        runtime_components::RuntimeComponents,
    },
    http::StatusCode,
};
use aws_smithy_types::body::SdkBody;

use crate::{
    error::{ReadError, ReadErrorKind},
    net::http::{Http, Method, Request, Url, header::HeaderName, header::HeaderValue},
};

/// Where the SDK says nothing itself. It gives up earlier by its own timeouts.
const LONGEST: Duration = Duration::from_secs(10);

/// `http` for the SDK.
#[must_use]
pub fn client(http: Http) -> SharedHttpClient {
    SharedHttpClient::new(Client(http))
}

/// What our client said, if a request of the SDK's failed for that.
#[must_use]
pub fn reason<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e ReadError> {
    std::iter::successors(Some(error), |&error| error.source()).find_map(|cause| cause.downcast_ref())
}

#[derive(Debug, Clone)]
struct Client(Http);

impl HttpClient for Client {
    fn http_connector(&self, settings: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        let deadline = settings.read_timeout().unwrap_or(LONGEST);
        SharedHttpConnector::new(Connector { http: self.0.clone(), deadline })
    }
}

#[derive(Debug)]
struct Connector {
    http: Http,
    deadline: Duration,
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (http, deadline) = (self.http.clone(), self.deadline);
        HttpConnectorFuture::new(async move {
            let request = read(&request).ok_or_else(|| ConnectorError::user("no such request".into()))?;
            let answer = http.send(request, deadline).await.map_err(|error| match error.kind {
                ReadErrorKind::Timeout => ConnectorError::timeout(error.into()),
                ReadErrorKind::Unreachable => ConnectorError::io(error.into()),
                _ => ConnectorError::other(error.into(), None),
            })?;
            let status = StatusCode::try_from(answer.status.as_u16());
            let status = status.map_err(|error| ConnectorError::other(error.into(), None))?;
            let mut response = HttpResponse::new(status, SdkBody::from(answer.body));
            for (name, value) in &answer.headers {
                // A header that is no text is none of AWS's.
                if let Ok(value) = value.to_str() {
                    response.headers_mut().append(name.as_str().to_owned(), value.to_owned());
                }
            }
            Ok(response)
        })
    }
}

fn read(request: &HttpRequest) -> Option<Request> {
    let mut ours = Request::new(Method::from_bytes(request.method().as_bytes()).ok()?, Url::parse(request.uri()).ok()?);
    for (name, value) in request.headers() {
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        // Both are said by whoever writes the request.
        if name != "content-length" && name != "host" {
            ours.headers.append(name, HeaderValue::from_str(value).ok()?);
        }
    }
    ours.body = request.body().bytes()?.to_vec();
    Some(ours)
}
