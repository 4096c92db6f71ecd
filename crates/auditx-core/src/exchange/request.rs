//! A request as it arrives: its context, its id, its endpoint without secrets.

use std::borrow::Cow;
use std::net::IpAddr;
use std::time::{Instant, SystemTime};

use percent_encoding::percent_decode_str;
use sha2::{Digest, Sha256};

use super::client::client_address;
use super::settings::{HttpAudit, SessionIds};
use super::{Exchange, shortened};
use crate::clock::Timestamp;
use crate::context::RequestContext;
use crate::id::new_id;
use crate::redact::{Decision, REDACTED, Rules};

const REQUEST_ID_HEADER: &str = "x-request-id";
const SESSION_ID_HEADER: &str = "x-session-id";
const FORWARDED_FOR_HEADER: &str = "x-forwarded-for";

const MAX_REQUEST_ID: usize = 128;

/// Headers that become part of an entry are taken up to this length.
const MAX_CLAIM: usize = 256;

/// Longer endpoints would crowd out the facts; the entry says how long it was.
const MAX_ENDPOINT: usize = 8_192;

/// A request's headers, in whatever form a framework has them.
pub trait Headers {
    /// Calls `visit` with each value of the header, in order. Names are compared without case.
    fn each(&self, name: &str, visit: &mut dyn FnMut(&[u8]));
}

/// What is known of a request when it arrives.
#[non_exhaustive]
pub struct RequestFacts<'r> {
    method: &'r str,
    path: &'r str,
    query: Option<&'r str>,
    peer: Option<IpAddr>,
    headers: &'r dyn Headers,
}

impl std::fmt::Debug for RequestFacts<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RequestFacts")
            .field("method", &self.method)
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl<'r> RequestFacts<'r> {
    /// The method, the path as it came (not decoded), and the headers.
    #[must_use]
    pub fn new(method: &'r str, path: &'r str, headers: &'r dyn Headers) -> Self {
        Self { method, path, query: None, peer: None, headers }
    }

    /// Default: none. What stands behind the question mark.
    #[must_use]
    pub fn query(mut self, query: Option<&'r str>) -> Self {
        self.query = query;
        self
    }

    /// Default: unknown. The address at the other end of the socket.
    #[must_use]
    pub fn peer(mut self, peer: Option<IpAddr>) -> Self {
        self.peer = peer;
        self
    }

    fn first(&self, name: &str) -> Option<Vec<u8>> {
        let mut first = None;
        self.headers.each(name, &mut |value| {
            first.get_or_insert_with(|| value.to_vec());
        });
        first
    }

    fn claim(&self, name: Option<&String>) -> Option<String> {
        let value = self.first(name?)?;
        Some(shortened(&String::from_utf8_lossy(&value), MAX_CLAIM).into_owned())
    }
}

impl HttpAudit {
    /// A request arrived. The exchange is to live until its response has gone out.
    #[must_use]
    pub fn begin(&self, request: &RequestFacts<'_>) -> Exchange {
        let settings = self.settings();
        let mut notes = Vec::new();
        let mut context = RequestContext::new();

        let request_id = match request.first(REQUEST_ID_HEADER) {
            Some(id) if is_request_id(&id) => String::from_utf8_lossy(&id).into_owned(),
            refused => {
                let refused =
                    refused.map(|id| shortened(&String::from_utf8_lossy(&id), MAX_CLAIM).into_owned());
                notes.extend(refused.map(|id| ("refused_request_id", id)));
                new_id(Timestamp::of(SystemTime::now())).hyphenated().to_string()
            }
        };
        context = context.request_id(request_id.as_str());
        if let Some(session) = request.first(SESSION_ID_HEADER).filter(|session| !session.is_empty()) {
            context = context.session_id(match settings.session_ids {
                SessionIds::Hashed => session_hash(&session),
                SessionIds::Raw => shortened(&String::from_utf8_lossy(&session), MAX_CLAIM).into_owned(),
            });
        }
        if let Some(company) = request.claim(settings.company_header.as_ref()) {
            context = context.company_id(company);
        }
        if let Some(branch) = request.claim(settings.branch_header.as_ref()) {
            context = context.branch_id(branch);
        }
        if let Some(peer) = request.peer {
            let mut forwarded = Vec::new();
            if !settings.proxies.is_empty() {
                request.headers.each(FORWARDED_FOR_HEADER, &mut |value| {
                    forwarded.push(String::from_utf8_lossy(value).into_owned());
                });
            }
            let client = client_address(peer, &forwarded, &settings.proxies);
            if client != peer.to_canonical() {
                notes.push(("peer", peer.to_canonical().to_string()));
            }
            context = context.ip(client);
        }
        let endpoint = self.logger().with_rules(|rules| endpoint(request.path, request.query, rules));
        if endpoint.len() > MAX_ENDPOINT {
            notes.push(("endpoint_bytes", endpoint.len().to_string()));
        }
        Exchange {
            is_open: !settings.excluded.iter().any(|pattern| pattern.covers(request.path)),
            http: self.clone(),
            context,
            request_id,
            method: request.method.to_owned(),
            path: shortened(request.path, MAX_ENDPOINT / 4).into_owned(),
            endpoint: shortened(&endpoint, MAX_ENDPOINT).into_owned(),
            notes,
            began: Instant::now(),
            head: None,
            bytes: 0,
        }
    }
}

fn is_request_id(id: &[u8]) -> bool {
    (1..=MAX_REQUEST_ID).contains(&id.len())
        && id.iter().all(|byte| byte.is_ascii_alphanumeric() || b"._:/+=@-".contains(byte))
}

/// `sha256:` and the first 128 bits in hex, over a prefix of ours and the id.
fn session_hash(session: &[u8]) -> String {
    let mut hasher = Sha256::new();
    hasher.update(b"auditx session\0");
    hasher.update(session);
    let digest: [u8; 32] = hasher.finalize().into();
    let mut text = "sha256:".to_owned();
    for byte in &digest[..16] {
        text.push_str(&format!("{byte:02x}"));
    }
    text
}

/// Path and query, with denied query values masked.
fn endpoint(path: &str, query: Option<&str>, rules: &Rules) -> String {
    let Some(query) = query else { return path.to_owned() };
    let mut text = String::with_capacity(path.len() + query.len() + 1);
    text.push_str(path);
    for (index, pair) in query.split('&').enumerate() {
        text.push(if index == 0 { '?' } else { '&' });
        let (key, value) = pair.split_once('=').map_or((pair, None), |(key, value)| (key, Some(value)));
        text.push_str(key);
        if let Some(value) = value {
            text.push('=');
            match rules.decide_key(&decoded(key)) {
                Decision::Keep => text.push_str(value),
                Decision::Mask => text.push_str(REDACTED),
                Decision::Hash => text.push_str(&rules.hashed(decoded(value).as_bytes())),
            }
        }
    }
    text
}

/// As a form's reader takes it, so that `%74oken` is a token too.
fn decoded(text: &str) -> Cow<'_, str> {
    if !text.contains(['%', '+']) {
        return Cow::Borrowed(text);
    }
    let spaced = text.replace('+', " ");
    Cow::Owned(percent_decode_str(&spaced).decode_utf8_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redact::Redaction;

    #[test]
    fn secrets_in_a_query_are_masked_however_their_key_is_spelled() {
        let rules = Redaction::default().compile().unwrap();
        let seen = |query| endpoint("/x", Some(query), &rules);
        assert_eq!(seen("a=1&token=abc&b"), "/x?a=1&token=[REDACTED]&b");
        assert_eq!(
            seen("%74oken=abc&api%5Fkey=k&access-token=t"),
            "/x?%74oken=[REDACTED]&api%5Fkey=[REDACTED]&access-token=[REDACTED]"
        );
        assert_eq!(seen("tokens_used=5&%zz=1"), "/x?tokens_used=5&%zz=1");
        assert_eq!(seen(""), "/x?");
        assert_eq!(endpoint("/x", None, &rules), "/x");
    }

    #[test]
    fn a_request_id_is_taken_only_if_it_is_harmless() {
        assert!(is_request_id(b"0199-abc:DEF/1+2=3@x.y_z"));
        for id in [
            b"".as_slice(),
            b"two words",
            b"line\nbreak",
            b"<script>",
            &[b'a'; 129],
            "é".as_bytes(),
            b"\x1b[31m",
        ] {
            assert!(!is_request_id(id));
        }
    }
}
