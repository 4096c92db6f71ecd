//! The tower service: opens an exchange for each request and calls the inner service inside the request's
//! context.

use std::net::{IpAddr, SocketAddr};
use std::task::{Context, Poll};

use auditx_core::RequestContext;
use auditx_core::http::{Exchange, HttpAudit, RequestFacts};
#[cfg(feature = "axum")]
use axum::extract::{ConnectInfo, MatchedPath};
use bytes::Bytes;
use http::{Extensions, HeaderValue, Request, Response};
use http_body::Body;
use tower_service::Service;

use crate::body::AuditBody;
use crate::context::AuditContext;
use crate::future::AuditFuture;
use crate::headers::{HeadersOf, REQUEST_ID};
#[cfg(feature = "axum")]
use crate::request_body::tap;

/// A service that audits its requests; created by [`AuditLayer`](crate::AuditLayer).
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
        let headers = HeadersOf(request.headers());
        let facts = RequestFacts::new(request.method().as_str(), request.uri().path(), &headers)
            .query(request.uri().query())
            .peer(peer(extensions))
            .route(route(extensions));
        self.http.begin(&facts)
    }
}

/// The address of the socket's peer.
fn peer(extensions: &Extensions) -> Option<IpAddr> {
    #[cfg(feature = "axum")]
    if let Some(ConnectInfo(peer)) = extensions.get::<ConnectInfo<SocketAddr>>() {
        return Some(peer.ip());
    }
    extensions.get::<SocketAddr>().map(SocketAddr::ip)
}

/// The route that axum matched, with its parameters by name.
#[cfg(feature = "axum")]
fn route(extensions: &Extensions) -> Option<&str> {
    extensions.get::<MatchedPath>().map(MatchedPath::as_str)
}

#[cfg(not(feature = "axum"))]
fn route(_: &Extensions) -> Option<&str> {
    None
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
            return self.call_in_exchange(context, request);
        }
        // Boxed because it moves several times (service, future, body), and it is large.
        let mut exchange = Box::new(self.begin(&request));
        // Inner layers and handlers (tower-http's request ids, for example) read the id from this header.
        let request_id = HeaderValue::from_maybe_shared(Bytes::from_owner(exchange.request_id_bytes())).ok();
        if let Some(id) = &request_id {
            request.headers_mut().insert(REQUEST_ID, id.clone());
        }
        if let Some(problem) = exchange.refusal() {
            return AuditFuture::refused(problem, Some(exchange), request_id);
        }
        let context = exchange.context().clone();
        request.extensions_mut().insert(AuditContext(context.clone()));
        #[cfg(feature = "axum")]
        let request = if exchange.captures_request() { tap(request, &exchange) } else { request };
        let future = Exchange::watch(Some(&mut exchange), || {
            let _scope = context.enter();
            self.inner.call(request)
        });
        AuditFuture::running(context.scope(future), Some(exchange), request_id)
    }
}

impl<S> AuditService<S> {
    /// Calls the inner service for a request that an outer layer audits already. This layer's settings apply
    /// to it, and no second exchange is opened.
    fn call_in_exchange<B, R>(
        &mut self,
        context: RequestContext,
        request: Request<B>,
    ) -> AuditFuture<S::Future, R>
    where
        S: Service<Request<B>, Response = Response<R>>,
    {
        if let Some(problem) = self.http.govern(&context) {
            return AuditFuture::refused(problem, None, None);
        }
        AuditFuture::running(context.scope(self.inner.call(request)), None, None)
    }
}
