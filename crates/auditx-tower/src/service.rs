//! The service: opens an exchange for each request and calls the inner service inside its context.

use std::net::SocketAddr;
use std::task::{Context, Poll};

use auditx_core::{Exchange, Headers, HttpAudit, RequestFacts};
use axum::extract::ConnectInfo;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use tower_service::Service;

use crate::body::AuditBody;
use crate::future::AuditFuture;

pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// A service whose requests are audited; made by [`AuditLayer`](crate::AuditLayer).
#[derive(Debug, Clone)]
pub struct AuditService<S> {
    inner: S,
    http: HttpAudit,
}

impl<S> AuditService<S> {
    pub(crate) fn new(inner: S, http: HttpAudit) -> Self {
        Self { inner, http }
    }
}

struct HeadersOf<'h>(&'h HeaderMap);

impl Headers for HeadersOf<'_> {
    fn each(&self, name: &str, visit: &mut dyn FnMut(&[u8])) {
        self.0.get_all(name).iter().for_each(|value| visit(value.as_bytes()));
    }
}

impl<S, B, R> Service<Request<B>> for AuditService<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Error: std::fmt::Display,
    R: http_body::Body,
    R::Error: std::fmt::Display,
{
    type Response = Response<AuditBody<R>>;
    type Error = S::Error;
    type Future = AuditFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip());
        let mut exchange = {
            let headers = HeadersOf(request.headers());
            let facts = RequestFacts::new(request.method().as_str(), request.uri().path(), &headers)
                .query(request.uri().query())
                .peer(peer);
            self.http.begin(&facts)
        };
        // Whatever stands further in (handlers, tower-http's request ids) reads the id where it always does.
        let request_id = HeaderValue::from_str(exchange.request_id()).ok();
        if let Some(id) = &request_id {
            request.headers_mut().insert(REQUEST_ID, id.clone());
        }
        let context = exchange.context().clone();
        let future = Exchange::watch(Some(&mut exchange), || {
            let _scope = context.enter();
            self.inner.call(request)
        });
        AuditFuture::new(context.scope(future), exchange, request_id)
    }
}
