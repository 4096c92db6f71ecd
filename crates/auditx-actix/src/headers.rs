//! Gives the exchange access to actix-web's headers.

use actix_web::http::header::{HeaderMap, HeaderName};
use auditx_core::http::Headers;

pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Up to this many headers, comparing all names is faster than a look-up, which allocates for most names.
const LINEAR_SCAN_MAX: usize = 16;

pub(crate) struct HeadersOf<'h>(pub(crate) &'h HeaderMap);

impl Headers for HeadersOf<'_> {
    fn each(&self, name: &str, visit: &mut dyn FnMut(&[u8])) {
        if self.0.len() > LINEAR_SCAN_MAX {
            return self.0.get_all(name).for_each(|value| visit(value.as_bytes()));
        }
        let matching = self.0.iter().filter(|(known, _)| known.as_str().eq_ignore_ascii_case(name));
        matching.for_each(|(_, value)| visit(value.as_bytes()));
    }
}
