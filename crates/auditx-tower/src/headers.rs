//! Headers as the exchange reads them.

use auditx_core::Headers;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName};

pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What each request and response is asked for.
static KNOWN: [HeaderName; 4] = [
    CONTENT_TYPE,
    REQUEST_ID,
    HeaderName::from_static("x-session-id"),
    HeaderName::from_static("traceparent"),
];

pub(crate) struct HeadersOf<'h>(pub(crate) &'h HeaderMap);

impl Headers for HeadersOf<'_> {
    fn each(&self, name: &str, visit: &mut dyn FnMut(&[u8])) {
        // A name that is known needs no parsing.
        let values = match KNOWN.iter().find(|known| *known == name) {
            Some(known) => self.0.get_all(known),
            None => self.0.get_all(name),
        };
        values.iter().for_each(|value| visit(value.as_bytes()));
    }
}
