//! The future of a response: tells the exchange about the head, an error, a panic, or being dropped.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use actix_web::Error;
use actix_web::body::MessageBody;
use actix_web::dev::ServiceResponse;
use actix_web::http::header::HeaderValue;
use auditx_core::{Exchange, Scoped};
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

impl<F, B> Future for AuditFuture<F>
where
    F: Future<Output = Result<ServiceResponse<B>, Error>>,
    B: MessageBody,
{
    type Output = Result<ServiceResponse<AuditBody<B>>, Error>;

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
                // actix makes the response from the error further out: its status is known, its body is not ours.
                if let Some(exchange) = this.exchange {
                    exchange.respond(error.as_response_error().status_code().as_u16(), None);
                    exchange.fail(&error);
                }
                Poll::Ready(Err(error))
            }
        }
    }
}
