//! The response future: reports the response head, an error, a panic or its own drop to the exchange. If
//! durable responses are configured, it holds the head back until the entries of the request are durable.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use auditx_core::Scoped;
use auditx_core::http::{Exchange, Problem, ResponseFacts};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response, StatusCode};
use http_body::Body;
use pin_project_lite::pin_project;

use crate::body::AuditBody;
use crate::headers::{HeadersOf, REQUEST_ID};

pin_project! {
    /// The response future of an audited service.
    #[derive(Debug)]
    pub struct AuditFuture<F, R> {
        // Field order matters: the inner future is dropped first, inside its context, so entries that its
        // destructors record precede the closing entry.
        #[pin]
        state: State<F, R>,
        exchange: Option<Box<Exchange>>,
        request_id: Option<HeaderValue>,
    }
}

pin_project! {
    #[project = StateProjection]
    #[derive(Debug)]
    enum State<F, R> {
        Running { #[pin] inner: Scoped<F> },
        Held { response: Option<Response<R>> },
        Refused { problem: Option<Problem> },
    }
}

impl<F, R> AuditFuture<F, R> {
    pub(crate) fn running(
        inner: Scoped<F>,
        exchange: Option<Box<Exchange>>,
        request_id: Option<HeaderValue>,
    ) -> Self {
        Self { state: State::Running { inner }, exchange, request_id }
    }

    pub(crate) fn refused(
        problem: Problem,
        exchange: Option<Box<Exchange>>,
        request_id: Option<HeaderValue>,
    ) -> Self {
        Self { state: State::Refused { problem: Some(problem) }, exchange, request_id }
    }
}

impl<F, R, E> Future for AuditFuture<F, R>
where
    F: Future<Output = Result<Response<R>, E>>,
    E: fmt::Display,
    R: Body,
    R::Data: From<Bytes>,
    R::Error: fmt::Display,
{
    type Output = Result<Response<AuditBody<R>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let mut response = loop {
            match this.state.as_mut().project() {
                StateProjection::Running { inner } => {
                    match ready!(Exchange::watch(this.exchange.as_deref_mut(), || inner.poll(cx))) {
                        Ok(response) => this.state.set(State::Held { response: Some(response) }),
                        Err(error) => {
                            if let Some(exchange) = this.exchange {
                                exchange.fail(&error);
                            }
                            return Poll::Ready(Err(error));
                        }
                    }
                }
                StateProjection::Held { response } => {
                    let Some(head) = response else { unreachable!("polled after completion") };
                    let released = match this.exchange {
                        Some(exchange) => {
                            ready!(exchange.poll_head(cx, |exchange| report_head(exchange, head)))
                        }
                        None => Ok(()),
                    };
                    let (response, exchange) = (response.take(), this.exchange.take());
                    break match (response, released) {
                        (Some(response), Ok(())) => response.map(|body| AuditBody::of(body, exchange)),
                        (_, refused) => refusal(refused.err(), exchange),
                    };
                }
                StateProjection::Refused { problem } => {
                    let problem = problem.take();
                    if let (Some(exchange), Some(problem)) = (this.exchange.as_mut(), &problem) {
                        exchange.respond(&ResponseFacts::new(problem.status()));
                        exchange.explain(&problem.reason());
                    }
                    break refusal(problem, this.exchange.take());
                }
            }
        };
        if let Some(id) = this.request_id.take() {
            response.headers_mut().insert(REQUEST_ID, id);
        }
        Poll::Ready(Ok(response))
    }
}

/// Reports status, headers and expected size of a response, and completes the exchange if no body follows.
fn report_head<R: Body>(exchange: &mut Exchange, response: &Response<R>) {
    let body = response.body();
    let headers = HeadersOf(response.headers());
    let facts = ResponseFacts::new(response.status().as_u16());
    exchange.respond(&facts.expected_bytes(body.size_hint().exact()).headers(&headers));
    if exchange.has_no_body() || body.is_end_stream() {
        exchange.complete();
    }
}

fn refusal<B>(problem: Option<Problem>, exchange: Option<Box<Exchange>>) -> Response<AuditBody<B>> {
    let (status, body) =
        problem.map_or((503, String::new()), |problem| (problem.status(), problem.to_json()));
    let mut response = Response::new(AuditBody::problem(Bytes::from(body), exchange));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(Problem::CONTENT_TYPE));
    response
}
