//! The service: opens an exchange for each request and calls the inner service inside its context.

use std::task::{Context, Poll};

use actix_web::Error;
use actix_web::body::MessageBody;
use actix_web::dev::{Service, ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use auditx_core::{Exchange, Headers, HttpAudit, RequestFacts};

use crate::body::AuditBody;
use crate::future::AuditFuture;

pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// A service whose requests are audited; made by [`AuditMiddleware`](crate::AuditMiddleware).
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

struct HeadersOf<'h>(&'h HeaderMap);

impl Headers for HeadersOf<'_> {
    fn each(&self, name: &str, visit: &mut dyn FnMut(&[u8])) {
        self.0.get_all(name).for_each(|value| visit(value.as_bytes()));
    }
}

impl<S, B> Service<ServiceRequest> for AuditService<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody,
{
    type Response = ServiceResponse<AuditBody<B>>;
    type Error = Error;
    type Future = AuditFuture<S::Future>;

    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&self, mut request: ServiceRequest) -> Self::Future {
        let mut exchange = {
            let headers = HeadersOf(request.headers());
            let query = request.uri().query();
            let facts = RequestFacts::new(request.method().as_str(), request.uri().path(), &headers)
                .query(query)
                .peer(request.peer_addr().map(|peer| peer.ip()));
            self.http.begin(&facts)
        };
        // Whatever stands further in reads the id where it always does.
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
