//! A request as it arrives: its context, its id, its endpoint without secrets.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::body::{Body, BodyTap};
use super::client::client_address;
use super::endpoint::Endpoint;
use super::settings::{Governing, HttpAudit, OnFailure, SessionIds};
use super::trace::trace_id;
use super::url::masked_url;
use super::user_agent::UserAgent;
use super::{Exchange, Problem, shortened};
use crate::clock::Timestamp;
use crate::context::{ContextFields, RequestContext};
use crate::error::Error;
use crate::id::new_id;
use crate::receipt::Pledges;
use crate::redact::Rules;

const REQUEST_ID_HEADER: &str = "x-request-id";
const SESSION_ID_HEADER: &str = "x-session-id";
const TRACEPARENT_HEADER: &str = "traceparent";

const MAX_REQUEST_ID: usize = 128;

/// Headers that become part of an entry are taken up to this length.
pub(super) const MAX_CLAIM: usize = 256;

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
    route: Option<&'r str>,
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
        Self { method, path, query: None, peer: None, route: None, headers }
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

    /// Default: unknown. The pattern of the route it takes, where the framework knows it by now; see
    /// [`Exchange::matched`].
    #[must_use]
    pub fn route(mut self, route: Option<&'r str>) -> Self {
        self.route = route;
        self
    }
}

impl HttpAudit {
    /// A request arrived. The exchange is to live until its response has gone out.
    #[must_use]
    pub fn begin(&self, request: &RequestFacts<'_>) -> Exchange {
        let settings = self.settings();
        let (request_id, refused) = id_of(request);
        let mut notes = Vec::new();
        notes.extend(refused.map(|refused| ("refused_request_id", refused)));
        let mut fields = ContextFields { request_id: request_id.clone(), ..ContextFields::default() };
        self.take_claims(request, &mut fields);
        if let Some(peer) = request.peer.map(|peer| peer.to_canonical()) {
            let client = self.client_of(request, peer);
            if client != peer {
                notes.push(("peer", peer.to_string()));
            }
            fields.ip = Some(client);
        }
        let endpoint = self.logger().with_rules(|rules| {
            if settings.referer {
                let referer = first(request.headers, "referer", |value| referer(value, rules));
                notes.extend(referer.map(|referer| ("referer", referer)));
            }
            let requested = (request.path, request.query, request.route);
            Endpoint::new(requested, (settings.endpoint, settings.query), rules)
        });
        let mut exchange = Exchange {
            http: self.clone(),
            context: RequestContext::of(fields),
            request_id,
            method: method(request.method),
            endpoint,
            route: request.route.map(str::to_owned),
            notes,
            began: Instant::now(),
            head: None,
            grpc: None,
            bytes: 0,
            user_agent: self.user_agent_of(request),
            request_body: self.request_body_of(request),
            response_body: None,
            pledged: None,
            is_open: true,
            unrecorded: None,
        };
        if settings.durable {
            exchange.context.attach(Arc::<Pledges>::default());
        }
        if settings.start_record && !settings.excludes(&exchange.endpoint) {
            exchange.unrecorded = exchange.open().err();
        }
        exchange
    }

    /// A layer further in has settings of its own: which requests are left out, what happens where the trail
    /// takes no entries, whether the response waits for the disk, when the closing entry is written, and to
    /// which logger. The outermost layer still writes the one closing entry, and has settled who is asking.
    /// Gives what to answer instead of calling the application.
    #[must_use]
    pub fn govern(&self, context: &RequestContext) -> Option<Problem> {
        let settings = self.settings();
        if settings.durable && context.attached::<Pledges>().is_none() {
            context.attach(Arc::<Pledges>::default());
        }
        context.attach(Arc::new(Governing(self.clone())));
        let request_id = context.read(|fields| fields.request_id.clone());
        self.refusal(None, &request_id)
    }

    /// What to answer instead of calling the application, where nothing may go unrecorded. `unrecorded` is
    /// why the request's arrival was not.
    pub(super) fn refusal(&self, unrecorded: Option<&Error>, request_id: &str) -> Option<Problem> {
        if self.settings().on_failure == OnFailure::Open {
            return None;
        }
        let problem = match unrecorded {
            Some(error) => Problem::from(error),
            None => Problem::from(self.logger().ready().err()?),
        };
        Some(problem.of_request(request_id))
    }

    /// What headers say of the session, the trace, the company and the branch.
    fn take_claims(&self, request: &RequestFacts<'_>, fields: &mut ContextFields) {
        let settings = self.settings();
        let session = first(request.headers, SESSION_ID_HEADER, |session| match settings.session_ids {
            _ if session.is_empty() => String::new(),
            SessionIds::Hashed => session_hash(session),
            SessionIds::Raw => claim(session),
        });
        fields.session_id = session.unwrap_or_default();
        let trace = first(request.headers, TRACEPARENT_HEADER, |value| trace_id(value).map(str::to_owned));
        if let Some(trace) = trace.flatten() {
            fields.extra.insert("trace_id".to_owned(), trace.into());
        }
        let claimed = |header: &Option<String>| {
            header.as_ref().and_then(|name| first(request.headers, name, claim)).unwrap_or_default()
        };
        fields.company_id = claimed(&settings.company_header);
        fields.branch_id = claimed(&settings.branch_header);
    }

    fn user_agent_of(&self, request: &RequestFacts<'_>) -> UserAgent {
        if !self.settings().user_agent {
            return UserAgent::default();
        }
        first(request.headers, "user-agent", UserAgent::of).unwrap_or_default()
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

/// The request's id, and what was refused in its place.
fn id_of(request: &RequestFacts<'_>) -> (String, Option<String>) {
    let given = first(request.headers, REQUEST_ID_HEADER, |id| {
        if is_request_id(id) { Ok(String::from_utf8_lossy(id).into_owned()) } else { Err(claim(id)) }
    });
    match given {
        Some(Ok(id)) => (id, None),
        refused => {
            let id = new_id(Timestamp::of(SystemTime::now())).hyphenated();
            let id = id.encode_lower(&mut Uuid::encode_buffer()).to_owned();
            (id, refused.and_then(Result::err))
        }
    }
}

/// The value of a header, no longer than it may be.
fn claim(value: &[u8]) -> String {
    shortened(&String::from_utf8_lossy(value), MAX_CLAIM).into_owned()
}

fn referer(value: &[u8], rules: &Rules) -> String {
    shortened(&masked_url(&String::from_utf8_lossy(value), rules), MAX_CLAIM).into_owned()
}

/// What `read` makes of the header's first value.
pub(super) fn first<T>(headers: &dyn Headers, name: &str, mut read: impl FnMut(&[u8]) -> T) -> Option<T> {
    let mut first = None;
    headers.each(name, &mut |value| {
        first.get_or_insert_with(|| read(value));
    });
    first
}

/// Most requests use one of a few.
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

#[cfg(test)]
mod tests {
    use super::*;

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
