//! How requests are audited: shared by every adapter, built once.

use std::marker::PhantomData;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use super::capture::{BodyCapture, Capture};
use super::endpoint::{Endpoint, EndpointPolicy, QueryPolicy};
use super::path_pattern::PathPattern;
use crate::error::{Error, Result};
use crate::logger::{AuditLogger, audit};

/// What documentation browsers and web browsers ask for by themselves.
const DEFAULT_EXCLUDED: [&str; 4] = ["/docs", "/redoc", "/openapi.json", "/favicon.ico"];

/// What becomes of the id in `X-Session-ID`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SessionIds {
    /// Its SHA-256, first 128 bits: equal sessions stay comparable, and nobody who reads the log can take one
    /// over.
    #[default]
    Hashed,
    /// As it came.
    Raw,
}

/// What happens to a request where the trail takes no entries.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnFailure {
    /// It is served: availability first. What cannot be recorded is said in app.log and counted.
    #[default]
    Open,
    /// It is answered with 503 before its handler runs: nothing happens that is not recorded.
    Closed,
}

/// When the closing entry is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum EmitAt {
    /// When the response's body has ended, one way or another.
    #[default]
    End,
    /// When the response's head is known: for streams that never end. How the body went is not said then.
    Headers,
}

/// In which header trusted proxies say whom they speak for.
///
/// A proxy writes one and passes the other on as the client sent it, so only the one that it writes may be
/// believed.
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

/// Settings of a layer further in, kept with the request's context.
#[derive(Debug)]
pub(super) struct Governing(pub(super) HttpAudit);

/// How requests are audited; cheap to clone.
#[derive(Debug, Clone)]
pub struct HttpAudit(Arc<Settings>);

#[derive(Debug, Clone)]
pub(super) struct Settings {
    logger: Option<AuditLogger>,
    excluded: Vec<PathPattern>,
    pub(super) proxies: Vec<IpNet>,
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
}

impl Settings {
    /// Whether the request gets no closing entry.
    pub(super) fn excludes(&self, endpoint: &Endpoint) -> bool {
        let path = endpoint.original_path();
        self.excluded.iter().any(|pattern| pattern.covers(path))
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            logger: None,
            excluded: DEFAULT_EXCLUDED.iter().filter_map(|path| PathPattern::parse(path).ok()).collect(),
            proxies: Vec::new(),
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
        }
    }
}

impl HttpAudit {
    /// The defaults: the process-wide logger, no trusted proxies, the usual documentation paths excluded.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::default())
    }

    /// Settings of one's own.
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

/// Builds an adapter's middleware, `T`, from settings.
#[derive(Debug)]
pub struct HttpAuditBuilder<T> {
    settings: Settings,
    /// In place of the default ones.
    excluded: Option<Vec<String>>,
    proxies: Vec<String>,
    bodies: Option<BodyCapture>,
    builds: PhantomData<fn() -> T>,
}

impl<T: From<HttpAudit>> HttpAuditBuilder<T> {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        let (settings, builds) = (Settings::default(), PhantomData);
        Self { settings, excluded: None, proxies: Vec::new(), bodies: None, builds }
    }

    /// Default: the process-wide logger. Where entries go.
    #[must_use]
    pub fn logger(mut self, logger: AuditLogger) -> Self {
        self.settings.logger = Some(logger);
        self
    }

    /// Default: `/docs`, `/redoc`, `/openapi.json`, `/favicon.ico`; this list takes their place. Requests
    /// below these paths get a context but no closing entry.
    ///
    /// Matched by whole segments: `/docs` covers `/docs` and `/docs/x`, not `/docs-private`; `*` stands for
    /// one segment. A path with dot segments, empty segments or percent-encoding is never matched.
    #[must_use]
    pub fn exclude<P: Into<String>>(mut self, paths: impl IntoIterator<Item = P>) -> Self {
        self.excluded = Some(paths.into_iter().map(Into::into).collect());
        self
    }

    /// Default: none. Networks (`10.0.0.0/8`) or addresses of reverse proxies that are believed when they say
    /// whom they speak for, in the header that [`proxy_header`](Self::proxy_header) names.
    #[must_use]
    pub fn trust_proxies<P: Into<String>>(mut self, networks: impl IntoIterator<Item = P>) -> Self {
        self.proxies = networks.into_iter().map(Into::into).collect();
        self
    }

    /// Default: [`ProxyHeader::XForwardedFor`]. The header that the trusted proxies write.
    #[must_use]
    pub fn proxy_header(mut self, header: ProxyHeader) -> Self {
        self.settings.proxy_header = header;
        self
    }

    /// Default: false. Whether a request leaves an entry when it arrives, too, so that a kill in its midst
    /// leaves a trace.
    #[must_use]
    pub fn start_record(mut self, start_record: bool) -> Self {
        self.settings.start_record = start_record;
        self
    }

    /// Default: [`EmitAt::End`]. When the closing entry is written.
    #[must_use]
    pub fn emit_at(mut self, emit_at: EmitAt) -> Self {
        self.settings.emit_at = emit_at;
        self
    }

    /// Default: [`OnFailure::Open`]. What happens to a request where the trail takes no entries.
    #[must_use]
    pub fn on_failure(mut self, on_failure: OnFailure) -> Self {
        self.settings.on_failure = on_failure;
        self
    }

    /// Default: false. Whether the head of a response is held until every entry recorded in the request's
    /// context is on disk; requests under way together share an fdatasync. Where the disk refuses the client
    /// gets 503.
    #[must_use]
    pub fn durable(mut self, durable: bool) -> Self {
        self.settings.durable = durable;
        self
    }

    /// Default: [`SessionIds::Hashed`]. What becomes of the id in `X-Session-ID`.
    #[must_use]
    pub fn session_ids(mut self, session_ids: SessionIds) -> Self {
        self.settings.session_ids = session_ids;
        self
    }

    /// Default: none. The header whose value becomes the company: a claim of the client, until an extractor
    /// checks it.
    #[must_use]
    pub fn company_header(mut self, name: impl Into<String>) -> Self {
        self.settings.company_header = Some(name.into());
        self
    }

    /// Default: none. The header whose value becomes the branch: a claim of the client, until an extractor
    /// checks it.
    #[must_use]
    pub fn branch_header(mut self, name: impl Into<String>) -> Self {
        self.settings.branch_header = Some(name.into());
        self
    }

    /// Default: true. Whether closing entries have the client's `User-Agent`, up to 256 bytes:
    /// `metadata.user_agent`.
    #[must_use]
    pub fn user_agent(mut self, user_agent: bool) -> Self {
        self.settings.user_agent = user_agent;
        self
    }

    /// Default: false. Whether closing entries have the `Referer`, up to 256 bytes, with secrets masked as in
    /// the endpoint: `metadata.referer`.
    #[must_use]
    pub fn referer(mut self, referer: bool) -> Self {
        self.settings.referer = referer;
        self
    }

    /// Default: [`QueryPolicy::Masked`]. What is recorded of a request's query.
    #[must_use]
    pub fn query(mut self, query: QueryPolicy) -> Self {
        self.settings.query = query;
        self
    }

    /// Default: [`EndpointPolicy::Path`]. What is recorded as the endpoint and named in the description.
    #[must_use]
    pub fn endpoint(mut self, endpoint: EndpointPolicy) -> Self {
        self.settings.endpoint = endpoint;
        self
    }

    /// Default: none. The request and response bodies that are recorded in closing entries, with secrets
    /// masked.
    #[must_use]
    pub fn capture_bodies(mut self, bodies: BodyCapture) -> Self {
        self.bodies = Some(bodies);
        self
    }

    /// Builds it.
    ///
    /// # Errors
    /// `is_invalid` for a path that does not begin with a slash, a network that is none, and a
    /// [`BodyCapture`] with a limit or a content type that cannot be.
    pub fn build(self) -> Result<T> {
        let mut settings = self.settings;
        if let Some(excluded) = &self.excluded {
            settings.excluded =
                excluded.iter().map(|path| PathPattern::parse(path)).collect::<Result<_>>()?;
        }
        settings.proxies =
            self.proxies.iter().map(|network| parse_network(network)).collect::<Result<_>>()?;
        settings.capture = self.bodies.map(BodyCapture::compile).transpose()?;
        Ok(T::from(HttpAudit(Arc::new(settings))))
    }
}

impl<T: From<HttpAudit>> Default for HttpAuditBuilder<T> {
    fn default() -> Self {
        Self::new()
    }
}

fn parse_network(text: &str) -> Result<IpNet> {
    text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)).map_err(|_| {
        Error::invalid(format!("trusted proxy {text:?} is neither an address nor a network like 10.0.0.0/8"))
    })
}
