//! How requests are audited: shared by every adapter, built once.

use std::marker::PhantomData;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use super::exclude::PathPattern;
use crate::error::{Error, Result};
use crate::logger::{AuditLogger, audit};

/// What documentation browsers and web browsers ask for by themselves.
const DEFAULT_EXCLUDED: [&str; 4] = ["/docs", "/redoc", "/openapi.json", "/favicon.ico"];

/// What becomes of the id in `X-Session-ID`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SessionIds {
    /// Its SHA-256, first 128 bits: equal sessions stay comparable, and nobody who reads the log can take one over.
    #[default]
    Hashed,
    /// As it came.
    Raw,
}

/// How requests are audited; cheap to clone.
#[derive(Debug, Clone)]
pub struct HttpAudit(Arc<Settings>);

#[derive(Debug, Clone)]
pub(super) struct Settings {
    logger: Option<AuditLogger>,
    pub(super) excluded: Vec<PathPattern>,
    pub(super) proxies: Vec<IpNet>,
    pub(super) session_ids: SessionIds,
    pub(super) company_header: Option<String>,
    pub(super) branch_header: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            logger: None,
            excluded: DEFAULT_EXCLUDED.iter().filter_map(|path| PathPattern::parse(path).ok()).collect(),
            proxies: Vec::new(),
            session_ids: SessionIds::default(),
            company_header: None,
            branch_header: None,
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
    builds: PhantomData<fn() -> T>,
}

impl<T: From<HttpAudit>> HttpAuditBuilder<T> {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self { settings: Settings::default(), excluded: None, proxies: Vec::new(), builds: PhantomData }
    }

    /// Default: the process-wide logger. Where entries go.
    #[must_use]
    pub fn logger(mut self, logger: AuditLogger) -> Self {
        self.settings.logger = Some(logger);
        self
    }

    /// Default: `/docs`, `/redoc`, `/openapi.json`, `/favicon.ico`; this list takes their place. Requests below these
    /// paths get a context but no closing entry.
    ///
    /// Matched by whole segments: `/docs` covers `/docs` and `/docs/x`, not `/docs-private`; `*` stands for one segment.
    /// A path with dot segments, empty segments or percent-encoding is never matched.
    #[must_use]
    pub fn exclude<P: Into<String>>(mut self, paths: impl IntoIterator<Item = P>) -> Self {
        self.excluded = Some(paths.into_iter().map(Into::into).collect());
        self
    }

    /// Default: none. Networks (`10.0.0.0/8`) or addresses of reverse proxies whose `X-Forwarded-For` is believed.
    #[must_use]
    pub fn trust_proxies<P: Into<String>>(mut self, networks: impl IntoIterator<Item = P>) -> Self {
        self.proxies = networks.into_iter().map(Into::into).collect();
        self
    }

    /// Default: [`SessionIds::Hashed`]. What becomes of the id in `X-Session-ID`.
    #[must_use]
    pub fn session_ids(mut self, session_ids: SessionIds) -> Self {
        self.settings.session_ids = session_ids;
        self
    }

    /// Default: none. The header whose value becomes the company: a claim of the client, until an extractor checks it.
    #[must_use]
    pub fn company_header(mut self, name: impl Into<String>) -> Self {
        self.settings.company_header = Some(name.into());
        self
    }

    /// Default: none. The header whose value becomes the branch: a claim of the client, until an extractor checks it.
    #[must_use]
    pub fn branch_header(mut self, name: impl Into<String>) -> Self {
        self.settings.branch_header = Some(name.into());
        self
    }

    /// Builds it.
    ///
    /// # Errors
    /// `is_invalid` for a path that does not begin with a slash and for a network that is none.
    pub fn build(self) -> Result<T> {
        let mut settings = self.settings;
        if let Some(excluded) = &self.excluded {
            settings.excluded =
                excluded.iter().map(|path| PathPattern::parse(path)).collect::<Result<_>>()?;
        }
        settings.proxies =
            self.proxies.iter().map(|network| parse_network(network)).collect::<Result<_>>()?;
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
