//! The body of a response: counts what goes out and tells the exchange how it ended.

use std::error::Error as StdError;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, MessageBody};
use actix_web::dev::ServiceResponse;
use actix_web::web::Bytes;
use auditx_core::{Exchange, RequestContext};
use pin_project_lite::pin_project;

pin_project! {
    /// A body whose end closes the exchange. Data and sizes pass unchanged.
    #[derive(Debug)]
    pub struct AuditBody<B> {
        #[pin]
        inner: Option<B>,
        open: Option<Exchange>,
        context: Option<RequestContext>,
    }

    impl<B> PinnedDrop for AuditBody<B> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            // The body goes first, inside its context: what its destructors record precedes the closing entry.
            let _scope = this.context.as_ref().map(RequestContext::enter);
            this.inner.set(None);
        }
    }
}

impl<B: MessageBody> AuditBody<B> {
    pub(crate) fn wrap(response: ServiceResponse<B>, exchange: Option<Exchange>) -> ServiceResponse<Self> {
        let status = response.status().as_u16();
        let error = response.response().error().map(ToString::to_string);
        response.map_body(|_, body| {
            let context = exchange.as_ref().map(|exchange| exchange.context().clone());
            let open = exchange.and_then(|mut exchange| {
                let (expected, is_empty) = match body.size() {
                    BodySize::None => (Some(0), true),
                    BodySize::Sized(len) => (Some(len), len == 0),
                    BodySize::Stream => (None, false),
                };
                exchange.respond(status, expected);
                if let Some(error) = &error {
                    exchange.explain(error);
                }
                let ended = exchange.has_no_body() || is_empty;
                if ended {
                    exchange.complete();
                }
                (!ended).then_some(exchange)
            });
            Self { inner: Some(body), open, context }
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
        let polled = {
            let _scope = this.context.as_ref().map(RequestContext::enter);
            catch_unwind(AssertUnwindSafe(|| inner.poll_next(cx)))
        };
        let polled = match polled {
            Ok(polled) => polled,
            Err(panic) => {
                if let Some(mut exchange) = this.open.take() {
                    exchange.panicked(&*panic);
                }
                resume_unwind(panic)
            }
        };
        let next = match polled {
            Poll::Ready(next) => next.map(|result| result.map_err(Into::into)),
            Poll::Pending => return Poll::Pending,
        };
        if let Some(exchange) = this.open.as_mut() {
            match &next {
                Some(Ok(data)) => exchange.sent(data.len()),
                Some(Err(error)) => exchange.fail_body(error),
                None => exchange.complete(),
            }
        }
        Poll::Ready(next)
    }
}
