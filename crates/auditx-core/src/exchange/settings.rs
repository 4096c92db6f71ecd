//! The settings of HTTP auditing, shared by all adapters.

use std::marker::PhantomData;
use std::sync::Arc;

use auditx_format::Result;

use super::capture::{BodyCapture, Capture};
use super::path_pattern::PathPattern;
use super::texts::{EndpointPolicy, QueryPolicy, Texts};
use super::trusted::TrustedProxies;
use super::url::PlainRoutes;
use crate::logger::{AuditLogger, audit};

/// Paths that documentation pages and browsers request automatically.
const DEFAULT_EXCLUDED: [&str; 4] = ["/docs", "/redoc", "/openapi.json", "/favicon.ico"];

/// The form in which the id in `X-Session-ID` is recorded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SessionIds {
    /// The first 128 bits of its SHA-256. Equal sessions can be recognized, but a reader of the log cannot
    /// take a session over.
    #[default]
    Hashed,
    /// The id as received.
    Raw,
}

/// What happens to a request while the trail accepts no entries.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnFailure {
    /// The request is processed: availability takes precedence. Entries that cannot be recorded are reported
    /// in app.log and counted.
    #[default]
    Open,
    /// The request is answered with 503 before its handler runs, so that nothing happens unrecorded.
    Closed,
}

/// When the closing entry is recorded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum EmitAt {
    /// At the end of the response body, whether complete, failed or aborted.
    #[default]
    End,
    /// At the head of the response, for streams that do not end. The entry then has no information about the
    /// body.
    Headers,
}

/// The header in which trusted proxies forward the client's address.
///
/// A proxy writes one of them and passes the other on as received from the client, so only the one that the
/// proxy writes can be trusted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProxyHeader {
    /// `X-Forwarded-For`.
    #[default]
    XForwardedFor,
    /// `Forwarded` (RFC 7239).
    Forwarded,
}

impl ProxyHeader {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::XForwardedFor => "x-forwarded-for",
            Self::Forwarded => "forwarded",
        }
    }
}

/// The settings of an inner layer, attached to the context of the request.
#[derive(Debug)]
pub(super) struct InnerSettings(pub(super) HttpAudit);

/// The settings of HTTP auditing. Cheap to clone.
#[derive(Debug, Clone)]
pub struct HttpAudit(Arc<Settings>);

#[derive(Debug, Clone)]
pub(super) struct Settings {
    logger: Option<AuditLogger>,
    excluded: Vec<PathPattern>,
    pub(super) proxies: TrustedProxies,
    pub(super) proxy_header: ProxyHeader,
    pub(super) session_ids: SessionIds,
    pub(super) company_header: Option<String>,
    pub(super) branch_header: Option<String>,
    pub(super) start_record: bool,
    pub(super) emit_at: EmitAt,
    pub(super) on_failure: OnFailure,
    pub(super) durable: bool,
    pub(super) user_agent: bool,
    pub(super) referer: bool,
    pub(super) query: QueryPolicy,
    pub(super) endpoint: EndpointPolicy,
    pub(super) capture: Option<Capture>,
    pub(super) plain_routes: PlainRoutes,
}

impl Settings {
    /// Returns `true` if the request gets no entries.
    pub(super) fn excludes(&self, texts: &Texts) -> bool {
        let path = texts.original_path();
        self.excluded.iter().any(|pattern| pattern.covers(path))
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            logger: None,
            excluded: DEFAULT_EXCLUDED.iter().filter_map(|path| PathPattern::parse(path).ok()).collect(),
            proxies: TrustedProxies::default(),
            proxy_header: ProxyHeader::default(),
            session_ids: SessionIds::default(),
            company_header: None,
            branch_header: None,
            start_record: false,
            emit_at: EmitAt::default(),
            on_failure: OnFailure::default(),
            durable: false,
            user_agent: true,
            referer: false,
            query: QueryPolicy::default(),
            endpoint: EndpointPolicy::default(),
            capture: None,
            plain_routes: PlainRoutes::default(),
        }
    }
}

impl HttpAudit {
    /// Creates the default settings; see the methods of [`HttpAuditBuilder`].
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::default())
    }

    /// Returns a builder for other settings.
    #[must_use]
    pub fn builder() -> HttpAuditBuilder<Self> {
        HttpAuditBuilder::new()
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.0
    }

    pub(super) fn logger(&self) -> &AuditLogger {
        self.0.logger.as_ref().unwrap_or_else(|| audit())
    }
}

impl Default for HttpAudit {
    fn default() -> Self {
        Self::new()
    }
}

/// Builds the middleware `T` of an adapter from settings.
#[derive(Debug)]
pub struct HttpAuditBuilder<T> {
    settings: Settings,
    /// Replaces the default ones.
    excluded: Option<Vec<String>>,
    proxies: Vec<String>,
    bodies: Option<BodyCapture>,
    builds: PhantomData<fn() -> T>,
}

impl<T: From<HttpAudit>> HttpAuditBuilder<T> {
    /// Creates a builder with the default settings.
    #[must_use]
    pub fn new() -> Self {
        let (settings, builds) = (Settings::default(), PhantomData);
        Self { settings, excluded: None, proxies: Vec::new(), bodies: None, builds }
    }

    /// Sets the logger. Default: the process-wide logger, [`audit`].
    #[must_use]
    pub fn logger(mut self, logger: AuditLogger) -> Self {
        self.settings.logger = Some(logger);
        self
    }

    /// Sets the paths whose requests get a context but no closing entry. Default: `/docs`, `/redoc`,
    /// `/openapi.json` and `/favicon.ico`, which this list replaces.
    ///
    /// Paths are matched by whole segments: `/docs` matches `/docs` and `/docs/x`, but not `/docs-private`;
    /// `*` matches any one segment. A path with dot segments, empty segments or percent-encoding never
    /// matches.
    #[must_use]
    pub fn exclude<P: Into<String>>(mut self, paths: impl IntoIterator<Item = P>) -> Self {
        self.excluded = Some(paths.into_iter().map(Into::into).collect());
        self
    }

    /// Sets the networks (`10.0.0.0/8`) or addresses of trusted reverse proxies. Default: none. The client's
    /// address is taken from the header set with [`proxy_header`](Self::proxy_header) if the request comes
    /// from one of them.
    #[must_use]
    pub fn trust_proxies<P: Into<String>>(mut self, networks: impl IntoIterator<Item = P>) -> Self {
        self.proxies = networks.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the header that the trusted proxies write. Default: [`ProxyHeader::XForwardedFor`].
    #[must_use]
    pub fn proxy_header(mut self, header: ProxyHeader) -> Self {
        self.settings.proxy_header = header;
        self
    }

    /// Sets whether an entry is also recorded when a request arrives, so that the request is on record if the
    /// process is killed while processing it. Default: `false`.
    #[must_use]
    pub fn start_record(mut self, start_record: bool) -> Self {
        self.settings.start_record = start_record;
        self
    }

    /// Sets when the closing entry is recorded. Default: [`EmitAt::End`].
    #[must_use]
    pub fn emit_at(mut self, emit_at: EmitAt) -> Self {
        self.settings.emit_at = emit_at;
        self
    }

    /// Sets what happens to a request while the trail accepts no entries. Default: [`OnFailure::Open`].
    #[must_use]
    pub fn on_failure(mut self, on_failure: OnFailure) -> Self {
        self.settings.on_failure = on_failure;
        self
    }

    /// Sets whether the head of a response is held until all entries recorded in the context of the request
    /// are durable. Default: `false`. Concurrent requests share an fdatasync(2). If the entries cannot be
    /// made durable, the client gets 503.
    #[must_use]
    pub fn durable(mut self, durable: bool) -> Self {
        self.settings.durable = durable;
        self
    }

    /// Sets how the id in `X-Session-ID` is recorded. Default: [`SessionIds::Hashed`].
    #[must_use]
    pub fn session_ids(mut self, session_ids: SessionIds) -> Self {
        self.settings.session_ids = session_ids;
        self
    }

    /// Sets the header from which the company is taken. Default: none. The value is a claim of the client
    /// unless the application checks it.
    #[must_use]
    pub fn company_header(mut self, name: impl Into<String>) -> Self {
        self.settings.company_header = Some(name.into());
        self
    }

    /// Sets the header from which the branch is taken. Default: none. The value is a claim of the client
    /// unless the application checks it.
    #[must_use]
    pub fn branch_header(mut self, name: impl Into<String>) -> Self {
        self.settings.branch_header = Some(name.into());
        self
    }

    /// Sets whether closing entries have the client's `User-Agent`, up to 256 bytes: `metadata.user_agent`.
    /// Default: `true`.
    #[must_use]
    pub fn user_agent(mut self, user_agent: bool) -> Self {
        self.settings.user_agent = user_agent;
        self
    }

    /// Sets whether closing entries have the `Referer`, up to 256 bytes, with secrets masked as in the
    /// endpoint: `metadata.referer`. Default: `false`.
    #[must_use]
    pub fn referer(mut self, referer: bool) -> Self {
        self.settings.referer = referer;
        self
    }

    /// Sets the part of a request's query that is recorded. Default: [`QueryPolicy::Masked`].
    #[must_use]
    pub fn query(mut self, query: QueryPolicy) -> Self {
        self.settings.query = query;
        self
    }

    /// Sets how the path is recorded in the endpoint and the description. Default: [`EndpointPolicy::Path`].
    #[must_use]
    pub fn endpoint(mut self, endpoint: EndpointPolicy) -> Self {
        self.settings.endpoint = endpoint;
        self
    }

    /// Sets the request and response bodies that are recorded in closing entries, with secrets masked.
    /// Default: none.
    #[must_use]
    pub fn capture_bodies(mut self, bodies: BodyCapture) -> Self {
        self.bodies = Some(bodies);
        self
    }

    /// Builds the middleware.
    ///
    /// # Errors
    /// `is_invalid` if a path pattern, a network, or the limit or a content type of [`BodyCapture`] is
    /// invalid.
    pub fn build(self) -> Result<T> {
        let mut settings = self.settings;
        if let Some(excluded) = &self.excluded {
            settings.excluded =
                excluded.iter().map(|path| PathPattern::parse(path)).collect::<Result<_>>()?;
        }
        settings.proxies = TrustedProxies::parse(&self.proxies)?;
        settings.capture = self.bodies.map(BodyCapture::compile).transpose()?;
        Ok(T::from(HttpAudit(Arc::new(settings))))
    }
}

impl<T: From<HttpAudit>> Default for HttpAuditBuilder<T> {
    fn default() -> Self {
        Self::new()
    }
}
