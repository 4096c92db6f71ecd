//! The body of a request, where it is captured: shows what passes to the exchange.

use std::any::Any;
use std::pin::Pin;
use std::task::{Context, Poll};

use auditx_core::{BodyTap, Exchange};
use bytes::Bytes;
use http::Request;
use http_body::{Body as HttpBody, Frame, SizeHint};

type AxumBody = axum::body::Body;

/// Frames, trailers and size hints pass unchanged, when the application asks for them.
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
                // Whoever reads it need not ask again once the body says that this was its last frame.
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

/// Puts the tap into a request whose body is captured.
///
/// A service takes one type of request, and a body of another type would be none that it takes. Only
/// [`AxumBody`] can hold any body; every other type passes as it is, and the entry says that its body was not
/// observed.
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
    request.map(|body| body.unwrap_or_else(|| unreachable!("it was put back")))
}
