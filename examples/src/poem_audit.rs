//! Audit logging for poem, by hand: what hooks for any framework have to do, in the order in which it happens.
//!
//! Comes in: each request, as the outermost middleware sees it. Goes out: the response, with a body that tells the exchange
//! how it ended. Nothing here knows how a closing entry is made; all of that is the exchange's.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use auditx_core::{Exchange, Headers, HttpAudit, HttpAuditBuilder, Problem, RequestFacts, ResponseFacts};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::combinators::BoxBody;
use poem::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use poem::{Endpoint, IntoResponse, Middleware, Request, Response};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The middleware. What answers further out, it cannot see: apply it last.
#[derive(Debug, Clone, Default)]
pub struct PoemAudit {
    http: HttpAudit,
}

impl PoemAudit {
    /// Settings.
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

/// An endpoint whose requests are audited; made by [`PoemAudit`].
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

        // 2. Nothing may happen that cannot be recorded, where the settings say so.
        if let Some(problem) = exchange.refusal() {
            exchange.explain(&problem.reason());
            exchange.respond(&ResponseFacts::new(problem.status()));
            return Ok(refused(&problem, exchange, request_id));
        }

        // 3. The application answers, inside the context. Should the client go away, this future is dropped here: the
        //    application's part first, then the exchange, which says so.
        let answer = {
            let context = exchange.context().clone();
            let mut answering = pin!(context.scope(async move { self.inner.call(request).await }));
            poll_fn(|cx| Exchange::watch(Some(&mut exchange), || answering.as_mut().poll(cx))).await
        };

        // 4. The head is known. poem would make a response of an error further out, where its body could not be watched.
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

        // 5. It goes out once what was recorded is on disk, where the settings say so.
        let body: BoxBody<Bytes, io::Error> = response.take_body().into();
        let released =
            poll_fn(|cx| exchange.poll_head(cx, |exchange| tell(exchange, &response, &body))).await;
        if let Err(problem) = released {
            return Ok(refused(&problem, exchange, response.headers_mut().remove(REQUEST_ID)));
        }

        // 6. The body goes out.
        response.set_body(BoxBody::new(AuditedBody { inner: Some(body), exchange }));
        Ok(response)
    }
}

fn begin(http: &HttpAudit, request: &Request) -> Exchange {
    // As the client sent it: nested routes see a shortened one.
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

/// A body whose end closes the exchange. Data, trailers and size hints pass unchanged.
struct AuditedBody {
    /// None once it is being dropped.
    inner: Option<BoxBody<Bytes, io::Error>>,
    exchange: Exchange,
}

/// What is known of the response.
fn tell(exchange: &mut Exchange, response: &Response, body: &BoxBody<Bytes, io::Error>) {
    let headers = HeadersOf(response.headers());
    let facts = ResponseFacts::new(response.status().as_u16());
    exchange.respond(&facts.expected_bytes(body.size_hint().exact()).headers(&headers));
    if exchange.has_no_body() || body.is_end_stream() {
        exchange.complete();
    }
}

/// What is answered in the application's place.
fn refused(problem: &Problem, exchange: Exchange, request_id: Option<HeaderValue>) -> Response {
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

impl Drop for AuditedBody {
    fn drop(&mut self) {
        // Inside its context: what its destructors record precedes the closing entry, which the exchange's drop writes.
        let _scope = self.exchange.context().enter();
        self.inner = None;
    }
}
