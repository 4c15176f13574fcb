//! Serves the pages over HTTP/1, to callers who may be slow but not for ever.

use std::{pin::pin, sync::Arc};

use axum::Router;
use futures::{Stream, StreamExt};
use hyper::{
    server::conn::http1,
    service::{Service, service_fn},
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::time::{Instant, sleep_until};
use tracing::debug;

use crate::{door::Guest, limits, task};

/// Serves those who come in, for as long as they do.
pub async fn serve(incoming: impl Stream<Item = Guest>, router: Router) {
    let mut incoming = pin!(incoming);
    while let Some(guest) = incoming.next().await {
        task::detach(visit(guest, router.clone()));
    }
}

async fn visit(guest: Guest, router: Router) {
    let Guest { socket, caller } = guest;
    let caller = Arc::new(caller);
    let service = {
        let (caller, router) = (Arc::clone(&caller), TowerToHyperService::new(router));
        service_fn(move |request| {
            let (working, answer) = (caller.working(), router.call(request));
            async move {
                let answer = answer.await;
                drop(working);
                answer
            }
        })
    };
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits::GREETING)
            .max_headers(limits::HEADERS)
            .serve_connection(TokioIo::new(socket), service)
    );
    let age = Instant::now() + limits::ADMIN_AGE;
    let mut old = false;
    loop {
        let due = if old { age + limits::LAST_WORDS } else { age };
        tokio::select! {
            ended = &mut connection => {
                if let Err(error) = ended {
                    debug!(%error, "a connection to the admin port has ended");
                }
                return;
            }
            () = caller.must_leave() => return,
            () = sleep_until(due) => {
                if old {
                    return;
                }
                old = true;
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}
