//! The response body: counts the bytes sent and reports to the exchange how the body ended.

use std::error::Error as StdError;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use actix_web::body::{BodySize, MessageBody};
use actix_web::web::Bytes;
use auditx_core::http::Exchange;
use pin_project_lite::pin_project;

pin_project! {
    /// A response body that closes the exchange when it ends. Data and sizes pass through unchanged.
    #[derive(Debug)]
    pub struct AuditBody<B> {
        #[pin]
        inner: Option<B>,
        // Sent instead of the application's body if the request was refused.
        problem: Option<Bytes>,
        exchange: Option<Box<Exchange>>,
    }

    impl<B> PinnedDrop for AuditBody<B> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            // The body is dropped first, inside its context, so entries that its destructors record
            // precede the closing entry.
            let _scope = this.exchange.as_ref().map(|exchange| exchange.context().enter());
            this.inner.set(None);
        }
    }
}

impl<B> AuditBody<B> {
    pub(crate) fn of(inner: B, exchange: Option<Box<Exchange>>) -> Self {
        Self { inner: Some(inner), problem: None, exchange }
    }

    pub(crate) fn problem(body: String, exchange: Option<Box<Exchange>>) -> Self {
        Self { inner: None, problem: Some(body.into()), exchange }
    }
}

impl<B: MessageBody> MessageBody for AuditBody<B> {
    type Error = Box<dyn StdError>;

    fn size(&self) -> BodySize {
        match (&self.problem, &self.inner) {
            (Some(problem), _) => BodySize::Sized(problem.len() as u64),
            (None, Some(inner)) => inner.size(),
            (None, None) => BodySize::None,
        }
    }

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        let mut this = self.project();
        if let Some(problem) = this.problem.take() {
            if let Some(exchange) = this.exchange.as_mut() {
                exchange.sent_data(&problem);
                exchange.complete();
            }
            return Poll::Ready(Some(Ok(problem)));
        }
        let Some(inner) = this.inner.as_mut().as_pin_mut() else { return Poll::Ready(None) };
        let scope = this.exchange.as_ref().map(|exchange| exchange.context().enter());
        let polled = Exchange::watch(this.exchange.as_deref_mut(), || inner.poll_next(cx));
        drop(scope);
        let next = ready!(polled).map(|result| result.map_err(Into::into));
        if let Some(exchange) = this.exchange.as_mut() {
            match &next {
                Some(Ok(data)) => exchange.sent_data(data),
                Some(Err(error)) => exchange.fail_body(error),
                None => exchange.complete(),
            }
        }
        Poll::Ready(next)
    }
}
