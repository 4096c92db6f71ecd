//! The response body: counts the bytes sent and reports to the exchange how the body ended.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use auditx_core::http::Exchange;
use bytes::{Buf, Bytes};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::headers::HeadersOf;

pin_project! {
    /// A response body that closes the exchange when it ends. Data, trailers and size hints pass through
    /// unchanged.
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

    pub(crate) fn problem(body: Bytes, exchange: Option<Box<Exchange>>) -> Self {
        Self { inner: None, problem: Some(body), exchange }
    }
}

impl<B> Default for AuditBody<B> {
    /// Returns an empty body without an exchange, for outer layers that answer requests themselves.
    fn default() -> Self {
        Self { inner: None, problem: None, exchange: None }
    }
}

impl<B> Body for AuditBody<B>
where
    B: Body,
    B::Data: From<Bytes>,
    B::Error: fmt::Display,
{
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let mut this = self.project();
        if let Some(problem) = this.problem.take() {
            if let Some(exchange) = this.exchange.as_mut() {
                exchange.sent_data(&problem);
                exchange.complete();
            }
            return Poll::Ready(Some(Ok(Frame::data(problem.into()))));
        }
        let Some(mut inner) = this.inner.as_mut().as_pin_mut() else { return Poll::Ready(None) };
        let scope = this.exchange.as_ref().map(|exchange| exchange.context().enter());
        let polled = Exchange::watch(this.exchange.as_deref_mut(), || inner.as_mut().poll_frame(cx));
        drop(scope);
        let Some(exchange) = this.exchange.as_mut() else { return polled };
        polled.map(|frame| match frame {
            None => {
                exchange.complete();
                None
            }
            Some(Err(error)) => {
                exchange.fail_body(&error);
                Some(Err(error))
            }
            Some(Ok(frame)) => {
                let frame = observe(exchange, frame);
                // A server may stop polling once `is_end_stream` returns true.
                if inner.is_end_stream() {
                    exchange.complete();
                }
                Some(Ok(frame))
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        self.problem.is_none() && self.inner.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        match (&self.problem, &self.inner) {
            (Some(problem), _) => SizeHint::with_exact(problem.len() as u64),
            (None, Some(inner)) => inner.size_hint(),
            (None, None) => SizeHint::with_exact(0),
        }
    }
}

/// Reports a frame to the exchange. Data is copied only if it is captured and not contiguous; the copy then
/// replaces the frame's data.
fn observe<D: Buf + From<Bytes>>(exchange: &mut Exchange, frame: Frame<D>) -> Frame<D> {
    if let Some(trailers) = frame.trailers_ref() {
        exchange.trailers(&HeadersOf(trailers));
    }
    match frame.data_ref() {
        Some(data) if data.chunk().len() == data.remaining() => {
            exchange.sent_data(data.chunk());
            frame
        }
        Some(_) if exchange.captures_response() => frame.map_data(|mut data| {
            let whole = data.copy_to_bytes(data.remaining());
            exchange.sent_data(&whole);
            whole.into()
        }),
        data => {
            exchange.sent(data.map_or(0, Buf::remaining));
            frame
        }
    }
}
