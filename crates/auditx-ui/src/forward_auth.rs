//! Viewers that a proxy in front of the dashboard has signed in, and names in a header.

use std::net::IpAddr;

use auditx_core::http::TrustedProxies;
use axum::http::{HeaderMap, HeaderName};

use crate::layout::visible;
use crate::viewer::Viewer;

/// The longest name or role that is accepted, in bytes.
const MAX_LEN: usize = 256;

/// A proxy that signs viewers in and names them in a header, such as `Remote-User`.
///
/// The header counts only on connections from the trusted addresses. The proxy must remove the header from
/// what its clients send. Serve the router with
/// [`into_make_service_with_connect_info`](axum::Router::into_make_service_with_connect_info), which passes
/// on the address of each connection; without it, no connection is trusted.
///
/// ```
/// use auditx_core::http::TrustedProxies;
/// use auditx_ui::{Dashboard, ForwardAuth};
/// use axum::http::HeaderName;
///
/// let proxies = TrustedProxies::parse(["10.0.0.0/8"])?;
/// let proxy = ForwardAuth::new(HeaderName::from_static("remote-user"), proxies);
/// let dashboard = Dashboard::unrecorded("/mnt/copy").forward_auth(proxy);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct ForwardAuth {
    user: HeaderName,
    role: Option<HeaderName>,
    proxies: TrustedProxies,
}

impl ForwardAuth {
    /// Takes the name of the viewer from this header of requests from these proxies.
    #[must_use]
    pub fn new(user: HeaderName, proxies: TrustedProxies) -> Self {
        Self { user, role: None, proxies }
    }

    /// Takes the role that is recorded with each read from this header. The default records none.
    #[must_use]
    pub fn role_header(mut self, role: HeaderName) -> Self {
        self.role = Some(role);
        self
    }

    /// Returns the viewer whom a request names; `None` if it names none, or if its connection is not trusted.
    /// Fails with the reason if the header does not hold one plain name.
    pub(crate) fn viewer(&self, headers: &HeaderMap, peer: Option<IpAddr>) -> Result<Option<Viewer>, String> {
        if !peer.is_some_and(|peer| self.proxies.contains(peer)) {
            return Ok(None);
        }
        let Some(name) = only_value(headers, &self.user)? else { return Ok(None) };
        let viewer = Viewer::new(name);
        match &self.role {
            Some(header) => Ok(Some(match only_value(headers, header)? {
                Some(role) => viewer.role(role),
                None => viewer,
            })),
            None => Ok(Some(viewer)),
        }
    }
}

/// Returns the value of a header that may occur once.
fn only_value(headers: &HeaderMap, name: &HeaderName) -> Result<Option<String>, String> {
    let mut values = headers.get_all(name).into_iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(format!("the header {name} occurs more than once: the proxy must replace it"));
    }
    let text = std::str::from_utf8(value.as_bytes()).map(str::trim).unwrap_or("\u{0}");
    if text.is_empty() {
        return Err(format!("the header {name} is empty: the proxy must name the viewer or omit it"));
    }
    if text.len() > MAX_LEN {
        let len = text.len();
        return Err(format!("the header {name} has {len} bytes: expected at most {MAX_LEN}"));
    }
    // A name with hidden characters could pass for another one.
    if visible(text) != text {
        return Err(format!("the header {name} has control characters or is not UTF-8"));
    }
    Ok(Some(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn viewer(values: &[&[u8]], peer: &str) -> Result<Option<Viewer>, String> {
        let proxies = TrustedProxies::parse(["10.0.0.0/8"]).unwrap();
        let user = HeaderName::from_static("remote-user");
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(&user, HeaderValue::from_bytes(value).unwrap());
        }
        ForwardAuth::new(user, proxies).viewer(&headers, peer.parse().ok())
    }

    #[test]
    fn only_a_trusted_address_names_the_viewer() {
        assert_eq!(viewer(&[b"mya"], "10.1.2.3"), Ok(Some(Viewer::new("mya"))));
        assert_eq!(viewer(&[b"mya"], "::ffff:10.1.2.3"), Ok(Some(Viewer::new("mya"))));
        assert_eq!(viewer(&[b"mya"], "192.0.2.1"), Ok(None));
        assert_eq!(viewer(&[b"mya"], "unknown"), Ok(None), "the server does not say");
    }

    #[test]
    fn a_header_that_is_not_one_plain_name_is_refused() {
        let long = [b'x'; MAX_LEN + 1];
        let values: [&[&[u8]]; 7] = [
            &[b"mya", b"thida"],
            &[b""],
            &[b"  "],
            &[&long],
            &[b"mya\tadmin"],
            &["mya\u{202e}".as_bytes()],
            &[b"\xff"],
        ];
        for value in values {
            assert!(viewer(value, "10.1.2.3").is_err(), "{value:?}");
        }
        assert_eq!(viewer(&[long[1..].as_ref()], "10.1.2.3").unwrap().unwrap().name.len(), MAX_LEN);
        assert_eq!(viewer(&["မြ".as_bytes()], "10.1.2.3"), Ok(Some(Viewer::new("မြ"))));
    }
}
