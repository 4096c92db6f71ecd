//! The body of a response: counts what goes out and tells the exchange how it ended.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use auditx_core::Exchange;
use bytes::Buf;
use http::Response;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

pin_project! {
    /// A body whose end closes the exchange. Data, trailers and size hints pass unchanged.
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

impl<B: Body> AuditBody<B> {
    pub(crate) fn wrap(response: Response<B>, mut exchange: Option<Exchange>) -> Response<Self> {
        let status = response.status().as_u16();
        response.map(|body| {
            if let Some(exchange) = &mut exchange {
                exchange.respond(status, body.size_hint().exact());
                if exchange.has_no_body() || body.is_end_stream() {
                    exchange.complete();
                }
            }
            Self { inner: Some(body), exchange }
        })
    }
}

impl<B> Body for AuditBody<B>
where
    B: Body,
    B::Error: fmt::Display,
{
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let mut this = self.project();
        let Some(mut inner) = this.inner.as_mut().as_pin_mut() else { return Poll::Ready(None) };
        let scope = this.exchange.as_ref().map(|exchange| exchange.context().enter());
        let polled = Exchange::watch(this.exchange.as_mut(), || inner.as_mut().poll_frame(cx));
        drop(scope);
        if let (Some(exchange), Poll::Ready(frame)) = (this.exchange.as_mut(), &polled) {
            match frame {
                None => exchange.complete(),
                Some(Err(error)) => exchange.fail_body(error),
                Some(Ok(frame)) => {
                    exchange.sent(frame.data_ref().map_or(0, Buf::remaining));
                    // A server need not ask again once the body says that this was its last frame.
                    if inner.is_end_stream() {
                        exchange.complete();
                    }
                }
            }
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}
