//! The actix service: opens an exchange for each request and calls the inner service inside the request's
//! context.

use std::task::{Context, Poll};

use actix_web::body::MessageBody;
use actix_web::dev::{Service, ServiceRequest, ServiceResponse};
use actix_web::http::header::HeaderValue;
use actix_web::web::Bytes;
use actix_web::{Error, HttpMessage};
use auditx_core::RequestContext;
use auditx_core::http::{Exchange, HttpAudit, RequestFacts};

use crate::body::AuditBody;
use crate::extract::AuditContext;
use crate::future::AuditFuture;
use crate::headers::{HeadersOf, REQUEST_ID};
use crate::payload::tap;

/// A service that audits its requests; created by [`AuditMiddleware`](struct@crate::AuditMiddleware).
#[derive(Debug)]
pub struct AuditService<S> {
    inner: S,
    http: HttpAudit,
}

impl<S> AuditService<S> {
    pub(crate) fn new(inner: S, http: HttpAudit) -> Self {
        Self { inner, http }
    }
}

impl<S, B> Service<ServiceRequest> for AuditService<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody,
{
    type Response = ServiceResponse<AuditBody<B>>;
    type Error = Error;
    type Future = AuditFuture<S::Future, B>;

    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&self, mut request: ServiceRequest) -> Self::Future {
        let outer = request.extensions().get().cloned();
        if let Some(AuditContext(context)) = outer {
            return self.call_in_exchange(&context, request);
        }
        // Boxed because it moves several times (service, future, body), and it is large.
        let mut exchange = Box::new(self.begin(&request));
        // Inner middleware and handlers read the id from this header.
        let request_id = HeaderValue::from_maybe_shared(Bytes::from_owner(exchange.request_id_bytes())).ok();
        if let Some(id) = &request_id {
            request.headers_mut().insert(REQUEST_ID, id.clone());
        }
        if let Some(problem) = exchange.refusal() {
            return AuditFuture::refused(request, problem, Some(exchange), request_id);
        }
        let context = exchange.context().clone();
        request.extensions_mut().insert(AuditContext(context.clone()));
        tap(&mut request, &exchange);
        let future = Exchange::watch(Some(&mut exchange), || {
            let _scope = context.enter();
            self.inner.call(request)
        });
        AuditFuture::running(context.scope(future), Some(exchange), request_id)
    }
}

impl<S> AuditService<S> {
    fn begin(&self, request: &ServiceRequest) -> Exchange {
        let headers = HeadersOf(request.headers());
        // The router has not run yet, but the patterns are known already. Taking the route here also gives it
        // to requests that never reach the router.
        let route = request.match_pattern();
        let facts = RequestFacts::new(request.method().as_str(), request.uri().path(), &headers)
            .query(request.uri().query())
            .route(route.as_deref())
            .peer(request.peer_addr().map(|peer| peer.ip()));
        self.http.begin(&facts)
    }

    /// Calls the inner service for a request that an outer middleware audits already. This middleware's
    /// settings apply to it, and no second exchange is opened.
    fn call_in_exchange<B>(
        &self,
        context: &RequestContext,
        request: ServiceRequest,
    ) -> AuditFuture<S::Future, B>
    where
        S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
    {
        match self.http.govern(context) {
            Some(problem) => AuditFuture::refused(request, problem, None, None),
            None => AuditFuture::running(context.scope(self.inner.call(request)), None, None),
        }
    }
}
