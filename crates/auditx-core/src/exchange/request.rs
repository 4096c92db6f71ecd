//! Begins an exchange: reads context, request id and endpoint from an arriving request.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use auditx_format::Error;
use auditx_format::clock::Timestamp;
use auditx_format::context::{ContextFields, RequestContext};
use auditx_format::id::new_id;
use auditx_format::redact::Rules;
use auditx_tlog::to_hex;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::body::{Body, BodyTap};
use super::client::client_address;
use super::inline_text::InlineText;
use super::settings::{HttpAudit, InnerSettings, OnFailure, SessionIds};
use super::texts::Texts;
use super::trace::trace_id;
use super::url::masked_url;
use super::{Exchange, Problem, shortened};
use crate::receipt::AwaitedReceipts;

const REQUEST_ID_HEADER: &str = "x-request-id";
const SESSION_ID_HEADER: &str = "x-session-id";
const TRACEPARENT_HEADER: &str = "traceparent";

/// Request ids have at most this many characters.
pub(super) const MAX_REQUEST_ID: usize = 128;

/// Header values are recorded up to this length.
pub(super) const MAX_HEADER_LEN: usize = 256;

/// The headers of a request or a response, implemented by adapters for the type of their framework.
pub trait Headers {
    /// Calls `visit` with each value of the header, in order. Names are compared ignoring case.
    fn each(&self, name: &str, visit: &mut dyn FnMut(&[u8]));
}

/// The parts of a request that are known when it arrives.
#[non_exhaustive]
pub struct RequestFacts<'r> {
    method: &'r str,
    pub(super) path: &'r str,
    pub(super) query: Option<&'r str>,
    peer: Option<IpAddr>,
    pub(super) route: Option<&'r str>,
    pub(super) headers: &'r dyn Headers,
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
    /// Creates the facts from the method, the path as received (not decoded), and the headers.
    #[must_use]
    pub fn new(method: &'r str, path: &'r str, headers: &'r dyn Headers) -> Self {
        Self { method, path, query: None, peer: None, route: None, headers }
    }

    /// Sets the query, without the question mark. Default: none.
    #[must_use]
    pub fn query(mut self, query: Option<&'r str>) -> Self {
        self.query = query;
        self
    }

    /// Sets the peer address of the socket. Default: unknown.
    #[must_use]
    pub fn peer(mut self, peer: Option<IpAddr>) -> Self {
        self.peer = peer;
        self
    }

    /// Sets the pattern of the matched route, if the framework already knows it; see [`Exchange::matched`].
    /// Default: unknown.
    #[must_use]
    pub fn route(mut self, route: Option<&'r str>) -> Self {
        self.route = route;
        self
    }
}

impl HttpAudit {
    /// Begins the exchange of an arriving request. The adapter must keep it until the response is sent.
    #[must_use]
    pub fn begin(&self, request: &RequestFacts<'_>) -> Exchange {
        let settings = self.settings();
        let (request_id, rejected_id) = id_of(request);
        let mut metadata = Vec::new();
        metadata.extend(rejected_id.map(|id| ("refused_request_id", id)));
        let mut fields = ContextFields::default();
        request_id.as_str().clone_into(&mut fields.request_id);
        self.read_headers(request, &mut fields);
        if let Some(peer) = request.peer.map(|peer| peer.to_canonical()) {
            let client = self.client_of(request, peer);
            if client != peer {
                metadata.push(("peer", peer.to_string()));
            }
            fields.ip = Some(client);
        }
        let texts = self.logger().with_rules(|rules| {
            if settings.referer {
                let referer = first(request.headers, "referer", |value| referer(value, rules));
                metadata.extend(referer.map(|referer| ("referer", referer)));
            }
            Texts::new(request, settings, rules)
        });
        let mut exchange = Exchange {
            http: self.clone(),
            context: RequestContext::of(fields),
            request_id,
            method: method(request.method),
            texts,
            metadata,
            began: Instant::now(),
            head: None,
            grpc: None,
            bytes: 0,
            request_body: self.request_body_of(request),
            response_body: None,
            awaited: None,
            is_open: true,
            start_error: None,
        };
        if settings.durable {
            exchange.context.attach(Arc::<AwaitedReceipts>::default());
        }
        if settings.start_record && !settings.excludes(&exchange.texts) {
            exchange.start_error = exchange.open().err();
        }
        exchange
    }

    /// Applies the settings of an inner layer to the exchange that an outer layer began. Returns the response
    /// to send instead of calling the application, if any.
    ///
    /// These settings then decide which requests are excluded, what happens if the trail accepts no entries,
    /// whether the response waits until its entries are durable, when the closing entry is recorded, and by
    /// which logger. The outermost layer still records the one closing entry, and its settings determine the
    /// client and the context.
    #[must_use]
    pub fn govern(&self, context: &RequestContext) -> Option<Problem> {
        let settings = self.settings();
        if settings.durable && context.attached::<AwaitedReceipts>().is_none() {
            context.attach(Arc::<AwaitedReceipts>::default());
        }
        context.attach(Arc::new(InnerSettings(self.clone())));
        let request_id = context.read(|fields| fields.request_id.clone());
        self.refusal(None, &request_id)
    }

    /// Returns the response to send instead of calling the application, if no request may go unrecorded and
    /// entries are not accepted. `start_error` is the error of recording the arrival of the request.
    pub(super) fn refusal(&self, start_error: Option<&Error>, request_id: &str) -> Option<Problem> {
        if self.settings().on_failure == OnFailure::Open {
            return None;
        }
        let problem = match start_error {
            Some(error) => Problem::from(error),
            None => Problem::from(self.logger().ready().err()?),
        };
        Some(problem.of_request(request_id))
    }

    /// Reads session, trace, company and branch from the headers.
    fn read_headers(&self, request: &RequestFacts<'_>, fields: &mut ContextFields) {
        let settings = self.settings();
        let session = first(request.headers, SESSION_ID_HEADER, |session| match settings.session_ids {
            _ if session.is_empty() => String::new(),
            SessionIds::Hashed => session_hash(session),
            SessionIds::Raw => header_text(session),
        });
        fields.session_id = session.unwrap_or_default();
        let trace = first(request.headers, TRACEPARENT_HEADER, |value| trace_id(value).map(str::to_owned));
        if let Some(trace) = trace.flatten() {
            fields.extra.insert("trace_id".to_owned(), trace.into());
        }
        let text_of = |header: &Option<String>| {
            header.as_ref().and_then(|name| first(request.headers, name, header_text)).unwrap_or_default()
        };
        fields.company_id = text_of(&settings.company_header);
        fields.branch_id = text_of(&settings.branch_header);
    }

    fn request_body_of(&self, request: &RequestFacts<'_>) -> Option<BodyTap> {
        let capture = self.settings().capture.as_ref()?;
        let content = capture.of_request(request.path, request.headers)?;
        Some(BodyTap::of(Body::new(content, capture.limit())))
    }

    fn client_of(&self, request: &RequestFacts<'_>, peer: IpAddr) -> IpAddr {
        let settings = self.settings();
        if settings.proxies.is_empty() {
            return peer;
        }
        let mut values = Vec::new();
        request.headers.each(settings.proxy_header.name(), &mut |value| {
            values.push(String::from_utf8_lossy(value).into_owned());
        });
        client_address(peer, &values, settings.proxy_header, &settings.proxies)
    }
}

/// Returns the request id, and the rejected id of the client, if any.
fn id_of(request: &RequestFacts<'_>) -> (InlineText<MAX_REQUEST_ID>, Option<String>) {
    let given = first(request.headers, REQUEST_ID_HEADER, |id| {
        let text = std::str::from_utf8(id).ok().filter(|_| is_request_id(id));
        text.map(InlineText::of).ok_or_else(|| header_text(id))
    });
    match given {
        Some(Ok(id)) => (id, None),
        rejected => {
            let id = new_id(Timestamp::of(SystemTime::now())).hyphenated();
            let id = InlineText::of(id.encode_lower(&mut Uuid::encode_buffer()));
            (id, rejected.and_then(Result::err))
        }
    }
}

/// Returns the value of a header as text, truncated to its maximum length.
fn header_text(value: &[u8]) -> String {
    shortened(&String::from_utf8_lossy(value), MAX_HEADER_LEN).into_owned()
}

fn referer(value: &[u8], rules: &Rules) -> String {
    shortened(&masked_url(&String::from_utf8_lossy(value), rules), MAX_HEADER_LEN).into_owned()
}

/// Returns the result of `read` for the first value of the header. `None` if there is no such header.
pub(super) fn first<T>(headers: &dyn Headers, name: &str, mut read: impl FnMut(&[u8]) -> T) -> Option<T> {
    let mut first = None;
    headers.each(name, &mut |value| {
        first.get_or_insert_with(|| read(value));
    });
    first
}

/// Returns the method; the common ones need no allocation.
fn method(name: &str) -> Cow<'static, str> {
    const KNOWN: [&str; 7] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];
    KNOWN
        .iter()
        .find(|known| **known == name)
        .map_or_else(|| Cow::Owned(name.to_owned()), |known| Cow::Borrowed(*known))
}

fn is_request_id(id: &[u8]) -> bool {
    (1..=MAX_REQUEST_ID).contains(&id.len())
        && id.iter().all(|byte| byte.is_ascii_alphanumeric() || b"._:/+=@-".contains(byte))
}

/// Returns `sha256:` and the first 128 bits, in hex, of the hash of a fixed prefix and the session id.
fn session_hash(session: &[u8]) -> String {
    let mut hasher = Sha256::new();
    hasher.update(b"auditx session\0");
    hasher.update(session);
    let digest: [u8; 32] = hasher.finalize().into();
    "sha256:".to_owned() + &to_hex(&digest[..16])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_id_has_only_safe_characters() {
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
