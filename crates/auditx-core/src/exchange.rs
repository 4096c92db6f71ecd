//! One HTTP request and its response, for any web framework: plain facts in; a context and exactly one
//! closing entry out.
//!
//! An adapter calls [`HttpAudit::begin`] when a request arrives, makes [`Exchange::context`] current while
//! the application works, tells the exchange what happens, and drops it. Whatever an adapter forgets to tell
//! is judged when the exchange is dropped, so there is never no entry and never a second one.

mod body;
mod capture;
mod client;
mod closing;
mod endpoint;
mod grpc;
mod path_pattern;
mod problem;
mod request;
mod response;
mod settings;
mod trace;
mod url;
mod user_agent;

use std::borrow::Cow;
use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use crate::context::RequestContext;
use crate::error::Error;
use crate::follow::panic_text;
use crate::receipt::{AllDurable, Pledges};

use body::Body;
pub use body::BodyTap;
pub use capture::BodyCapture;
use endpoint::Endpoint;
pub use endpoint::{EndpointPolicy, QueryPolicy};
use grpc::GrpcCall;
pub use problem::Problem;
pub use request::{Headers, RequestFacts};
pub use response::ResponseFacts;
use settings::Governing;
pub use settings::{EmitAt, HttpAudit, HttpAuditBuilder, OnFailure, ProxyHeader, SessionIds};
use user_agent::UserAgent;

/// Errors of handlers and bodies are told up to this many bytes.
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

/// What is known of the response once its head is.
#[derive(Debug, Clone, Copy)]
struct Head {
    status: u16,
    after: Duration,
    expected_bytes: Option<u64>,
}

/// One request under way. Dropping it writes the closing entry, unless one of the endings was told before.
pub struct Exchange {
    http: HttpAudit,
    context: RequestContext,
    request_id: String,
    method: Cow<'static, str>,
    endpoint: Endpoint,
    route: Option<String>,
    notes: Vec<(&'static str, String)>,
    began: Instant,
    head: Option<Head>,
    grpc: Option<GrpcCall>,
    bytes: u64,
    user_agent: UserAgent,
    /// The captured bodies.
    request_body: Option<BodyTap>,
    response_body: Option<Box<Body>>,
    /// What the head of the response waits for.
    pledged: Option<AllDurable>,
    is_open: bool,
    /// Why the entry at the request's arrival could not be recorded.
    unrecorded: Option<Error>,
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange")
            .field("request_id", &self.request_id)
            .field("is_open", &self.is_open)
            .finish_non_exhaustive()
    }
}

impl Exchange {
    /// The request's context: current while handlers, bodies and their destructors run.
    #[must_use]
    pub fn context(&self) -> &RequestContext {
        &self.context
    }

    /// The id taken from the request or made for it: 1 to 128 visible ASCII characters, to be echoed as
    /// `X-Request-ID`.
    #[must_use]
    pub fn request_id(&self) -> &str {
        &self.request_id
    }

    /// The pattern of the route that the request took, like `/customers/{id}`: `metadata.route`. Where it is
    /// known when the request arrives, [`RequestFacts::route`] is better: an entry that is written earlier
    /// has it then, too.
    pub fn matched(&mut self, route: &str) {
        if self.route.as_deref() != Some(route) {
            self.http.logger().with_rules(|rules| self.endpoint.set_route(route, rules));
            self.route = Some(route.to_owned());
        }
    }

    /// Whether the pattern of the route is known.
    #[must_use]
    pub fn is_matched(&self) -> bool {
        self.route.is_some()
    }

    /// Whether the body of the request is to be captured.
    #[must_use]
    pub fn captures_request(&self) -> bool {
        self.request_body.is_some()
    }

    /// Where the body of the request is to be shown as it passes to the application; `None` if it is not
    /// captured. An adapter that never asks leaves a body that was to be captured marked as not observed.
    #[must_use]
    pub fn request_body(&self) -> Option<BodyTap> {
        let tap = self.request_body.clone()?;
        tap.with(Body::watch);
        Some(tap)
    }

    /// What to answer instead of calling the application: under [`OnFailure::Closed`], where the trail takes
    /// no entries now.
    #[must_use]
    pub fn refusal(&self) -> Option<Problem> {
        self.http.refusal(self.unrecorded.as_ref(), &self.request_id)
    }

    /// Ready once the head of the response may go out: at once, or with `durable(true)` when everything
    /// recorded in the request's context is on disk. `tell` is called once, to say what is known of the
    /// response; see [`Exchange::respond`].
    ///
    /// # Errors
    /// What to answer instead where the disk refused: 503.
    pub fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
        tell: impl FnOnce(&mut Self),
    ) -> Poll<Result<(), Problem>> {
        ready!(self.poll_pledged(cx))?;
        if self.head.is_none() {
            tell(self);
            // The closing entry of a response without a body is recorded by now.
            ready!(self.poll_pledged(cx))?;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_pledged(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Problem>> {
        loop {
            if let Some(pledged) = &mut self.pledged
                && let Err(error) = ready!(Pin::new(pledged).poll(cx))
            {
                return Poll::Ready(Err(self.not_durable(&error)));
            }
            self.pledged = self.context.attached::<Pledges>().and_then(|pledges| pledges.take());
            if self.pledged.is_none() {
                return Poll::Ready(Ok(()));
            }
        }
    }

    fn not_durable(&mut self, error: &Error) -> Problem {
        self.pledged = None;
        let problem = Problem::not_durable(error).of_request(&self.request_id);
        self.respond(&ResponseFacts::new(problem.status()));
        self.fail(error);
        problem
    }

    /// The head of the response is known.
    ///
    /// A switch of protocols (101, or 2xx to CONNECT; RFC 9110, RFC 8441) closes the exchange: what is said
    /// over the new protocol is no response any more. So does any head under [`EmitAt::Headers`].
    pub fn respond(&mut self, response: &ResponseFacts<'_>) {
        let ResponseFacts { status, expected_bytes, headers } = *response;
        self.head = Some(Head { status, after: self.began.elapsed(), expected_bytes });
        self.grpc = headers.and_then(GrpcCall::of);
        let is_tunnel = self.method == "CONNECT" && (200..300).contains(&status);
        if status == SWITCHING_PROTOCOLS || is_tunnel {
            self.close(Outcome::Upgraded, None);
        } else if self.governed(|http| http.settings().emit_at) == EmitAt::Headers {
            self.close(Outcome::Completed, None);
        } else {
            self.response_body = headers.and_then(|headers| self.response_body_of(headers));
        }
    }

    fn response_body_of(&self, headers: &dyn Headers) -> Option<Box<Body>> {
        let capture = self.http.settings().capture.as_ref()?;
        let content = capture.of_response(self.endpoint.original_path(), headers)?;
        let mut body = Body::new(content, capture.limit());
        body.watch();
        Some(Box::new(body))
    }

    /// Whether the body of the response is captured: then its bytes are to be shown to
    /// [`Exchange::sent_data`].
    #[must_use]
    pub fn captures_response(&self) -> bool {
        self.response_body.is_some()
    }

    /// These bytes of the body went out.
    pub fn sent_data(&mut self, data: &[u8]) {
        self.bytes = self.bytes.saturating_add(data.len() as u64);
        if let Some(body) = &mut self.response_body {
            body.push(data);
        }
    }

    /// So many bytes of the body went out. Of a body that is captured, the entry then says that it was not
    /// observed.
    pub fn sent(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_add(bytes as u64);
        if let Some(body) = self.response_body.as_mut().filter(|_| bytes > 0) {
            body.miss();
        }
    }

    /// The body's trailers went out: how a gRPC call ended.
    pub fn trailers(&mut self, trailers: &dyn Headers) {
        if let Some(grpc) = &mut self.grpc {
            grpc.read(trailers);
        }
    }

    /// Whether the response has no body to wait for, by the rules of HTTP (RFC 9110: HEAD, 204, 304).
    #[must_use]
    pub fn has_no_body(&self) -> bool {
        self.method == "HEAD" || self.head.is_some_and(|head| matches!(head.status, 204 | 304))
    }

    /// The body ended.
    pub fn complete(&mut self) {
        self.close(Outcome::Completed, None);
    }

    /// The application returned an error instead of a response; 500 unless [`Exchange::respond`] knew better.
    pub fn fail(&mut self, error: &dyn fmt::Display) {
        self.close(Outcome::Error, Some(&error.to_string()));
    }

    /// Why the response is what it is, where the framework knows: `metadata.error`.
    pub fn explain(&mut self, error: &dyn fmt::Display) {
        self.notes.push(("error", shortened(&error.to_string(), MAX_ERROR_LEN).into_owned()));
    }

    /// The body yielded an error.
    pub fn fail_body(&mut self, error: &dyn fmt::Display) {
        self.close(Outcome::BodyError, Some(&error.to_string()));
    }

    /// Runs a part of the application's work for this exchange, if it is still at hand. Where it panics the
    /// closing entry says so, and the panic goes on.
    pub fn watch<T>(exchange: Option<&mut Self>, work: impl FnOnce() -> T) -> T {
        catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
            if let Some(exchange) = exchange {
                exchange.close(Outcome::Panicked, Some(panic_text(&*panic)));
            }
            resume_unwind(panic)
        })
    }

    /// The settings of the innermost layer that the request went through.
    fn governed<T>(&self, read: impl FnOnce(&HttpAudit) -> T) -> T {
        match self.context.attached::<Governing>() {
            Some(governing) => read(&governing.0),
            None => read(&self.http),
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let whole = self.head.is_some_and(|head| head.expected_bytes == Some(self.bytes));
        match self.head {
            _ if std::thread::panicking() => self.close(Outcome::Panicked, Some("the thread is unwinding")),
            None => self.close(Outcome::ClientAborted, None),
            // Servers drop a body whose announced length is out without asking it for its end.
            Some(_) if whole => self.close(Outcome::Completed, None),
            Some(_) => self.close(Outcome::BodyAborted, None),
        }
    }
}

/// At most `len` bytes, cut between characters; the rest is named by its size.
fn shortened(text: &str, len: usize) -> Cow<'_, str> {
    if text.len() <= len {
        return Cow::Borrowed(text);
    }
    let end = (0..=len).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
    Cow::Owned(format!("{}… ({} bytes in all)", &text[..end], text.len()))
}

#[cfg(test)]
mod tests;
