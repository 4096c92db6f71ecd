//! Errors as answers: RFC 9457 problems for programs, a page for people.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use maud::html;
use serde_json::json;

use crate::layout;

/// An answer that says what is wrong and what to do.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    detail: String,
    /// Seconds after which to try again.
    retry_after: Option<u64>,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into(), retry_after: None }
    }

    pub(crate) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    pub(crate) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    pub(crate) fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }

    /// The answer for a program.
    pub(crate) fn json(&self) -> Response {
        let title = self.status.canonical_reason().unwrap_or("Error");
        let body = json!({ "title": title, "status": self.status.as_u16(), "detail": self.detail });
        let kind = [(header::CONTENT_TYPE, "application/problem+json")];
        self.with_headers((self.status, kind, body.to_string()).into_response())
    }

    /// The answer for a person. `base` is the path of the dashboard.
    pub(crate) fn page(&self, base: &str) -> Response {
        let title = self.status.canonical_reason().unwrap_or("Error");
        let page = layout::bare(
            base,
            title,
            html! {
                h1 { (title) }
                p.problem { (layout::visible(&self.detail)) }
                p { a href=(layout::home(base)) { "Back to the trail" } }
            },
        );
        self.with_headers((self.status, page).into_response())
    }

    /// Adds what the answer says besides its text: how to sign in, when to try again.
    pub(crate) fn with_headers(&self, mut response: Response) -> Response {
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}

impl From<auditx_reader::Error> for Problem {
    fn from(error: auditx_reader::Error) -> Self {
        let status = match &error {
            error if error.is_missing() => StatusCode::NOT_FOUND,
            error if error.is_invalid() => StatusCode::BAD_REQUEST,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::new(status, error.why())
    }
}

/// For handlers of the API.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        self.json()
    }
}
