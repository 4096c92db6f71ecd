//! Gives the exchange access to actix-web's headers.

use actix_web::http::header::{HeaderMap, HeaderName};
use auditx_core::http::Headers;

pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

pub(crate) struct HeadersOf<'h>(pub(crate) &'h HeaderMap);

impl Headers for HeadersOf<'_> {
    fn each(&self, name: &str, visit: &mut dyn FnMut(&[u8])) {
        self.0.get_all(name).for_each(|value| visit(value.as_bytes()));
    }
}
