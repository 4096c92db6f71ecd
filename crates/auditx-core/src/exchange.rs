//! Audits HTTP exchanges, independently of the web framework: one request, its response, and exactly one
//! closing entry.
//!
//! An adapter calls [`HttpAudit::begin`] when a request arrives, makes [`Exchange::context`] current while
//! the application runs, reports each event of the response to the exchange, and drops it. If the end of the
//! exchange was not reported, dropping it records the closing entry, so that there is always one and never a
//! second one.

mod body;
mod capture;
mod client;
mod closing;
mod grpc;
mod inline_text;
mod path_pattern;
mod problem;
mod request;
mod response;
mod settings;
mod texts;
mod trace;
mod trusted;
mod url;

use std::borrow::Cow;
use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use auditx_format::Error;
use auditx_format::context::RequestContext;
use auditx_store::callback::panic_text;

use crate::receipt::{AllDurable, AwaitedReceipts};

use body::Body;
pub use body::BodyTap;
pub use capture::BodyCapture;
use grpc::GrpcCall;
use inline_text::InlineText;
pub use problem::Problem;
use request::MAX_REQUEST_ID;
pub use request::{Headers, RequestFacts};
pub use response::ResponseFacts;
use settings::InnerSettings;
pub use settings::{EmitAt, HttpAudit, HttpAuditBuilder, OnFailure, ProxyHeader, SessionIds};
use texts::Texts;
pub use texts::{EndpointPolicy, QueryPolicy};
pub use trusted::TrustedProxies;

/// Errors of handlers and bodies are recorded up to this length.
const MAX_ERROR_LEN: usize = 4_096;

const SWITCHING_PROTOCOLS: u16 = 101;

/// How an exchange ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Completed,
    ClientAborted,
    BodyAborted,
    BodyError,
    Error,
    Panicked,
    Upgraded,
}

impl Outcome {
    fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::ClientAborted => "client_aborted",
            Self::BodyAborted => "body_aborted",
            Self::BodyError => "body_error",
            Self::Error => "error",
            Self::Panicked => "panicked",
            Self::Upgraded => "upgraded",
        }
    }
}

/// The head of the response.
#[derive(Debug, Clone, Copy)]
struct Head {
    status: u16,
    after: Duration,
    expected_bytes: Option<u64>,
}

/// An HTTP request in progress.
///
/// The closing entry is recorded by the first of [`complete`](Self::complete), [`fail`](Self::fail),
/// [`fail_body`](Self::fail_body), a panic in [`watch`](Self::watch), drop, and in some cases
/// [`respond`](Self::respond).
pub struct Exchange {
    http: HttpAudit,
    context: RequestContext,
    request_id: InlineText<MAX_REQUEST_ID>,
    method: Cow<'static, str>,
    texts: Texts,
    /// Further metadata of the closing entry.
    metadata: Vec<(&'static str, String)>,
    began: Instant,
    head: Option<Head>,
    grpc: Option<GrpcCall>,
    bytes: u64,
    /// The captured bodies.
    request_body: Option<BodyTap>,
    response_body: Option<Box<Body>>,
    /// The receipts that the head of the response waits for.
    awaited: Option<AllDurable>,
    /// `false` once the closing entry is recorded.
    is_open: bool,
    /// The error of recording the entry at the arrival of the request.
    start_error: Option<Error>,
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange")
            .field("request_id", &self.request_id())
            .field("is_open", &self.is_open)
            .finish_non_exhaustive()
    }
}

impl Exchange {
    /// Returns the context of the request. It must be current while handlers, bodies and their destructors
    /// run.
    #[must_use]
    pub fn context(&self) -> &RequestContext {
        &self.context
    }

    /// Returns the request id, taken from the request or generated: 1 to 128 visible ASCII characters.
    /// Adapters return it to the client as `X-Request-ID`.
    #[must_use]
    pub fn request_id(&self) -> &str {
        self.request_id.as_str()
    }

    /// Returns the request id as bytes in place. With `bytes::Bytes::from_owner` an adapter makes a header
    /// value of it that shares one allocation with its clones.
    #[must_use]
    pub fn request_id_bytes(&self) -> impl AsRef<[u8]> + Send + Sync + use<> {
        self.request_id.clone()
    }

    /// Sets the pattern of the matched route, such as `/customers/{id}`: `metadata.route`. If it is already
    /// known when the request arrives, use [`RequestFacts::route`], so that entries recorded earlier have it
    /// too.
    pub fn matched(&mut self, route: &str) {
        if self.texts.route() != route {
            let settings = self.http.settings();
            self.http.logger().with_rules(|rules| self.texts.set_route(route, settings, rules));
        }
    }

    /// Returns `true` if the pattern of the route is known.
    #[must_use]
    pub fn is_matched(&self) -> bool {
        !self.texts.route().is_empty()
    }

    /// Returns `true` if the body of the request is captured.
    #[must_use]
    pub fn captures_request(&self) -> bool {
        self.request_body.is_some()
    }

    /// Returns the tap to which the adapter passes the body of the request as the application reads it.
    /// `None` if the body is not captured.
    ///
    /// If this is not called, the closing entry marks a body that was to be captured as not observed.
    #[must_use]
    pub fn request_body(&self) -> Option<BodyTap> {
        let tap = self.request_body.clone()?;
        tap.with(Body::watch);
        Some(tap)
    }

    /// Returns the response to send instead of calling the application, if the trail accepts no entries and
    /// the setting is [`OnFailure::Closed`].
    #[must_use]
    pub fn refusal(&self) -> Option<Problem> {
        self.http.refusal(self.start_error.as_ref(), self.request_id())
    }

    /// Resolves when the head of the response may be sent: at once, or with `durable(true)` after all entries
    /// recorded in the context of the request are durable.
    ///
    /// `respond` is called once. It must call [`Exchange::respond`].
    ///
    /// # Errors
    /// The response to send instead (503), if the entries could not be made durable.
    pub fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
        respond: impl FnOnce(&mut Self),
    ) -> Poll<Result<(), Problem>> {
        ready!(self.poll_durable(cx))?;
        if self.head.is_none() {
            respond(self);
            // `respond` may have recorded the closing entry, which must be durable too.
            ready!(self.poll_durable(cx))?;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_durable(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Problem>> {
        loop {
            if let Some(awaited) = &mut self.awaited
                && let Err(error) = ready!(Pin::new(awaited).poll(cx))
            {
                return Poll::Ready(Err(self.not_durable(&error)));
            }
            self.awaited = self.context.attached::<AwaitedReceipts>().and_then(|receipts| receipts.take());
            if self.awaited.is_none() {
                return Poll::Ready(Ok(()));
            }
        }
    }

    fn not_durable(&mut self, error: &Error) -> Problem {
        self.awaited = None;
        let problem = Problem::not_durable(error).of_request(self.request_id());
        self.respond(&ResponseFacts::new(problem.status()));
        self.fail(error);
        problem
    }

    /// Reports the head of the response.
    ///
    /// Closes the exchange if the protocol is switched (101, or 2xx to CONNECT; RFC 9110, RFC 8441), since
    /// the data of the new protocol is not a response, and with [`EmitAt::Headers`].
    pub fn respond(&mut self, response: &ResponseFacts<'_>) {
        let ResponseFacts { status, expected_bytes, headers } = *response;
        self.head = Some(Head { status, after: self.began.elapsed(), expected_bytes });
        self.grpc = headers.and_then(GrpcCall::of);
        let is_tunnel = self.method == "CONNECT" && (200..300).contains(&status);
        if status == SWITCHING_PROTOCOLS || is_tunnel {
            self.close(Outcome::Upgraded, None);
        } else if self.innermost(|http| http.settings().emit_at) == EmitAt::Headers {
            self.close(Outcome::Completed, None);
        } else {
            self.response_body = headers.and_then(|headers| self.response_body_of(headers));
        }
    }

    fn response_body_of(&self, headers: &dyn Headers) -> Option<Box<Body>> {
        let capture = self.http.settings().capture.as_ref()?;
        let content = capture.of_response(self.texts.original_path(), headers)?;
        let mut body = Body::new(content, capture.limit());
        body.watch();
        Some(Box::new(body))
    }

    /// Returns `true` if the body of the response is captured. Its bytes must then be passed to
    /// [`Exchange::sent_data`].
    #[must_use]
    pub fn captures_response(&self) -> bool {
        self.response_body.is_some()
    }

    /// Reports bytes of the response body as sent.
    pub fn sent_data(&mut self, data: &[u8]) {
        self.bytes = self.bytes.saturating_add(data.len() as u64);
        if let Some(body) = &mut self.response_body {
            body.push(data);
        }
    }

    /// Reports a number of bytes of the response body as sent. If the body is captured, the closing entry
    /// marks it as not observed.
    pub fn sent(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_add(bytes as u64);
        if let Some(body) = self.response_body.as_mut().filter(|_| bytes > 0) {
            body.miss();
        }
    }

    /// Reports the trailers of the response, which have the status of a gRPC call.
    pub fn trailers(&mut self, trailers: &dyn Headers) {
        if let Some(grpc) = &mut self.grpc {
            grpc.read(trailers);
        }
    }

    /// Returns `true` if the response has no body by the rules of HTTP (RFC 9110: HEAD, 204, 304).
    #[must_use]
    pub fn has_no_body(&self) -> bool {
        self.method == "HEAD" || self.head.is_some_and(|head| matches!(head.status, 204 | 304))
    }

    /// Reports the end of the response body, and closes the exchange.
    pub fn complete(&mut self) {
        self.close(Outcome::Completed, None);
    }

    /// Reports an error that the application returned instead of a response, and closes the exchange. The
    /// status is 500 unless [`Exchange::respond`] reported another one.
    pub fn fail(&mut self, error: &dyn fmt::Display) {
        self.close(Outcome::Error, Some(&error.to_string()));
    }

    /// Adds the error that caused the response, if the framework knows it: `metadata.error`.
    pub fn explain(&mut self, error: &dyn fmt::Display) {
        self.metadata.push(("error", shortened(&error.to_string(), MAX_ERROR_LEN).into_owned()));
    }

    /// Reports an error of the response body, and closes the exchange.
    pub fn fail_body(&mut self, error: &dyn fmt::Display) {
        self.close(Outcome::BodyError, Some(&error.to_string()));
    }

    /// Calls application code that works on this exchange. If it panics, the exchange, if any, is closed with
    /// outcome `panicked`, and the panic continues.
    pub fn watch<T>(exchange: Option<&mut Self>, work: impl FnOnce() -> T) -> T {
        catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
            if let Some(exchange) = exchange {
                exchange.close(Outcome::Panicked, Some(panic_text(&*panic)));
            }
            resume_unwind(panic)
        })
    }

    /// Calls `read` with the settings of the innermost layer that the request passed through.
    fn innermost<T>(&self, read: impl FnOnce(&HttpAudit) -> T) -> T {
        match self.context.attached::<InnerSettings>() {
            Some(inner) => read(&inner.0),
            None => read(&self.http),
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let is_complete = self.head.is_some_and(|head| head.expected_bytes == Some(self.bytes));
        match self.head {
            _ if std::thread::panicking() => self.close(Outcome::Panicked, Some("the thread is unwinding")),
            None => self.close(Outcome::ClientAborted, None),
            // After the announced number of bytes, servers drop a body without polling it to its end.
            Some(_) if is_complete => self.close(Outcome::Completed, None),
            Some(_) => self.close(Outcome::BodyAborted, None),
        }
    }
}

/// Truncates a text to at most `len` bytes, between characters, and appends its total size.
fn shortened(text: &str, len: usize) -> Cow<'_, str> {
    if text.len() <= len {
        return Cow::Borrowed(text);
    }
    let end = (0..=len).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
    Cow::Owned(format!("{}… ({} bytes in all)", &text[..end], text.len()))
}

#[cfg(test)]
mod tests;
