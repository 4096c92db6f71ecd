//! Records the entries of an exchange: the closing entry and, if enabled, the entry at the arrival of the
//! request.

use std::borrow::Cow;
use std::time::Duration;

use auditx_format::context::RequestContext;
use auditx_format::entry::{Entry, Fact, MetadataValue};
use auditx_format::vocabulary::{AuditAction, BusinessModule, LogLevel};
use auditx_format::{Error, Result};

use super::inline_text::InlineText;
use super::{Exchange, HttpAudit, MAX_ERROR_LEN, Outcome, shortened};
use crate::logger::Within;

/// The status if the client disconnected before the response (nginx's convention).
const CLIENT_CLOSED_REQUEST: u16 = 499;
const INTERNAL_SERVER_ERROR: u16 = 500;

/// Longer descriptions cost an allocation.
const DESCRIPTION: usize = 256;

/// As many as [`Exchange::collect`] puts.
const MOST_FACTS: usize = 8;

const REQUEST_BODY: &str = "request_body";
const RESPONSE_BODY: &str = "response_body";

/// The reason for omitting the content of a body that is within its own limit.
const LINE_TOO_LONG: &str = "line_too_long";

impl Exchange {
    /// Records the arrival of the request.
    pub(super) fn open(&self) -> Result<()> {
        let description = format!("HTTP {} {} started", self.method, self.texts.path());
        let mut entry = self.entry(description);
        entry.level = LogLevel::Normal;
        entry.put_metadata("outcome", "started");
        self.http.logger().record(&entry, Within::Given(&self.context)).map(drop)
    }

    /// Records the closing entry. Does nothing if it is already recorded.
    pub(super) fn close(&mut self, outcome: Outcome, error: Option<&str>) {
        if !std::mem::replace(&mut self.is_open, false) {
            return;
        }
        if let (Outcome::Completed, Some(body)) = (outcome, &mut self.response_body) {
            body.end();
        }
        self.innermost(|http| {
            if !http.settings().excludes(&self.texts) {
                self.record(http, outcome, error);
            }
        });
    }

    fn record(&self, http: &HttpAudit, outcome: Outcome, error: Option<&str>) {
        let error = error.map(|error| shortened(error, MAX_ERROR_LEN));
        let (mut description, mut facts) = (InlineText::default(), Facts::default());
        self.collect(outcome, error.as_deref(), &mut facts);
        let mut entry = self.closing_entry(outcome, error.as_deref(), &mut description);
        entry.facts = facts.all();
        let has_bodies = self.put_bodies(&mut entry, http);
        let mut recorded = http.logger().record(&entry, Within::Given(&self.context));
        if has_bodies && recorded.as_ref().is_err_and(Error::is_too_large) {
            self.put_summaries(&mut entry);
            recorded = http.logger().record(&entry, Within::Given(&self.context));
        }
        let recorded = match recorded {
            // A handler made the context too large for a line. The request must still get a closing entry.
            Err(too_large) if too_large.is_too_large() => {
                self.record_bare(http, entry, &too_large.to_string())
            }
            other => other.map(drop),
        };
        if let Err(refused) = recorded {
            http.logger().report(&format!(
                "the closing entry of request {} was not recorded: {refused}",
                self.request_id()
            ));
        }
    }

    /// Adds the captured bodies. Returns `true` if there are any.
    fn put_bodies(&self, entry: &mut Entry<'_>, http: &HttpAudit) -> bool {
        if let Some(tap) = &self.request_body {
            let body = http.logger().with_rules(|rules| tap.with(|body| body.recorded(REQUEST_BODY, rules)));
            entry.put_metadata(REQUEST_BODY, body);
        }
        if let Some(body) = &self.response_body {
            let body = http.logger().with_rules(|rules| body.recorded(RESPONSE_BODY, rules));
            entry.put_metadata(RESPONSE_BODY, body);
        }
        self.request_body.is_some() || self.response_body.is_some()
    }

    /// Replaces the bodies by summaries without content, if both together do not fit into a line.
    fn put_summaries(&self, entry: &mut Entry<'_>) {
        if let Some(tap) = &self.request_body {
            entry.put_metadata(REQUEST_BODY, tap.with(|body| body.summary(LINE_TOO_LONG)));
        }
        if let Some(body) = &self.response_body {
            entry.put_metadata(RESPONSE_BODY, body.summary(LINE_TOO_LONG));
        }
    }

    /// Records the closing entry without the context fields that the application set.
    fn record_bare(&self, http: &HttpAudit, mut entry: Entry<'_>, why: &str) -> Result<()> {
        entry.put_metadata("context_left_out", why.to_owned());
        let bare = RequestContext::new().request_id(self.request_id.as_str());
        http.logger().record(&entry, Within::Given(&bare)).map(drop)
    }

    /// Collects what nearly every closing entry has.
    fn collect<'e>(&'e self, outcome: Outcome, error: Option<&'e str>, facts: &mut Facts<'e>) {
        facts.put("duration_ms", millis(self.began.elapsed()));
        if let Some(head) = self.head {
            facts.put("ttfb_ms", millis(head.after));
            facts.put("bytes", self.bytes);
        }
        facts.put_text("route", self.texts.route());
        facts.put_text("outcome", outcome.as_str());
        if let Some(grpc) = &self.grpc {
            facts.put("grpc_status", u64::from(grpc.status()));
        }
        let message = self.grpc.as_ref().and_then(|grpc| grpc.message.as_deref());
        facts.put_text("error", error.or(message).unwrap_or_default());
        facts.put_text("user_agent", self.texts.user_agent());
    }

    fn closing_entry<'e>(
        &'e self,
        outcome: Outcome,
        error: Option<&str>,
        buffer: &'e mut InlineText<DESCRIPTION>,
    ) -> Entry<'e> {
        let (status, level, success) = self.result(outcome);
        let mut entry = self.entry(self.description(outcome, status, error, buffer));
        (entry.level, entry.success, entry.status) = (level, success, Some(status));
        for (key, value) in &self.metadata {
            entry.put_metadata(*key, value);
        }
        if let Some(len) = self.texts.endpoint_len_if_cut() {
            entry.put_metadata("endpoint_bytes", len.to_string());
        }
        entry
    }

    fn entry<'e>(&'e self, description: impl Into<Cow<'e, str>>) -> Entry<'e> {
        let mut entry = Entry::new(description, BusinessModule::System, action_of(&self.method));
        entry.method = Cow::Borrowed(&self.method);
        entry.endpoint = self.texts.endpoint();
        entry
    }

    /// Returns status, level and success.
    fn result(&self, outcome: Outcome) -> (u16, LogLevel, bool) {
        let sent = self.head.map(|head| head.status);
        match (outcome, &self.grpc) {
            (Outcome::ClientAborted, _) => (CLIENT_CLOSED_REQUEST, LogLevel::Warning, false),
            (Outcome::BodyAborted, _) => (sent.unwrap_or(CLIENT_CLOSED_REQUEST), LogLevel::Warning, false),
            (Outcome::BodyError, _) => (sent.unwrap_or(INTERNAL_SERVER_ERROR), LogLevel::Error, false),
            (Outcome::Panicked, _) => (INTERNAL_SERVER_ERROR, LogLevel::Error, false),
            (Outcome::Error, _) => {
                let status = sent.unwrap_or(INTERNAL_SERVER_ERROR);
                (status, level_of(status), false)
            }
            (Outcome::Completed, Some(grpc)) if sent == Some(200) => (200, grpc.level(), grpc.is_ok()),
            (Outcome::Completed, _) => {
                let status = sent.unwrap_or(INTERNAL_SERVER_ERROR);
                (status, level_of(status), (200..400).contains(&status))
            }
            (Outcome::Upgraded, _) => {
                let status = sent.unwrap_or(INTERNAL_SERVER_ERROR);
                (status, level_of(status), status < 400)
            }
        }
    }

    fn description<'e>(
        &self,
        outcome: Outcome,
        status: u16,
        error: Option<&str>,
        buffer: &'e mut InlineText<DESCRIPTION>,
    ) -> Cow<'e, str> {
        let (method, path) = (&self.method, self.texts.path());
        let text = match outcome {
            Outcome::Completed => match &self.grpc {
                Some(grpc) => {
                    format!("HTTP {method} {path} completed with {status}, grpc-status {}", grpc.status())
                }
                None => return completed(method, &path, status, buffer),
            },
            Outcome::Upgraded => format!("HTTP {method} {path} upgraded with {status}"),
            Outcome::ClientAborted => {
                format!("HTTP {method} {path} aborted by the client before a response")
            }
            Outcome::BodyAborted => {
                let bytes = self.bytes;
                format!("HTTP {method} {path} aborted by the client after {bytes} bytes of the response")
            }
            Outcome::BodyError | Outcome::Error | Outcome::Panicked => {
                format!("HTTP Request Failed: {method} {path}: {}", error.unwrap_or("unknown"))
            }
        };
        Cow::Owned(text)
    }
}

/// The facts of a closing entry, in place.
struct Facts<'e> {
    facts: [Fact<'e>; MOST_FACTS],
    len: usize,
}

impl Default for Facts<'_> {
    fn default() -> Self {
        const NONE: Fact<'static> = (Cow::Borrowed(""), MetadataValue::Bool(false));
        Self { facts: [NONE; MOST_FACTS], len: 0 }
    }
}

impl<'e> Facts<'e> {
    fn put(&mut self, key: &'static str, value: impl Into<MetadataValue<'e>>) {
        debug_assert!(self.len < MOST_FACTS, "`Exchange::collect` puts at most {MOST_FACTS} facts");
        if let Some(slot) = self.facts.get_mut(self.len) {
            *slot = (Cow::Borrowed(key), value.into());
            self.len += 1;
        }
    }

    /// Like [`Facts::put`]; empty text is left out.
    fn put_text(&mut self, key: &'static str, text: &'e str) {
        if !text.is_empty() {
            self.put(key, text);
        }
    }

    fn all(&self) -> &[Fact<'e>] {
        &self.facts[..self.len]
    }
}

/// Returns the description of nearly every closing entry, in the buffer if it fits.
fn completed<'e>(
    method: &str,
    path: &str,
    status: u16,
    buffer: &'e mut InlineText<DESCRIPTION>,
) -> Cow<'e, str> {
    let mut digits = itoa::Buffer::new();
    let parts = ["HTTP ", method, " ", path, " completed with ", digits.format(status)];
    if parts.iter().all(|part| buffer.push(part)) {
        return Cow::Borrowed(buffer.as_str());
    }
    Cow::Owned(parts.concat())
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

/// Returns milliseconds with three decimal places.
fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}
