//! Which bodies are captured, and how much of them.

use super::path_pattern::PathPattern;
use super::request::{Headers, first};
use crate::error::{Error, Result};

/// Two bodies of the default limit leave most of a line to everything else.
const DEFAULT_LIMIT: usize = 4_096;

/// Half of a line: what is longer would be left out of nearly every entry anyway.
const MAX_LIMIT: usize = 32_768;

/// The types whose content can be redacted by key.
const DEFAULT_CONTENT_TYPES: [&str; 2] = ["application/json", FORM];

const FORM: &str = "application/x-www-form-urlencoded";

/// The bodies that are recorded in closing entries: `metadata.request_body` and `metadata.response_body`.
///
/// Content is recorded only where secrets can be found by key: JSON and forms that are not encoded
/// (`Content-Encoding`), ended within the limit, and were read to their end. Of every other captured body the
/// entry has the size and the SHA-256. Bodies pass to the application and the client as they come, frame by
/// frame.
///
/// ```
/// use auditx_core::{BodyCapture, HttpAudit};
///
/// let capture = BodyCapture::new(["/sales", "/customers/*/credit-limit"]).limit(8_192).responses(false);
/// let http: HttpAudit = HttpAudit::builder().capture_bodies(capture).build()?;
/// # Ok::<(), auditx_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct BodyCapture {
    paths: Vec<String>,
    content_types: Vec<String>,
    limit: usize,
    requests: bool,
    responses: bool,
}

impl BodyCapture {
    /// Captures bodies of requests to these paths and of their responses.
    ///
    /// Matched by whole segments: `/sales` covers `/sales` and `/sales/invoice`; `*` stands for one segment.
    /// Unlike in [`exclude`](super::HttpAuditBuilder::exclude), a path that is spelled differently
    /// (percent-encoding, empty segments) matches too, so that no client can avoid the capture.
    #[must_use]
    pub fn new<P: Into<String>>(paths: impl IntoIterator<Item = P>) -> Self {
        Self {
            paths: paths.into_iter().map(Into::into).collect(),
            content_types: DEFAULT_CONTENT_TYPES.map(str::to_owned).into(),
            limit: DEFAULT_LIMIT,
            requests: true,
            responses: true,
        }
    }

    /// Default: `application/json` and `application/x-www-form-urlencoded`; this list replaces them. The
    /// content types of captured bodies, without parameters. The content of `application/*+json` is recorded
    /// as JSON; of types other than JSON and forms, only the size and the hash are recorded.
    #[must_use]
    pub fn content_types<T: Into<String>>(mut self, types: impl IntoIterator<Item = T>) -> Self {
        self.content_types = types.into_iter().map(Into::into).collect();
        self
    }

    /// Default: 4,096 bytes; at most 32,768. The largest body whose content is recorded, and the memory that
    /// each takes.
    #[must_use]
    pub fn limit(mut self, bytes: usize) -> Self {
        self.limit = bytes;
        self
    }

    /// Default: true. Whether the bodies of requests are captured.
    #[must_use]
    pub fn requests(mut self, requests: bool) -> Self {
        self.requests = requests;
        self
    }

    /// Default: true. Whether the bodies of responses are captured.
    #[must_use]
    pub fn responses(mut self, responses: bool) -> Self {
        self.responses = responses;
        self
    }

    pub(super) fn compile(self) -> Result<Capture> {
        if self.limit > MAX_LIMIT {
            return Err(Error::invalid(format!(
                "body limit of {} bytes exceeds the maximum of {MAX_LIMIT}",
                self.limit
            )));
        }
        if let Some(wrong) =
            self.content_types.iter().find(|name| !name.contains('/') || name.contains([';', '*']))
        {
            return Err(Error::invalid(format!(
                "content type {wrong:?} must be a type and a subtype, like application/json"
            )));
        }
        let paths = self.paths.iter().map(|path| PathPattern::parse(path)).collect::<Result<_>>()?;
        Ok(Capture { paths, with: self })
    }
}

/// The compiled form.
#[derive(Debug, Clone)]
pub(super) struct Capture {
    paths: Vec<PathPattern>,
    with: BodyCapture,
}

/// How a captured body is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    Json,
    Form,
    /// Nobody knows where its secrets are.
    Opaque,
    /// By `Content-Encoding`.
    Encoded,
}

impl Capture {
    pub(super) fn limit(&self) -> usize {
        self.with.limit
    }

    /// How the body of a request is captured.
    pub(super) fn of_request(&self, path: &str, headers: &dyn Headers) -> Option<Content> {
        if self.with.requests && self.covers(path) { self.content(headers) } else { None }
    }

    /// How the body of a response to a request is captured.
    pub(super) fn of_response(&self, path: &str, headers: &dyn Headers) -> Option<Content> {
        if self.with.responses && self.covers(path) { self.content(headers) } else { None }
    }

    fn covers(&self, path: &str) -> bool {
        self.paths.iter().any(|pattern| pattern.may_cover(path))
    }

    fn content(&self, headers: &dyn Headers) -> Option<Content> {
        let content = first(headers, "content-type", |value| {
            let value = std::str::from_utf8(value).ok()?;
            let essence = value.split(';').next()?.trim();
            let is = |name: &str| essence.eq_ignore_ascii_case(name);
            self.with.content_types.iter().any(|name| is(name)).then(|| {
                let suffix = essence.get(essence.len().saturating_sub("+json".len())..);
                if is("application/json") || suffix.is_some_and(|end| end.eq_ignore_ascii_case("+json")) {
                    Content::Json
                } else if is(FORM) {
                    Content::Form
                } else {
                    Content::Opaque
                }
            })
        })??;
        let is_encoded = first(headers, "content-encoding", |value| !value.eq_ignore_ascii_case(b"identity"));
        Some(if is_encoded == Some(true) { Content::Encoded } else { content })
    }
}
