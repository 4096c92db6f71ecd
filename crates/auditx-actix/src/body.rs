//! The body of a response: counts what goes out and tells the exchange how it ended.

use std::error::Error as StdError;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use actix_web::body::{BodySize, MessageBody};
use actix_web::dev::ServiceResponse;
use actix_web::web::Bytes;
use auditx_core::Exchange;
use pin_project_lite::pin_project;

pin_project! {
    /// A body whose end closes the exchange. Data and sizes pass unchanged.
    #[derive(Debug)]
    pub struct AuditBody<B> {
        #[pin]
        inner: Option<B>,
        exchange: Option<Exchange>,
    }

    impl<B> PinnedDrop for AuditBody<B> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            // The body goes first, inside its context: what its destructors record precedes the closing entry.
            let _scope = this.exchange.as_ref().map(|exchange| exchange.context().enter());
            this.inner.set(None);
        }
    }
}

impl<B: MessageBody> AuditBody<B> {
    pub(crate) fn wrap(
        response: ServiceResponse<B>,
        mut exchange: Option<Exchange>,
    ) -> ServiceResponse<Self> {
        let status = response.status().as_u16();
        let error = response.response().error().map(ToString::to_string);
        response.map_body(|_, body| {
            if let Some(exchange) = &mut exchange {
                let (expected, is_empty) = match body.size() {
                    BodySize::None => (Some(0), true),
                    BodySize::Sized(len) => (Some(len), len == 0),
                    BodySize::Stream => (None, false),
                };
                exchange.respond(status, expected);
                if let Some(error) = &error {
                    exchange.explain(error);
                }
                if exchange.has_no_body() || is_empty {
                    exchange.complete();
                }
            }
            Self { inner: Some(body), exchange }
        })
    }
}

impl<B: MessageBody> MessageBody for AuditBody<B> {
    type Error = Box<dyn StdError>;

    fn size(&self) -> BodySize {
        self.inner.as_ref().map_or(BodySize::None, MessageBody::size)
    }

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        let mut this = self.project();
        let Some(inner) = this.inner.as_mut().as_pin_mut() else { return Poll::Ready(None) };
        let scope = this.exchange.as_ref().map(|exchange| exchange.context().enter());
        let polled = Exchange::watch(this.exchange.as_mut(), || inner.poll_next(cx));
        drop(scope);
        let next = ready!(polled).map(|result| result.map_err(Into::into));
        if let Some(exchange) = this.exchange.as_mut() {
            match &next {
                Some(Ok(data)) => exchange.sent(data.len()),
                Some(Err(error)) => exchange.fail_body(error),
                None => exchange.complete(),
            }
        }
        Poll::Ready(next)
    }
}
