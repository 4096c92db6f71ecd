//! A dashboard: its settings, and what its requests share.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use auditx_core::{AuditAction, AuditLogger, BusinessModule, Error, LogLevel, Receipt};
use auditx_reader::Moment;
use axum::http::StatusCode;
use tokio::sync::Semaphore;

use crate::blocking;
use crate::follower::Follower;
use crate::forward_auth::ForwardAuth;
use crate::key::{Key, Keys};
use crate::position::Position;
use crate::problem::Problem;
use crate::saved::SavedQueries;
use crate::seal::Seal;
use crate::selection::Parameters;
use crate::source::{Signed, Source, Verified};
use crate::viewer::Viewer;

/// A dashboard, to be mounted in an axum application or served on its own.
///
/// By default each request needs a [`Viewer`] in its extensions: the application that mounts the dashboard
/// decides who may see it. [`Dashboard::key`] and [`Dashboard::everyone_is`] are for a dashboard of its own.
///
/// ```
/// use auditx_core::{AuditLogger, Config};
/// use auditx_ui::{Dashboard, Viewer};
/// use axum::Router;
/// use axum::extract::Request;
/// use axum::middleware::{Next, from_fn};
/// # let directory = tempfile::tempdir()?;
/// # let log_dir = directory.path();
///
/// let logger = AuditLogger::open(Config::new(log_dir))?;
/// let signed_in = from_fn(async |mut request: Request, next: Next| {
///     // What the application knows about its user.
///     request.extensions_mut().insert(Viewer::new("mya").role("auditor"));
///     next.run(request).await
/// });
/// let app: Router = Router::new().nest("/admin/audit", Dashboard::new(&logger)?.router().layer(signed_in));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Dashboard {
    source: Source,
    logger: Option<AuditLogger>,
    pub(crate) keys: Keys,
    pub(crate) everyone: Option<Viewer>,
    pub(crate) forward_auth: Option<ForwardAuth>,
    pub(crate) hosts: Vec<String>,
    pub(crate) saved: SavedQueries,
    seal: OnceLock<Result<Seal, getrandom::Error>>,
    checked: Mutex<Option<Checked>>,
    pub(crate) turn_to_check: tokio::sync::Mutex<()>,
    /// Reads that run at the same time, and downloads.
    pub(crate) reads: Arc<Semaphore>,
    pub(crate) exports: Arc<Semaphore>,
    pub(crate) follower: Follower,
    /// Searches of viewers who follow the trail: their number does not hold up pages.
    pub(crate) catch_ups: Arc<Semaphore>,
    /// Viewers who follow the trail at the same time.
    pub(crate) streams: Arc<Semaphore>,
}

/// Downloads that run at the same time; each holds a thread for as long as its client reads.
const MAX_EXPORTS: usize = 4;

/// Viewers who follow the trail at the same time; each holds a connection and a few hundred entries.
const MAX_STREAMS: usize = 200;

/// The number of characters of a query that are recorded.
const MAX_RECORDED: usize = 2_000;

/// The outcome of the last verification.
#[derive(Debug, Clone)]
pub(crate) struct Checked {
    pub(crate) began: Instant,
    pub(crate) at: Moment,
    /// As in [`Verified`].
    pub(crate) fault: Option<String>,
    pub(crate) signed: Signed,
}

impl Dashboard {
    /// Shows the trail of this logger, and records each read of it there. A read that cannot be recorded is
    /// refused, so the logger must not drop entries when the journal is full ([`auditx_core::OnFull::Drop`]).
    ///
    /// # Errors
    /// As [`AuditLogger::trail_dir`].
    pub fn new(logger: &AuditLogger) -> Result<Self, Error> {
        let source = Source::directory(logger.trail_dir()?);
        Ok(Self { logger: Some(logger.clone()), ..Self::unrecorded(source) })
    }

    /// Shows this instead of the logger's own trail, where reads are still recorded.
    #[must_use]
    pub fn source(mut self, source: impl Into<Source>) -> Self {
        self.source = source.into();
        self
    }

    /// Shows this without recording who reads it: for copies, and for trails that this process may not write.
    /// PCI DSS 10.2.1.3 asks for a record of each read.
    #[must_use]
    pub fn unrecorded(source: impl Into<Source>) -> Self {
        Self {
            source: source.into(),
            logger: None,
            keys: Keys::default(),
            everyone: None,
            forward_auth: None,
            hosts: Vec::new(),
            saved: SavedQueries::default(),
            seal: OnceLock::new(),
            checked: Mutex::new(None),
            turn_to_check: tokio::sync::Mutex::new(()),
            reads: blocking::new_limit(),
            exports: Arc::new(Semaphore::new(MAX_EXPORTS)),
            follower: Follower::default(),
            catch_ups: blocking::new_limit(),
            streams: Arc::new(Semaphore::new(MAX_STREAMS)),
        }
    }

    /// Admits clients that have this key as this viewer: a browser signs in with it, a program sends it as
    /// `Authorization: Bearer KEY`. May be called for several keys.
    #[must_use]
    pub fn key(mut self, key: Key, viewer: Viewer) -> Self {
        self.keys.add(key, viewer);
        self
    }

    /// Admits every request as this viewer. Only for a server that nobody else can reach.
    #[must_use]
    pub fn everyone_is(mut self, viewer: Viewer) -> Self {
        self.everyone = Some(viewer);
        self
    }

    /// Admits the viewers that a proxy in front has signed in. Requests that it does not name, or that do not
    /// come from it, need another way in.
    #[must_use]
    pub fn forward_auth(mut self, proxy: ForwardAuth) -> Self {
        self.forward_auth = Some(proxy);
        self
    }

    /// Refuses requests for other hosts, such as a foreign name that was made to resolve to this address (DNS
    /// rebinding). Names and addresses are without a port. The default accepts every host; set it unless the
    /// server in front of the dashboard does.
    #[must_use]
    pub fn hosts<H: Into<String>>(mut self, hosts: impl IntoIterator<Item = H>) -> Self {
        self.hosts = hosts.into_iter().map(|host| host.into().to_ascii_lowercase()).collect();
        self
    }

    /// Shows links to these searches on the page of the trail, to every viewer.
    #[must_use]
    pub fn saved(mut self, queries: SavedQueries) -> Self {
        self.saved = queries;
        self
    }

    /// The trail in which reads are recorded.
    pub(crate) fn own_directory(&self) -> Option<PathBuf> {
        Some(self.logger.as_ref()?.trail_dir().ok()?.to_path_buf())
    }

    pub(crate) fn shown(&self) -> &Source {
        &self.source
    }

    /// Returns a position as text of an address or an answer.
    pub(crate) fn text_of(&self, position: &Position, viewer: &Viewer) -> Result<String, Problem> {
        let text = position.to_string();
        if text.is_empty() || !viewer.is_scoped() {
            return Ok(text);
        }
        self.seal()?.close(&text).map_err(|error| no_random(&error))
    }

    /// Returns the position that a viewer sent.
    pub(crate) fn position(&self, text: &str, viewer: &Viewer) -> Result<Position, Problem> {
        if text.is_empty() || !viewer.is_scoped() {
            return text.parse();
        }
        let opened = self.seal()?.open(text);
        opened.ok_or_else(|| Problem::bad_request("this cursor is not valid any more: begin again"))?.parse()
    }

    fn seal(&self) -> Result<&Seal, Problem> {
        self.seal.get_or_init(Seal::new).as_ref().map_err(no_random)
    }

    /// Records that the viewer read the trail. Fails if that cannot be recorded; the read must then be
    /// refused. `None` if reads are not recorded.
    pub(crate) async fn record(&self, viewer: &Viewer, read: &Read<'_>) -> Result<Option<Receipt>, Problem> {
        let Some(logger) = &self.logger else { return Ok(None) };
        let Parameters { q, since, until, source, trail, .. } = read.parameters;
        let mut entry = logger
            .log(read.description)
            .level(LogLevel::Audit)
            .module(BusinessModule::other("audit"))
            .action(read.action.clone())
            .user(&*viewer.name)
            .user_role(&*viewer.role);
        if let Some(seq) = read.seq {
            entry = entry.entity("audit_entry", seq.to_string());
        }
        let found = read.found.map(|found| found.to_string()).unwrap_or_default();
        let q: String = q.chars().take(MAX_RECORDED).collect();
        let named = [
            ("query", q.as_str()),
            ("since", since),
            ("until", until),
            ("source", source),
            ("trail", trail),
            ("found", &found),
        ];
        for (name, value) in named.into_iter().filter(|(_, value)| !value.is_empty()) {
            entry = entry.metadata(name, value.to_owned());
        }
        entry.record_async().await.map(Some).map_err(unrecorded)
    }

    /// Records that somebody signed in, as `viewer`, or that a key was wrong.
    pub(crate) async fn record_sign_in(&self, viewer: Option<&Viewer>) -> Result<(), Problem> {
        let Some(logger) = &self.logger else { return Ok(()) };
        let entry = match viewer {
            Some(viewer) => logger.log_security("Signed in to the audit trail").user(&*viewer.name),
            None => logger.log_security("Wrong key for the audit trail").user("unknown").success(false),
        };
        entry.action(AuditAction::Login).record_async().await.map(drop).map_err(unrecorded)
    }

    /// Verifies all trails and remembers the outcome. Blocks the thread.
    pub(crate) fn check(&self) -> Result<(), Problem> {
        let began = Instant::now();
        let Verified { fault, signed } = self.source.verify()?;
        *self.last_check() = Some(Checked { began, at: Moment::now(), fault, signed });
        Ok(())
    }

    pub(crate) fn last_check(&self) -> MutexGuard<'_, Option<Checked>> {
        self.checked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn no_random(error: &getrandom::Error) -> Problem {
    let detail = format!("the system has no random numbers: {error}");
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, detail)
}

/// The answer if the record of a request cannot be written.
pub(crate) fn unrecorded(error: Error) -> Problem {
    let detail = format!("this cannot be recorded, so it is refused: {error}");
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail)
}

/// A read of the trail, as it is recorded.
pub(crate) struct Read<'r> {
    pub(crate) description: &'r str,
    pub(crate) action: AuditAction,
    pub(crate) parameters: &'r Parameters,
    /// The line that was read, if it was a single one.
    pub(crate) seq: Option<u64>,
    /// The number of entries that were shown or counted.
    pub(crate) found: Option<u64>,
}

impl<'r> Read<'r> {
    /// A read of what a search finds, whose number is not known yet.
    pub(crate) fn begun(description: &'r str, action: AuditAction, parameters: &'r Parameters) -> Self {
        Self { description, action, parameters, seq: None, found: None }
    }

    /// A search that showed or counted this many entries.
    pub(crate) fn search(description: &'r str, parameters: &'r Parameters, found: u64) -> Self {
        Self { description, action: AuditAction::Read, parameters, seq: None, found: Some(found) }
    }
}
