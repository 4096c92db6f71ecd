//! The service: opens an exchange for each request and calls the inner service inside its context.

use std::net::SocketAddr;
use std::task::{Context, Poll};

use auditx_core::{Exchange, HttpAudit, RequestContext, RequestFacts};
use axum::extract::{ConnectInfo, MatchedPath};
use bytes::Bytes;
use http::{HeaderValue, Request, Response};
use http_body::Body;
use tower_service::Service;

use crate::body::AuditBody;
use crate::extract::AuditContext;
use crate::future::AuditFuture;
use crate::headers::{HeadersOf, REQUEST_ID};
use crate::request_body::tap;

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

    fn begin<B>(&self, request: &Request<B>) -> Exchange {
        let extensions = request.extensions();
        let peer = extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip());
        let headers = HeadersOf(request.headers());
        let facts = RequestFacts::new(request.method().as_str(), request.uri().path(), &headers)
            .query(request.uri().query())
            .peer(peer)
            .route(extensions.get::<MatchedPath>().map(MatchedPath::as_str));
        self.http.begin(&facts)
    }
}

impl<S, B, R> Service<Request<B>> for AuditService<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Error: std::fmt::Display,
    B: 'static,
    R: Body,
    R::Data: From<Bytes>,
    R::Error: std::fmt::Display,
{
    type Response = Response<AuditBody<R>>;
    type Error = S::Error;
    type Future = AuditFuture<S::Future, R>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        if let Some(AuditContext(context)) = request.extensions().get().cloned() {
            return self.call_within(context, request);
        }
        // Boxed: it is handed on several times before the body has it.
        let mut exchange = Box::new(self.begin(&request));
        // Whatever stands further in (handlers, tower-http's request ids) reads the id where it always does.
        let request_id = HeaderValue::from_str(exchange.request_id()).ok();
        if let Some(id) = &request_id {
            request.headers_mut().insert(REQUEST_ID, id.clone());
        }
        if let Some(problem) = exchange.refusal() {
            return AuditFuture::refused(problem, Some(exchange), request_id);
        }
        let context = exchange.context().clone();
        request.extensions_mut().insert(AuditContext(context.clone()));
        let request = if exchange.captures_request() { tap(request, &exchange) } else { request };
        let future = Exchange::watch(Some(&mut exchange), || {
            let _scope = context.enter();
            self.inner.call(request)
        });
        AuditFuture::running(context.scope(future), Some(exchange), request_id)
    }
}

impl<S> AuditService<S> {
    /// A request that an outer layer audits already: it gets this layer's settings.
    fn call_within<B, R>(&mut self, context: RequestContext, request: Request<B>) -> AuditFuture<S::Future, R>
    where
        S: Service<Request<B>, Response = Response<R>>,
    {
        if let Some(problem) = self.http.govern(&context) {
            return AuditFuture::refused(problem, None, None);
        }
        AuditFuture::running(context.scope(self.inner.call(request)), None, None)
    }
}
