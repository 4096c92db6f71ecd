//! Audit middleware for poem: shows what an adapter for any framework does, step by step.
//!
//! The middleware must be outermost. The response gets a body that reports to the exchange how it ended; the
//! exchange writes the closing entry.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use auditx_core::http::{
    Exchange, Headers, HttpAudit, HttpAuditBuilder, Problem, RequestFacts, ResponseFacts,
};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::combinators::BoxBody;
use poem::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use poem::{Endpoint, IntoResponse, Middleware, Request, Response};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The audit middleware. Apply it last: it does not see responses of middleware outside of it.
#[derive(Debug, Clone, Default)]
pub struct PoemAudit {
    http: HttpAudit,
}

impl PoemAudit {
    /// Returns a builder for the settings.
    #[must_use]
    pub fn builder() -> HttpAuditBuilder<Self> {
        HttpAuditBuilder::new()
    }
}

impl From<HttpAudit> for PoemAudit {
    fn from(http: HttpAudit) -> Self {
        Self { http }
    }
}

impl<E: Endpoint> Middleware<E> for PoemAudit {
    type Output = PoemAudited<E>;

    fn transform(&self, inner: E) -> PoemAudited<E> {
        PoemAudited { inner, http: self.http.clone() }
    }
}

/// An endpoint whose requests are audited; created by [`PoemAudit`].
#[derive(Debug)]
pub struct PoemAudited<E> {
    inner: E,
    http: HttpAudit,
}

impl<E: Endpoint> Endpoint for PoemAudited<E> {
    type Output = Response;

    async fn call(&self, mut request: Request) -> poem::Result<Response> {
        // 1. The request arrived.
        let mut exchange = begin(&self.http, &request);
        let request_id = HeaderValue::from_str(exchange.request_id()).ok();
        if let Some(id) = &request_id {
            request.headers_mut().insert(REQUEST_ID, id.clone());
        }

        // 2. If the settings require it, refuse a request that could not be recorded.
        if let Some(problem) = exchange.refusal() {
            exchange.explain(&problem.reason());
            exchange.respond(&ResponseFacts::new(problem.status()));
            return Ok(refuse(&problem, exchange, request_id));
        }

        // 3. Call the application inside the context. If the client disconnects, this future is dropped here:
        //    first the application's future, then the exchange, which records that the client left.
        let answer = {
            let context = exchange.context().clone();
            let mut answering = pin!(context.scope(async move { self.inner.call(request).await }));
            poll_fn(|cx| Exchange::watch(Some(&mut exchange), || answering.as_mut().poll(cx))).await
        };

        // 4. The head is known. Convert an error to a response here: poem would do it outside of all
        //    middleware, where its body cannot be watched.
        let (mut response, error) = match answer {
            Ok(response) => (response.into_response(), None),
            Err(error) => {
                let why = error.to_string();
                (error.into_response(), Some(why))
            }
        };
        if let Some(id) = request_id {
            response.headers_mut().insert(REQUEST_ID, id);
        }
        if let Some(why) = error {
            exchange.explain(&why);
        }

        // 5. If the settings require it, hold the head back until the request's entries are durable.
        let body: BoxBody<Bytes, io::Error> = response.take_body().into();
        let released =
            poll_fn(|cx| exchange.poll_head(cx, |exchange| respond(exchange, &response, &body))).await;
        if let Err(problem) = released {
            return Ok(refuse(&problem, exchange, response.headers_mut().remove(REQUEST_ID)));
        }

        // 6. Send the body.
        response.set_body(BoxBody::new(AuditedBody { inner: Some(body), exchange }));
        Ok(response)
    }
}

fn begin(http: &HttpAudit, request: &Request) -> Exchange {
    // The URI that the client sent: nested routes see a shortened one.
    let uri = request.original_uri();
    let headers = HeadersOf(request.headers());
    let peer = request.remote_addr().as_socket_addr().map(|peer| peer.ip());
    let facts =
        RequestFacts::new(request.method().as_str(), uri.path(), &headers).query(uri.query()).peer(peer);
    http.begin(&facts)
}

struct HeadersOf<'h>(&'h HeaderMap);

impl Headers for HeadersOf<'_> {
    fn each(&self, name: &str, visit: &mut dyn FnMut(&[u8])) {
        self.0.get_all(name).iter().for_each(|value| visit(value.as_bytes()));
    }
}

/// A body that closes the exchange when it ends. Data, trailers and size hints pass unchanged.
struct AuditedBody {
    /// `None` only while the body is dropped.
    inner: Option<BoxBody<Bytes, io::Error>>,
    exchange: Exchange,
}

/// Reports the response's head to the exchange.
fn respond(exchange: &mut Exchange, response: &Response, body: &BoxBody<Bytes, io::Error>) {
    let headers = HeadersOf(response.headers());
    let facts = ResponseFacts::new(response.status().as_u16());
    exchange.respond(&facts.expected_bytes(body.size_hint().exact()).headers(&headers));
    if exchange.has_no_body() || body.is_end_stream() {
        exchange.complete();
    }
}

/// Returns the response that is sent in place of the application's.
fn refuse(problem: &Problem, exchange: Exchange, request_id: Option<HeaderValue>) -> Response {
    let status = StatusCode::from_u16(problem.status()).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
    let json: BoxBody<Bytes, io::Error> = poem::Body::from(problem.to_json()).into();
    let mut response = Response::builder().status(status).content_type(Problem::CONTENT_TYPE).finish();
    if let Some(id) = request_id {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response.set_body(BoxBody::new(AuditedBody { inner: Some(json), exchange }));
    response
}

impl Body for AuditedBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let Self { inner: Some(inner), exchange } = &mut *self else { return Poll::Ready(None) };
        let scope = exchange.context().enter();
        let polled = Exchange::watch(Some(exchange), || Pin::new(&mut *inner).poll_frame(cx));
        drop(scope);
        if let Poll::Ready(frame) = &polled {
            match frame {
                None => exchange.complete(),
                Some(Err(error)) => exchange.fail_body(error),
                Some(Ok(frame)) => {
                    exchange.sent(frame.data_ref().map_or(0, Bytes::len));
                    if let Some(trailers) = frame.trailers_ref() {
                        exchange.trailers(&HeadersOf(trailers));
                    }
                    // Servers need not poll again after the body's last frame.
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

impl Drop for AuditedBody {
    fn drop(&mut self) {
        // Drop the inner body first, inside the context: entries that its destructors record precede the
        // closing entry, which is written when the exchange is dropped.
        let _scope = self.exchange.context().enter();
        self.inner = None;
    }
}
