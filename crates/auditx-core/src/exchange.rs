//! One HTTP request and its response, for any web framework: plain facts in; a context and exactly one closing entry out.
//!
//! An adapter calls [`HttpAudit::begin`] when a request arrives, makes [`Exchange::context`] current while the
//! application works, tells the exchange what happens, and drops it. Whatever an adapter forgets to tell is judged when
//! the exchange is dropped, so there is never no entry and never a second one.

mod client;
mod exclude;
mod request;
mod settings;

use std::borrow::Cow;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::{Duration, Instant};

use crate::context::RequestContext;
use crate::entry::Entry;
use crate::error::Result;
use crate::follow::panic_text;
use crate::logger::Within;
use crate::vocabulary::{AuditAction, BusinessModule, LogLevel};

pub use request::{Headers, RequestFacts};
pub use settings::{HttpAudit, HttpAuditBuilder, SessionIds};

/// Errors of handlers and bodies are told up to this many bytes.
const MAX_ERROR_LEN: usize = 4_096;

/// The status of a client that went away before there was one (nginx's convention).
const CLIENT_CLOSED_REQUEST: u16 = 499;
const INTERNAL_SERVER_ERROR: u16 = 500;

/// How an exchange ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Completed,
    ClientAborted,
    BodyAborted,
    BodyError,
    Error,
    Panicked,
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
    method: String,
    path: String,
    endpoint: String,
    notes: Vec<(&'static str, String)>,
    began: Instant,
    head: Option<Head>,
    bytes: u64,
    is_open: bool,
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

    /// The id taken from the request or made for it: 1 to 128 visible ASCII characters, to be echoed as `X-Request-ID`.
    #[must_use]
    pub fn request_id(&self) -> &str {
        &self.request_id
    }

    /// The head of the response is known. `expected_bytes` is the exact length of its body, where that is known.
    pub fn respond(&mut self, status: u16, expected_bytes: Option<u64>) {
        self.head = Some(Head { status, after: self.began.elapsed(), expected_bytes });
    }

    /// Bytes of the body went out.
    pub fn sent(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_add(bytes as u64);
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

    /// Runs a part of the application's work for this exchange, if it is still at hand. Where it panics the closing entry
    /// says so, and the panic goes on.
    pub fn watch<T>(exchange: Option<&mut Self>, work: impl FnOnce() -> T) -> T {
        catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
            if let Some(exchange) = exchange {
                exchange.close(Outcome::Panicked, Some(panic_text(&*panic)));
            }
            resume_unwind(panic)
        })
    }

    fn close(&mut self, outcome: Outcome, error: Option<&str>) {
        if !std::mem::replace(&mut self.is_open, false) {
            return;
        }
        let error = error.map(|error| shortened(error, MAX_ERROR_LEN));
        let entry = self.closing_entry(outcome, error.as_deref());
        let logger = self.http.logger();
        let recorded = match logger.record(&entry, Within::Given(&self.context)) {
            // A handler filled the context beyond what a line takes: the request still gets its entry.
            Err(too_large) if too_large.is_too_large() => self.record_bare(entry, &too_large.to_string()),
            other => other.map(drop),
        };
        if let Err(refused) = recorded {
            logger.trouble(&format!(
                "the closing entry of request {} was not recorded: {refused}",
                self.request_id
            ));
        }
    }

    /// The closing entry without anything the application added.
    fn record_bare(&self, mut entry: Entry<'_>, why: &str) -> Result<()> {
        entry.put_metadata("context_left_out", why.to_owned());
        let bare = RequestContext::new().request_id(self.request_id.as_str());
        self.http.logger().record(&entry, Within::Given(&bare)).map(drop)
    }

    fn closing_entry<'e>(&'e self, outcome: Outcome, error: Option<&'e str>) -> Entry<'e> {
        let (method, path) = (&self.method, &self.path);
        let sent_status = self.head.map(|head| head.status);
        let (status, level) = match outcome {
            Outcome::ClientAborted => (CLIENT_CLOSED_REQUEST, LogLevel::Warning),
            Outcome::BodyAborted => (sent_status.unwrap_or(CLIENT_CLOSED_REQUEST), LogLevel::Warning),
            Outcome::BodyError => (sent_status.unwrap_or(INTERNAL_SERVER_ERROR), LogLevel::Error),
            Outcome::Completed | Outcome::Error => {
                let status = sent_status.unwrap_or(INTERNAL_SERVER_ERROR);
                (status, level_of(status))
            }
            Outcome::Panicked => (INTERNAL_SERVER_ERROR, LogLevel::Error),
        };
        let description = match (outcome, error) {
            (Outcome::Completed, _) => format!("HTTP {method} {path} completed with {status}"),
            (Outcome::ClientAborted, _) => {
                format!("HTTP {method} {path} aborted by the client before a response")
            }
            (Outcome::BodyAborted, _) => {
                format!(
                    "HTTP {method} {path} aborted by the client after {} bytes of the response",
                    self.bytes
                )
            }
            (_, error) => format!("HTTP Request Failed: {method} {path}: {}", error.unwrap_or("unknown")),
        };
        let mut entry = Entry::new(description, BusinessModule::System, action_of(method));
        entry.level = level;
        entry.success = outcome == Outcome::Completed && (200..400).contains(&status);
        entry.method = Cow::Borrowed(method);
        entry.endpoint = Cow::Borrowed(&self.endpoint);
        entry.status = Some(status);
        entry.put_metadata("duration_ms", millis(self.began.elapsed()));
        if let Some(head) = self.head {
            entry.put_metadata("ttfb_ms", millis(head.after));
            entry.put_metadata("bytes", self.bytes);
        }
        entry.put_metadata("outcome", outcome.as_str());
        if let Some(error) = error {
            entry.put_metadata("error", error);
        }
        for (key, note) in &self.notes {
            entry.put_metadata(*key, note);
        }
        entry
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

fn level_of(status: u16) -> LogLevel {
    match status {
        500.. => LogLevel::Error,
        400.. => LogLevel::Warning,
        _ => LogLevel::Audit,
    }
}

fn action_of(method: &str) -> AuditAction {
    match method {
        "POST" => AuditAction::Create,
        "PUT" | "PATCH" => AuditAction::Update,
        "DELETE" => AuditAction::Delete,
        _ => AuditAction::Read,
    }
}

/// Milliseconds with microseconds behind the point.
fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
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
