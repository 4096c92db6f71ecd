//! The settings for capturing bodies: of which paths, of which types, and how much.

use auditx_format::{Error, Result};

use super::path_pattern::PathPattern;
use super::request::{Headers, first};

/// Two bodies of this size leave most of a line for the other fields.
const DEFAULT_LIMIT: usize = 4_096;

/// Half of a line. A larger body would rarely fit into an entry.
const MAX_LIMIT: usize = 32_768;

/// The types whose content can be redacted by key.
const DEFAULT_CONTENT_TYPES: [&str; 2] = ["application/json", FORM];

const FORM: &str = "application/x-www-form-urlencoded";

/// Selects the bodies that are recorded in closing entries, as `metadata.request_body` and
/// `metadata.response_body`.
///
/// The content of a body is recorded only if secrets in it can be found by key: it must be JSON or a form,
/// without `Content-Encoding`, not larger than the limit, and read to its end. Of any other captured body,
/// the entry has the size and the SHA-256. Bodies are not buffered: the application and the client receive
/// each frame as it arrives.
///
/// ```
/// use auditx_core::http::{BodyCapture, HttpAudit};
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
    /// Captures the bodies of requests to these paths, and of their responses.
    ///
    /// Paths are matched by whole segments: `/sales` matches `/sales` and `/sales/invoice`; `*` matches any
    /// one segment. Unlike with [`exclude`](super::HttpAuditBuilder::exclude), a path in another spelling
    /// (percent-encoding, empty segments) matches too, so that a client cannot avoid the capture.
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

    /// Sets the content types of captured bodies, without parameters. Default: `application/json` and
    /// `application/x-www-form-urlencoded`, which this list replaces.
    ///
    /// Types that end in `+json` are recorded as JSON. Of types other than JSON and forms, only the size and
    /// the hash are recorded.
    #[must_use]
    pub fn content_types<T: Into<String>>(mut self, types: impl IntoIterator<Item = T>) -> Self {
        self.content_types = types.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the size of the largest body whose content is recorded, which is also the memory used per body.
    /// Default: 4,096 bytes; at most 32,768.
    #[must_use]
    pub fn limit(mut self, bytes: usize) -> Self {
        self.limit = bytes;
        self
    }

    /// Sets whether the bodies of requests are captured. Default: `true`.
    #[must_use]
    pub fn requests(mut self, requests: bool) -> Self {
        self.requests = requests;
        self
    }

    /// Sets whether the bodies of responses are captured. Default: `true`.
    #[must_use]
    pub fn responses(mut self, responses: bool) -> Self {
        self.responses = responses;
        self
    }

    pub(super) fn compile(self) -> Result<Capture> {
        if self.limit > MAX_LIMIT {
            return Err(Error::invalid(format!(
                "invalid body limit {}: expected at most {MAX_LIMIT} bytes",
                self.limit
            )));
        }
        if let Some(wrong) =
            self.content_types.iter().find(|name| !name.contains('/') || name.contains([';', '*']))
        {
            return Err(Error::invalid(format!(
                "invalid content type {wrong:?}: expected a type and a subtype, for example application/json"
            )));
        }
        let paths = self.paths.iter().map(|path| PathPattern::parse(path)).collect::<Result<_>>()?;
        Ok(Capture { paths, settings: self })
    }
}

/// A compiled [`BodyCapture`].
#[derive(Debug, Clone)]
pub(super) struct Capture {
    paths: Vec<PathPattern>,
    settings: BodyCapture,
}

/// The format of a captured body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    Json,
    Form,
    /// Another type, in which secrets cannot be found.
    Opaque,
    /// Encoded with a `Content-Encoding`.
    Encoded,
}

impl Capture {
    pub(super) fn limit(&self) -> usize {
        self.settings.limit
    }

    /// Returns the format of a request body. `None` if the body is not captured.
    pub(super) fn of_request(&self, path: &str, headers: &dyn Headers) -> Option<Content> {
        if self.settings.requests && self.covers(path) { self.content(headers) } else { None }
    }

    /// Returns the format of the body of a response to a request for `path`. `None` if the body is not
    /// captured.
    pub(super) fn of_response(&self, path: &str, headers: &dyn Headers) -> Option<Content> {
        if self.settings.responses && self.covers(path) { self.content(headers) } else { None }
    }

    fn covers(&self, path: &str) -> bool {
        self.paths.iter().any(|pattern| pattern.may_cover(path))
    }

    fn content(&self, headers: &dyn Headers) -> Option<Content> {
        let content = first(headers, "content-type", |value| {
            let value = std::str::from_utf8(value).ok()?;
            let essence = value.split(';').next()?.trim();
            let is = |name: &str| essence.eq_ignore_ascii_case(name);
            self.settings.content_types.iter().any(|name| is(name)).then(|| {
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
