//! Gives the exchange access to the headers of the `http` crate.

use auditx_core::http::Headers;
use http::{HeaderMap, HeaderName};

pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Up to this many headers, comparing all names is faster than hashing the name.
const LINEAR_SCAN_MAX: usize = 16;

pub(crate) struct HeadersOf<'h>(pub(crate) &'h HeaderMap);

impl Headers for HeadersOf<'_> {
    fn each(&self, name: &str, visit: &mut dyn FnMut(&[u8])) {
        if self.0.len() > LINEAR_SCAN_MAX {
            return self.0.get_all(name).iter().for_each(|value| visit(value.as_bytes()));
        }
        // Names in the map are lower case.
        let matching = self.0.iter().filter(|(known, _)| known.as_str().eq_ignore_ascii_case(name));
        matching.for_each(|(_, value)| visit(value.as_bytes()));
    }
}
