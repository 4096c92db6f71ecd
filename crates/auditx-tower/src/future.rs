//! The future of a response: tells the exchange about the head, an error, a panic, or being dropped.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use auditx_core::{Exchange, Scoped};
use http::{HeaderValue, Response};
use pin_project_lite::pin_project;

use crate::body::AuditBody;
use crate::service::REQUEST_ID;

pin_project! {
    /// The response of an audited service.
    #[derive(Debug)]
    pub struct AuditFuture<F> {
        // Dropped first, inside its context: what its destructors record precedes the closing entry.
        #[pin]
        inner: Scoped<F>,
        exchange: Option<Exchange>,
        request_id: Option<HeaderValue>,
    }
}

impl<F> AuditFuture<F> {
    pub(crate) fn new(inner: Scoped<F>, exchange: Exchange, request_id: Option<HeaderValue>) -> Self {
        Self { inner, exchange: Some(exchange), request_id }
    }
}

impl<F, R, E> Future for AuditFuture<F>
where
    F: Future<Output = Result<Response<R>, E>>,
    E: fmt::Display,
    R: http_body::Body,
    R::Error: fmt::Display,
{
    type Output = Result<Response<AuditBody<R>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        match ready!(Exchange::watch(this.exchange.as_mut(), || this.inner.poll(cx))) {
            Ok(mut response) => {
                if let Some(id) = this.request_id.take() {
                    response.headers_mut().insert(REQUEST_ID, id);
                }
                let exchange = this.exchange.take();
                Poll::Ready(Ok(AuditBody::wrap(response, exchange)))
            }
            Err(error) => {
                if let Some(exchange) = this.exchange {
                    exchange.fail(&error);
                }
                Poll::Ready(Err(error))
            }
        }
    }
}
