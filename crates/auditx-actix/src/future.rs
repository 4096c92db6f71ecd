//! The response future: reports the response head, an error, a panic or its own drop to the exchange. If
//! durable responses are configured, it holds the head back until the entries of the request are durable.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use actix_web::body::{BodySize, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, HeaderValue};
use actix_web::{Error, HttpRequest, HttpResponse};
use auditx_core::Scoped;
use auditx_core::http::{Exchange, Problem, ResponseFacts};
use pin_project_lite::pin_project;

use crate::body::AuditBody;
use crate::headers::{HeadersOf, REQUEST_ID};

pin_project! {
    /// The response future of an audited service.
    pub struct AuditFuture<F, B> {
        // Field order matters: the inner future is dropped first, inside its context, so entries that its
        // destructors record precede the closing entry.
        #[pin]
        state: State<F, B>,
        exchange: Option<Box<Exchange>>,
        request_id: Option<HeaderValue>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<F, B> {
        Running { #[pin] inner: Scoped<F> },
        Held { response: Option<ServiceResponse<B>> },
        Refused { refused: Option<(HttpRequest, Problem)> },
    }
}

impl<F, B> fmt::Debug for AuditFuture<F, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuditFuture").field("exchange", &self.exchange).finish_non_exhaustive()
    }
}

impl<F, B> AuditFuture<F, B> {
    pub(crate) fn running(
        inner: Scoped<F>,
        exchange: Option<Box<Exchange>>,
        request_id: Option<HeaderValue>,
    ) -> Self {
        Self { state: State::Running { inner }, exchange, request_id }
    }

    pub(crate) fn refused(
        request: ServiceRequest,
        problem: Problem,
        exchange: Option<Box<Exchange>>,
        request_id: Option<HeaderValue>,
    ) -> Self {
        let (request, _) = request.into_parts();
        Self { state: State::Refused { refused: Some((request, problem)) }, exchange, request_id }
    }
}

impl<F, B> Future for AuditFuture<F, B>
where
    F: Future<Output = Result<ServiceResponse<B>, Error>>,
    B: MessageBody,
{
    type Output = Result<ServiceResponse<AuditBody<B>>, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let mut response = loop {
            match this.state.as_mut().project() {
                StateProjection::Running { inner } => {
                    match ready!(Exchange::watch(this.exchange.as_deref_mut(), || inner.poll(cx))) {
                        Ok(response) => this.state.set(State::Held { response: Some(response) }),
                        Err(error) => {
                            // actix turns the error into a response outside this middleware: the status is
                            // known here, the body is not.
                            if let Some(exchange) = this.exchange {
                                let status = error.as_response_error().status_code().as_u16();
                                exchange.respond(&ResponseFacts::new(status));
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
                    let Some(response) = response.take() else { unreachable!("checked above") };
                    let exchange = this.exchange.take();
                    break match released {
                        Ok(()) => response.map_body(|_, body| AuditBody::of(body, exchange)),
                        Err(problem) => refusal(response.into_parts().0, &problem, exchange),
                    };
                }
                StateProjection::Refused { refused } => {
                    let Some((request, problem)) = refused.take() else {
                        unreachable!("polled after completion")
                    };
                    if let Some(exchange) = this.exchange.as_mut() {
                        exchange.respond(&ResponseFacts::new(problem.status()));
                        exchange.explain(&problem.reason());
                    }
                    break refusal(request, &problem, this.exchange.take());
                }
            }
        };
        if let Some(id) = this.request_id.take() {
            response.headers_mut().insert(REQUEST_ID, id);
        }
        Poll::Ready(Ok(response))
    }
}

/// Reports status, headers, route, error and expected size of a response, and completes the exchange if no
/// body follows.
fn report_head<B: MessageBody>(exchange: &mut Exchange, response: &ServiceResponse<B>) {
    let (expected, is_empty) = match response.response().body().size() {
        BodySize::None => (Some(0), true),
        BodySize::Sized(len) => (Some(len), len == 0),
        BodySize::Stream => (None, false),
    };
    // An inner middleware such as `NormalizePath` may have changed the path to one that matches a route.
    if !exchange.is_matched()
        && let Some(route) = response.request().match_pattern()
    {
        exchange.matched(&route);
    }
    if let Some(error) = response.response().error() {
        exchange.explain(&error);
    }
    let headers = HeadersOf(response.headers());
    let facts = ResponseFacts::new(response.status().as_u16());
    exchange.respond(&facts.expected_bytes(expected).headers(&headers));
    if exchange.has_no_body() || is_empty {
        exchange.complete();
    }
}

fn refusal<B>(
    request: HttpRequest,
    problem: &Problem,
    exchange: Option<Box<Exchange>>,
) -> ServiceResponse<AuditBody<B>> {
    let status = StatusCode::from_u16(problem.status()).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
    let mut response = HttpResponse::with_body(status, AuditBody::problem(problem.to_json(), exchange));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(Problem::CONTENT_TYPE));
    ServiceResponse::new(request, response)
}
