//! The request payload: if it is captured, passes a copy of its data to the exchange while the application
//! reads it.

use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::dev::{Payload, ServiceRequest};
use actix_web::error::PayloadError;
use actix_web::web::Bytes;
use auditx_core::http::{BodyTap, Exchange};
use futures_core::Stream;

/// A payload whose data is reported to a [`BodyTap`]. It is read only when the application polls it; chunks
/// pass through unchanged.
struct TappedPayload {
    inner: Payload,
    tap: BodyTap,
}

impl Stream for TappedPayload {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let polled = Pin::new(&mut self.inner).poll_next(cx);
        match &polled {
            Poll::Ready(Some(Ok(data))) => self.tap.data(data),
            Poll::Ready(None) => self.tap.end(),
            Poll::Ready(Some(Err(_))) | Poll::Pending => {}
        }
        polled
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.inner.size_hint()
    }
}

/// Wraps the payload of a request if it is captured.
pub(crate) fn tap(request: &mut ServiceRequest, exchange: &Exchange) {
    let Some(tap) = exchange.request_body() else { return };
    let inner = std::mem::replace(request.parts_mut().1, Payload::None);
    if matches!(inner, Payload::None) {
        return tap.end();
    }
    request.set_payload(Payload::Stream { payload: Box::pin(TappedPayload { inner, tap }) });
}
