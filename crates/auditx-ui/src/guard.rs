//! What happens before and after every request: which host, which viewer, which headers.

use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};

use axum::body::to_bytes;
use axum::extract::{ConnectInfo, OriginalUri, Query, Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};

use crate::assets::{self, SCRIPTS};
use crate::dashboard::Dashboard;
use crate::key::Refusal;
use crate::problem::Problem;
use crate::viewer::Viewer;

/// The cookie of a session.
pub(crate) const COOKIE: &str = "auditx_session";

/// Paths that need no viewer, besides those of scripts.
const OPEN: [&str; 4] = ["/sign-in", "/assets/dashboard.css", "/api/v1/healthz", "/api/v1/openapi.json"];

/// The policy of every answer: the embedded scripts run, and nothing else; nothing is loaded from elsewhere.
/// Browsers compare an external script with these hashes by its attribute `integrity` (CSP, level 3).
static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let hashes: String = SCRIPTS.iter().map(|script| format!(" '{}'", script.integrity())).collect();
    let policy = format!(
        "default-src 'none'; script-src{hashes}; connect-src 'self'; style-src 'self'; img-src data:; \
         form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; \
         trusted-types 'none'"
    );
    // Base64 is always valid in a header.
    HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
});

/// Further headers of every answer: it may not be framed or cached.
const HEADERS: [(HeaderName, &str); 5] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CACHE_CONTROL, "no-store"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// Parameters in which a key may be sent by mistake.
const KEY_PARAMETERS: [&str; 5] = ["key", "api_key", "apikey", "token", "access_token"];

/// What handlers know about a request.
#[derive(Debug, Clone)]
pub(crate) struct Visit {
    pub(crate) viewer: Viewer,
    /// As in [`Base`].
    pub(crate) base: String,
    /// Whether the viewer signed in here, and can sign out.
    pub(crate) has_session: bool,
}

/// The path of the dashboard, without a slash at its end.
#[derive(Debug, Clone)]
pub(crate) struct Base(pub(crate) String);

pub(crate) async fn guard(State(ui): State<Arc<Dashboard>>, mut request: Request, next: Next) -> Response {
    let base = base_of(&request);
    let is_api = request.uri().path().starts_with("/api/");
    let answer = |problem: Problem| if is_api { problem.json() } else { problem.page(&base) };
    request.extensions_mut().insert(Base(base.clone()));
    let response = match admitted(&ui, &request, &base) {
        Ok(Some(visit)) => {
            let is_scoped = visit.viewer.is_scoped();
            request.extensions_mut().insert(visit);
            let response = next.run(request).await;
            // The reason may name trails and lines that do not exist for this viewer.
            if is_scoped && response.status() == StatusCode::INTERNAL_SERVER_ERROR {
                answer(Problem::new(
                    response.status(),
                    "the trail cannot be read: report this to its operator",
                ))
            } else {
                response
            }
        }
        Ok(None) => next.run(request).await,
        Err(Denied::Unknown) if !is_api && !ui.keys.is_empty() => {
            Redirect::to(&format!("{base}/sign-in")).into_response()
        }
        Err(Denied::Unknown) => answer(Problem::new(StatusCode::UNAUTHORIZED, way_in(&ui))),
        Err(Denied::WrongKey(refusal)) => answer(refused(&ui, refusal).await),
        Err(Denied::For(problem)) => answer(problem),
    };
    with_headers(match refusal_of_framework(&response) {
        Some(status) => {
            let text = to_bytes(response.into_body(), MAX_REFUSAL).await.unwrap_or_default();
            answer(refusal(status, &String::from_utf8_lossy(&text)))
        }
        None => response,
    })
}

/// Says how a viewer is admitted.
fn way_in(ui: &Dashboard) -> &'static str {
    if ui.keys.is_empty() && ui.forward_auth.is_some() {
        return "come through the proxy that signs viewers in";
    }
    "sign in first; a program sends its key in the header Authorization: Bearer KEY"
}

/// What the path of a request has before the path that a nested router sees.
fn base_of(request: &Request) -> String {
    let path = request.uri().path();
    let original = request.extensions().get::<OriginalUri>().map_or(path, |OriginalUri(uri)| uri.path());
    original.strip_suffix(path).unwrap_or(original).trim_end_matches('/').to_owned()
}

/// The longest text with which the framework refuses a request.
const MAX_REFUSAL: usize = 4_096;

/// Returns the status of an answer that is plain text or nothing, which no handler here gives for an error:
/// the framework could not parse the request, or found no handler.
fn refusal_of_framework(response: &Response) -> Option<StatusCode> {
    let kind = response.headers().get(header::CONTENT_TYPE);
    let is_plain = kind.is_none_or(|kind| kind.as_bytes().starts_with(b"text/plain"));
    Some(response.status()).filter(|status| status.is_client_error() && is_plain)
}

/// Says why the framework refused a request. Its own text is empty if no handler has the path or method.
fn refusal(status: StatusCode, text: &str) -> Problem {
    let detail = match status {
        StatusCode::METHOD_NOT_ALLOWED => "this path has other methods, which the header Allow names",
        StatusCode::NOT_FOUND if text.is_empty() => "the dashboard has no such path",
        _ => text,
    };
    Problem::new(status, detail)
}

enum Denied {
    /// No viewer is known.
    Unknown,
    WrongKey(Refusal),
    For(Problem),
}

/// Returns the visit, or `None` for what everyone may see.
fn admitted(ui: &Dashboard, request: &Request, base: &str) -> Result<Option<Visit>, Denied> {
    let denied = |problem| Err(Denied::For(problem));
    if !is_known_host(ui, request) {
        let detail = "this dashboard does not serve that host: start it with --host NAME to allow one";
        return denied(Problem::new(StatusCode::MISDIRECTED_REQUEST, detail));
    }
    if let Some(name) = key_parameter(request.uri().query().unwrap_or_default()) {
        let detail = format!(
            "a key must not be in an address, where logs and histories keep it: remove {name}, \
             and send the key in the header Authorization: Bearer KEY, or sign in"
        );
        return denied(Problem::bad_request(detail));
    }
    if is_of_another_site(request) {
        return denied(Problem::new(StatusCode::FORBIDDEN, "another site made this request"));
    }
    if is_open(request.uri().path()) {
        return Ok(None);
    }
    let visit = |viewer, has_session| Ok(Some(Visit { viewer, base: base.to_owned(), has_session }));
    if let Some(viewer) = request.extensions().get::<Viewer>() {
        return visit(viewer.clone(), false);
    }
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip());
    if let Some(proxy) = &ui.forward_auth {
        let named = proxy.viewer(request.headers(), peer);
        if let Some(viewer) = named.map_err(|why| Denied::For(Problem::bad_request(why)))? {
            return visit(viewer, false);
        }
    }
    if let Some(viewer) = cookies(request.headers()).find_map(|token| ui.keys.session(token)) {
        return visit(viewer, true);
    }
    if let Some(key) = bearer(request.headers()).filter(|_| !ui.keys.is_empty()) {
        return ui.keys.viewer(key, peer).map_err(Denied::WrongKey).and_then(|viewer| visit(viewer, false));
    }
    match &ui.everyone {
        Some(viewer) => visit(viewer.clone(), false),
        None => Err(Denied::Unknown),
    }
}

/// Whether a path needs no viewer.
fn is_open(path: &str) -> bool {
    OPEN.contains(&path) || assets::script_at(path).is_some()
}

/// Whether a page of another site made the request. A link to a page may be followed from anywhere; but
/// images, scripts and forms of other sites could make the trail record reads that nobody asked for.
fn is_of_another_site(request: &Request) -> bool {
    let header = |name: &str| request.headers().get(name).map(HeaderValue::as_bytes);
    let is_own = matches!(header("sec-fetch-site"), None | Some(b"same-origin" | b"none"));
    let is_link =
        header("sec-fetch-mode") == Some(b"navigate") && header("sec-fetch-dest") == Some(b"document");
    let path = request.uri().path();
    let is_page = !path.starts_with("/api/") && !path.starts_with("/export/");
    let is_allowed = is_own || request.method() == Method::GET && is_link && is_page;
    !is_allowed
}

/// Records a key that was not accepted, and returns the answer to it.
pub(crate) async fn refused(ui: &Dashboard, refusal: Refusal) -> Problem {
    match refusal {
        Refusal::Wrong => match ui.record_sign_in(None).await {
            Ok(()) => Problem::new(StatusCode::UNAUTHORIZED, "this is not a key of the dashboard"),
            Err(problem) => problem,
        },
        Refusal::Throttled(seconds) => {
            let detail = format!("too many wrong keys: try again in {seconds} s");
            Problem::new(StatusCode::TOO_MANY_REQUESTS, detail).retry_after(seconds)
        }
    }
}

fn is_known_host(ui: &Dashboard, request: &Request) -> bool {
    if ui.hosts.is_empty() {
        return true;
    }
    // HTTP/2 has the host in the address.
    let named = request.headers().get(header::HOST).map(|host| host.to_str().ok());
    let authority = request.uri().authority().map(Authority::as_str);
    let Some(host) = named.unwrap_or(authority) else { return false };
    // An IPv6 address has its port after the bracket.
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    ui.hosts.contains(&name.to_ascii_lowercase())
}

fn key_parameter(query: &str) -> Option<&'static str> {
    let parsed = Uri::try_from(format!("/?{query}")).ok()?;
    let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(&parsed).ok()?;
    let is_named = |name: &&str| pairs.iter().any(|(given, _)| given.eq_ignore_ascii_case(name));
    KEY_PARAMETERS.into_iter().find(is_named)
}

/// Returns the tokens of sessions. There may be several: cookies do not know ports, and another site of the
/// same domain may plant one.
pub(crate) fn cookies(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let cookies = headers.get_all(header::COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    cookies.flat_map(|value| value.split(';')).filter_map(|pair| {
        let (name, value) = pair.trim().split_once('=')?;
        (name == COOKIE).then_some(value)
    })
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, key) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
}

fn with_headers(mut response: Response) -> Response {
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, POLICY.clone());
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}
