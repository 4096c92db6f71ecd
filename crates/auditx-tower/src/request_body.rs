//! The request body: if it is captured, passes a copy of its data to the exchange while the application reads
//! it.

use std::any::Any;
use std::pin::Pin;
use std::task::{Context, Poll};

use auditx_core::http::{BodyTap, Exchange};
use bytes::Bytes;
use http::Request;
use http_body::{Body as HttpBody, Frame, SizeHint};

type AxumBody = axum::body::Body;

/// A request body whose data is reported to a [`BodyTap`]. It is read only when the application polls it;
/// frames, trailers and size hints pass through unchanged.
struct TappedBody {
    inner: AxumBody,
    tap: BodyTap,
}

impl HttpBody for TappedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.inner).poll_frame(cx);
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(data) = frame.data_ref() {
                    self.tap.data(data);
                }
                // A reader may stop polling once `is_end_stream` returns true.
                if self.inner.is_end_stream() {
                    self.tap.end();
                }
            }
            Poll::Ready(None) => self.tap.end(),
            Poll::Ready(Some(Err(_))) | Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// Wraps the body of a request if it is captured.
///
/// The inner service accepts one request type, so the wrapped body must have the type of the original one.
/// Only [`AxumBody`] can hold any body; a body of another type is left as it is, and the entry records that
/// it was not observed.
pub(crate) fn tap<B: 'static>(request: Request<B>, exchange: &Exchange) -> Request<B> {
    let mut request = request.map(Some);
    let body: &mut dyn Any = request.body_mut();
    if let Some(body) = body.downcast_mut::<Option<AxumBody>>()
        && let Some(tap) = exchange.request_body()
    {
        *body = body.take().map(|inner| {
            if inner.is_end_stream() {
                tap.end();
            }
            AxumBody::new(TappedBody { inner, tap })
        });
    }
    request.map(|body| body.unwrap_or_else(|| unreachable!("the body is always put back")))
}
