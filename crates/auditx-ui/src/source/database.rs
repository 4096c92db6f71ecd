//! The copies of trails in a PostgreSQL database.

use std::fmt;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use auditx_postgres::{PostgresCopy, ProofOutcome, TrailHead, TrailSearch, TrailSummary};
use auditx_reader::{Cursor, Moment, Row};
use auditx_ship::{ShippedLine, StoredCopy, StoredTrail, TrailId, restore};
use auditx_tlog::leaf_of;
use axum::http::StatusCode;
use tokio::runtime::Handle;
use tokio::time::timeout;

use super::collected::Collected;
use super::{Proof, Span, Verdict, directory};
use crate::page::{Part, Status};
use crate::problem::Problem;
use crate::selection::Ask;
use crate::viewer::Viewer;

/// How long one operation may take, including opening a connection: longer than a search, whose statements
/// the server ends itself.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long a proof may take, and one answer of the database while a copy is verified.
const FETCH_PATIENCE: Duration = Duration::from_secs(30);

/// Connections that are kept for later requests. More are opened when they are needed.
const MAX_IDLE: usize = 8;

/// Seconds after which a client may try again.
const RETRY_AFTER: u64 = 5;

/// Digits of a trail's id in its name.
const SHORT_ID: usize = 8;

/// A database, with connections that wait for the next request.
pub(super) struct Database {
    url: String,
    idle: Mutex<Vec<PostgresCopy>>,
}

/// The copy of a trail, with what was in the database when the request began.
pub(super) struct Trail {
    database: Arc<Database>,
    head: TrailHead,
}

/// The address may hold a password.
impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database").finish_non_exhaustive()
    }
}

impl Database {
    pub(super) fn new(url: String) -> Self {
        Self { url, idle: Mutex::default() }
    }

    /// Returns the names of all trails with the trails. The name is empty if there is only one.
    pub(super) fn members(self: &Arc<Self>) -> Result<Vec<(String, Trail)>, Problem> {
        let heads = self.run(async |copy| copy.heads().await)?;
        let names = if heads.len() > 1 { names(&heads) } else { vec![String::new()] };
        let trail = |head| Trail { database: self.clone(), head };
        Ok(names.into_iter().zip(heads.into_iter().map(trail)).collect())
    }

    /// Returns the trail with this name or id, if there is one.
    pub(super) fn named(self: &Arc<Self>, name: &str) -> Result<Option<Trail>, Problem> {
        let heads = self.run(async |copy| copy.heads().await)?;
        let mut named = names(&heads).into_iter().zip(heads);
        let found = named.find(|(short, head)| short == name || head.trail.to_string() == name);
        Ok(found.map(|(_, head)| Trail { database: self.clone(), head }))
    }

    /// Runs `work` with a connection. One on which something failed is closed: the request may still be in
    /// progress there.
    fn run<T>(
        &self,
        work: impl AsyncFnOnce(&mut PostgresCopy) -> auditx_postgres::Result<T>,
    ) -> Result<T, Problem> {
        self.run_within(PATIENCE, work)
    }

    fn run_within<T>(
        &self,
        patience: Duration,
        work: impl AsyncFnOnce(&mut PostgresCopy) -> auditx_postgres::Result<T>,
    ) -> Result<T, Problem> {
        let idle = self.idle().pop().filter(|copy| !copy.is_closed());
        let done = async {
            let mut copy = match idle {
                Some(copy) => copy,
                None => PostgresCopy::open(&self.url).await?,
            };
            let value = work(&mut copy).await?;
            Ok((copy, value))
        };
        // Creating the timeout needs the runtime too.
        let (copy, value) = runtime()?
            .block_on(async { timeout(patience, done).await })
            .map_err(|_| unavailable(&format!("no answer within {patience:?}")))?
            .map_err(|error: auditx_postgres::Error| unavailable(&error))?;
        let mut idle = self.idle();
        if idle.len() < MAX_IDLE {
            idle.push(copy);
        }
        Ok(value)
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<PostgresCopy>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The names of trails: the name of their log and the beginning of their id, or all of the id if that is not
/// unique.
fn names(heads: &[TrailHead]) -> Vec<String> {
    let name = |head: &TrailHead, digits: usize| {
        let id = head.trail.to_string();
        let origin = head.origin.strip_suffix(&format!("/auditx/{id}")).unwrap_or(&head.origin);
        format!("{origin}/{}", id.get(..digits).unwrap_or(&id))
    };
    let short: Vec<String> = heads.iter().map(|head| name(head, SHORT_ID)).collect();
    let unique = |(head, short_name): (&TrailHead, &String)| {
        let count = short.iter().filter(|other| *other == short_name).count();
        if count == 1 { short_name.clone() } else { name(head, usize::MAX) }
    };
    heads.iter().zip(&short).map(unique).collect()
}

/// Returns the runtime of the requests; called on one of its threads that may be blocked.
fn runtime() -> Result<Handle, Problem> {
    Handle::try_current().map_err(|error| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))
}

fn unavailable(error: &dyn fmt::Display) -> Problem {
    let detail = format!(
        "the database copy cannot be read: {error}. Check that the server runs, and that the user of the \
         dashboard has the role auditx_read; then try again"
    );
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).retry_after(RETRY_AFTER)
}

/// The answer where the files of a trail are needed.
pub(super) fn no_directory() -> Problem {
    Problem::not_found(
        "a copy in a database has no evidence bundles and no live view: use the trail itself for them",
    )
}

impl Trail {
    pub(super) fn part(&self, ask: &Ask, span: &Span<'_>, mut found: Collected) -> Result<Part, Problem> {
        let signed = self.signed().unwrap_or(0);
        let summary = self.search(ask, span, |seq, row| found.add(row, Cursor::Seq(seq), seq >= signed))?;
        let (status, reached) = self.status(ask, &summary)?;
        Ok(found.part(summary.next.map(Cursor::Seq), reached.map(Moment::micros), status))
    }

    pub(super) fn scan(
        &self,
        ask: &Ask,
        span: &Span<'_>,
        visit: &mut dyn FnMut(&Row<'_>),
    ) -> Result<Status, Problem> {
        let summary = self.search(ask, span, |_, row| {
            visit(row);
            ControlFlow::Continue(())
        })?;
        Ok(self.status(ask, &summary)?.0)
    }

    /// Restores the copy in a temporary directory and verifies that.
    pub(super) fn verify(&self) -> Result<Verdict, Problem> {
        let failed = |error: &dyn fmt::Display| {
            let detail = format!("the database copy cannot be verified: {error}");
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).retry_after(RETRY_AFTER)
        };
        let directory = tempfile::tempdir().map_err(|error| failed(&error))?;
        runtime()?
            .block_on(async {
                let opened = timeout(FETCH_PATIENCE, PostgresCopy::open(&self.database.url)).await;
                let mut copy = Patient(opened.map_err(too_slow)?.map_err(auditx_ship::Error::new)?);
                let trails = copy.trails().await?;
                let stored = trails.iter().find(|stored| stored.trail == self.head.trail);
                let stored =
                    stored.ok_or_else(|| auditx_ship::Error::new("the trail is not there any more"))?;
                restore(&mut copy, stored, directory.path(), |_, _| ()).await
            })
            .map_err(|error| failed(&error))?;
        directory::verdict(directory.path())
    }

    pub(super) fn signed(&self) -> Option<u64> {
        self.head.checkpoint.as_ref().map(auditx_tlog::SignedCheckpoint::size)
    }

    /// Returns the line with this number, if it exists for this viewer. One that is no entry, or differs from
    /// what was shipped, is an error only for a viewer for whom every entry exists.
    pub(super) fn line(&self, seq: u64, viewer: &Viewer) -> Result<Option<String>, Problem> {
        let trail = self.head.trail;
        let Some(stored) = self.database.run(async |copy| copy.line(trail, seq).await)? else {
            return Ok(None);
        };
        let leaf = leaf_of(stored.line.as_bytes());
        let is_as_shipped = leaf.is_some_and(|leaf| (leaf.seq, leaf.hash) == (seq, stored.leaf_hash));
        if !is_as_shipped && !viewer.is_scoped() {
            let detail = format!("line {seq} of the copy differs from the hash that was stored with it");
            return Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, detail));
        }
        let exists = Row::read_text(&stored.line).is_ok_and(|row| viewer.scope().matches(&row));
        Ok(Some(stored.line).filter(|_| is_as_shipped && exists))
    }

    pub(super) fn proof(&self, seq: u64) -> Result<Proof, Problem> {
        let work = async |copy: &mut PostgresCopy| copy.prove(&self.head, seq).await;
        let (status, reason) = match self.database.run_within(FETCH_PATIENCE, work)? {
            ProofOutcome::Proved(proof) => return Ok(Proof { proof, key: None }),
            ProofOutcome::Unsigned => (StatusCode::NOT_FOUND, "no checkpoint of the copy covers it yet"),
            ProofOutcome::Incomplete => {
                (StatusCode::NOT_FOUND, "the copy does not have all lines that it needs")
            }
            _ => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "it, or a line near it, differs from what was signed: verify the copy",
            ),
        };
        Err(Problem::new(status, format!("line {seq} cannot be proved: {reason}")))
    }

    /// Returns the cursor of the last line.
    pub(super) fn end(&self) -> Cursor {
        Cursor::Seq(self.head.next.saturating_sub(1))
    }

    /// Returns the number of the first line.
    pub(super) fn oldest(&self) -> u64 {
        self.head.first
    }

    fn search(
        &self,
        ask: &Ask,
        span: &Span<'_>,
        mut visit: impl FnMut(u64, &Row<'_>) -> ControlFlow<()>,
    ) -> Result<TrailSummary, Problem> {
        let search = TrailSearch::new(&self.head, ask.whole_query()).order(span.order);
        let mut search = search.limit(span.limit).time_limit(span.time_limit);
        match span.after {
            Some(Cursor::Seq(seq)) => search = search.after(*seq),
            Some(other) => {
                return Err(Problem::bad_request(format!(
                    "no line of a database copy has the cursor {other}"
                )));
            }
            None => {}
        }
        let work = async |copy: &mut PostgresCopy| {
            copy.search_trail(&search, |found| visit(found.seq, found.row)).await
        };
        self.database.run(work)
    }

    /// Returns what a search says besides its entries, and the time that it reached if it ran out of time.
    fn status(&self, ask: &Ask, summary: &TrailSummary) -> Result<(Status, Option<Moment>), Problem> {
        let reached = match summary.next.filter(|_| summary.is_out_of_time) {
            Some(seq) => self.reached(ask, seq)?,
            None => None,
        };
        let is_scoped = ask.viewer.is_scoped();
        let status = Status {
            is_out_of_time: summary.is_out_of_time,
            reached: reached.filter(|(_, exists)| *exists).map(|(moment, _)| moment),
            warnings: warnings(summary, is_scoped),
            is_damaged: summary.unreadable > 0 || summary.changed.is_some(),
            signed: self.signed().filter(|_| !is_scoped),
        };
        Ok((status, reached.map(|(moment, _)| moment)))
    }

    /// Returns the time of a line, and whether the line exists for the viewer.
    fn reached(&self, ask: &Ask, seq: u64) -> Result<Option<(Moment, bool)>, Problem> {
        let trail = self.head.trail;
        let stored = self.database.run(async |copy| copy.line(trail, seq).await)?;
        let time = |stored: &ShippedLine| {
            let row = Row::read_text(&stored.line).ok()?;
            Some((row.moment()?, ask.viewer.scope().matches(&row)))
        };
        Ok(stored.as_ref().and_then(time))
    }
}

/// Returns what makes the result of a search incomplete or wrong, if anything.
fn warnings(summary: &TrailSummary, is_scoped: bool) -> Vec<String> {
    let changed = summary.changed.map(|seq| {
        format!(
            "Line {seq} of the copy differs from the hash that was stored with it, so entries may be wrong."
        )
    });
    let unreadable = match summary.unreadable {
        0 => None,
        1 => Some("1 line of the copy is not an entry.".to_owned()),
        count => Some(format!("{count} lines of the copy are not entries.")),
    };
    let warnings: Vec<String> = changed.into_iter().chain(unreadable).collect();
    if is_scoped && !warnings.is_empty() { vec![super::DAMAGED.to_owned()] } else { warnings }
}

/// A copy whose database must not be silent for long: a connection to a machine that is gone would otherwise
/// wait for ever.
struct Patient(PostgresCopy);

impl StoredCopy for Patient {
    async fn trails(&mut self) -> auditx_ship::Result<Vec<StoredTrail>> {
        timeout(FETCH_PATIENCE, self.0.trails()).await.map_err(too_slow)?
    }

    async fn lines(&mut self, trail: TrailId, from: u64) -> auditx_ship::Result<Vec<ShippedLine>> {
        timeout(FETCH_PATIENCE, self.0.lines(trail, from)).await.map_err(too_slow)?
    }
}

fn too_slow(_: tokio::time::error::Elapsed) -> auditx_ship::Error {
    auditx_ship::Error::new(format!("no answer within {FETCH_PATIENCE:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_but_unique() {
        let head = |origin: &str, id: [u8; 16]| TrailHead {
            trail: TrailId(id),
            origin: format!("{origin}/auditx/{}", TrailId(id)),
            first: 0,
            next: 1,
            checkpoint: None,
        };
        let mut other = [0xab; 16];
        assert_eq!(names(&[head("erp", other), head("erp", [1; 16])]), ["erp/abababab", "erp/01010101"]);
        other[15] = 7;
        let names = names(&[head("erp", [0xab; 16]), head("erp", other), head("web", other)]);
        assert_eq!(names[2], "web/abababab");
        assert_eq!(names[0], format!("erp/{}", TrailId([0xab; 16])));
        assert_ne!(names[0], names[1]);
    }
}
