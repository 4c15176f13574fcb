//! OTLP over HTTP by the client that speaks to brokers too: one dialer and one TLS for all.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use opentelemetry_http::{HttpClient, HttpError, Request, Response};
use tokio::{runtime::Handle, sync::oneshot};

use crate::{
    error::{ReadError, ReadErrorKind},
    net::http::{self, Http, Method},
    task,
};

/// The exporters' own deadline is in force before this one.
const LONGEST: Duration = Duration::from_secs(3600);

/// Sends from threads that are no part of the runtime.
#[derive(Debug, Clone)]
pub(super) struct Client {
    http: Arc<Http>,
    runtime: Handle,
}

impl Client {
    pub(super) fn new(http: Http) -> Self {
        Self { http: Arc::new(http), runtime: Handle::current() }
    }
}

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (head, body) = request.into_parts();
        let method = Method::from_bytes(head.method.as_str().as_bytes())?;
        let mut ours = http::Request::new(method, head.uri.to_string().parse()?).body(body);
        ours.headers = head.headers;
        // What we send back of an answer's words must not have them in it.
        ours.headers.values_mut().for_each(|value| value.set_sensitive(true));
        let (reply, answer) = oneshot::channel();
        let http = Arc::clone(&self.http);
        {
            let _inside = self.runtime.enter();
            task::detach(async move {
                reply.send(http.send(ours, LONGEST).await).ok();
            });
        }
        let lost = |_| ReadError::new(ReadErrorKind::Internal, "the request ended without an answer");
        let answer = answer.await.map_err(lost)??;
        let mut response = Response::builder().status(answer.status);
        for (name, value) in &answer.headers {
            response = response.header(name, value);
        }
        Ok(response.body(answer.body.into())?)
    }
}
