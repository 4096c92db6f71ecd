//! What a dashboard shows: the trail in a directory, the family of trails below it, or their copies in a
//! database. All operations block the thread.

mod collected;
mod directory;
#[cfg(feature = "postgres")]
mod database;

use std::path::{Path, PathBuf};
#[cfg(feature = "postgres")]
use std::sync::Arc;
use std::time::{Duration, Instant};

use auditx_reader::{Cursor, Order, Row};
use auditx_tlog::{InclusionProof, VerifierKey};
use axum::http::StatusCode;
use serde::Serialize;

use crate::page::{Page, Part, Status, merged};
use crate::position::Position;
use crate::problem::Problem;
use crate::selection::Ask;
use crate::viewer::Viewer;

use collected::Collected;
pub(crate) use directory::warnings;

/// How long a search for one answer may take. An answer that took longer says how far it came.
pub(crate) const TIME_LIMIT: Duration = Duration::from_secs(2);

/// The text of the entries of one answer, in bytes. An answer that reaches it has fewer entries, and the next
/// one continues.
const MAX_TEXT: usize = 4 << 20;

/// The smallest part of [`MAX_TEXT`] that each trail gets, in bytes.
const MIN_TEXT: usize = 256 << 10;

/// The only warning about damage for a viewer for whom some entries do not exist.
const DAMAGED: &str =
    "The trail is damaged, so entries may be missing or wrong: report this to its operator.";

/// What a dashboard shows.
#[derive(Debug, Clone)]
pub struct Source(Kind);

#[derive(Debug, Clone)]
enum Kind {
    Directory(PathBuf),
    #[cfg(feature = "postgres")]
    Database(Arc<database::Database>),
}

/// As [`Source::directory`].
impl<P: AsRef<Path>> From<P> for Source {
    fn from(path: P) -> Self {
        Self::directory(path.as_ref())
    }
}

/// A trail of the source.
pub(crate) struct Member {
    /// Its name in addresses; empty if it is the only one.
    pub(crate) name: String,
    trail: Trail,
}

enum Trail {
    Directory(directory::Trail),
    #[cfg(feature = "postgres")]
    Database(database::Trail),
}

/// The part of a trail that is searched.
struct Span<'s> {
    after: Option<&'s Cursor>,
    order: Order,
    limit: u64,
    time_limit: Duration,
}

/// The proof of a line.
pub(crate) struct Proof {
    pub(crate) proof: InclusionProof,
    /// The key that the trail names and that signed the checkpoint; `None` if the trail names none.
    pub(crate) key: Option<VerifierKey>,
}

/// Lines between two others that no longer exist.
#[derive(Debug, Serialize)]
pub(crate) struct Gap {
    /// The name of the trail; empty if there is only one.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) trail: String,
    pub(crate) after: u64,
    pub(crate) next: u64,
}

/// What a verification of one trail found.
struct Verdict {
    fault: Option<String>,
    signed: Option<u64>,
}

/// What a verification of all trails found.
pub(crate) struct Verified {
    /// What is wrong; `None` if every line is as it was signed.
    pub(crate) fault: Option<String>,
    pub(crate) signed: Signed,
}

/// How far trails are signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signed {
    /// Some trail has no checkpoint.
    Not,
    /// Up to this line, of a single trail.
    To(u64),
    /// All trails of a family.
    Each,
}

impl Source {
    /// The trail in a directory; or if it has none, all trails up to three directories below it together,
    /// which are looked for with each request.
    #[must_use]
    pub fn directory(path: impl Into<PathBuf>) -> Self {
        Self(Kind::Directory(path.into()))
    }

    /// The copies of trails in a database, all of them together. The address is that of
    /// `auditx_postgres::Postgres::new`, for a user with the role `auditx_read`. Connections are opened when
    /// they are needed; if that fails, or the address is invalid, requests are answered with 503 and the
    /// reason.
    #[cfg(feature = "postgres")]
    #[must_use]
    pub fn postgres(url: impl Into<String>) -> Self {
        Self(Kind::Database(Arc::new(database::Database::new(url.into()))))
    }

    /// Whether the files of the trails are there, which evidence bundles and the live view need.
    pub(crate) fn has_files(&self) -> bool {
        matches!(self.0, Kind::Directory(_))
    }

    /// Returns all trails.
    pub(crate) fn members(&self) -> Result<Vec<Member>, Problem> {
        Ok(match &self.0 {
            Kind::Directory(path) => {
                let member = |(name, trail)| Member { name, trail: Trail::Directory(trail) };
                directory::members(path)?.into_iter().map(member).collect()
            }
            #[cfg(feature = "postgres")]
            Kind::Database(database) => {
                let member = |(name, trail)| Member { name, trail: Trail::Database(trail) };
                database.members()?.into_iter().map(member).collect()
            }
        })
    }

    /// Returns the trail with this name, or all if the name is empty. A viewer for whom some entries do not
    /// exist cannot tell which trails exist: for them, an unknown trail is one without entries.
    fn named(&self, name: &str, viewer: &Viewer) -> Result<Vec<Member>, Problem> {
        if name.is_empty() {
            return self.members();
        }
        let found = match &self.0 {
            Kind::Directory(path) => directory::named(path, name)?.map(Trail::Directory),
            #[cfg(feature = "postgres")]
            Kind::Database(database) => database.named(name)?.map(Trail::Database),
        };
        match found {
            Some(trail) => Ok(vec![Member { name: name.to_owned(), trail }]),
            None if viewer.is_scoped() => Ok(Vec::new()),
            None => Err(Problem::not_found(format!("there is no trail {name:?}"))),
        }
    }

    /// Whether the trail with this name, or every trail if the name is empty, is one of a family.
    pub(crate) fn is_family(&self, name: &str, viewer: &Viewer) -> Result<bool, Problem> {
        Ok(self.named(name, viewer)?.iter().any(|member| !member.name.is_empty()))
    }

    /// Returns the trail with this name, or the only one.
    pub(crate) fn one(&self, name: &str, viewer: &Viewer) -> Result<Member, Problem> {
        let mut members = self.named(name, viewer)?;
        match members.pop() {
            Some(member) if members.is_empty() => Ok(member),
            Some(_) => Err(Problem::bad_request("there are several trails: name one, with ?trail=NAME")),
            None => Err(no_entry()),
        }
    }

    /// Searches until `limit` entries are found or [`TIME_LIMIT`] is over.
    pub(crate) fn page(&self, ask: &Ask, at: &Position, order: Order, limit: u64) -> Result<Page, Problem> {
        let members = self.named(&ask.trail, &ask.viewer)?;
        let mut parts = Vec::new();
        let max_text = (MAX_TEXT / members.len().max(1)).max(MIN_TEXT);
        for (member, time_limit) in with_time(&members) {
            let span = Span { after: at.of(&member.name), order, limit, time_limit };
            parts.push(member.part(ask, &span, max_text)?);
        }
        Ok(merged(parts, at, order, usize::try_from(limit).unwrap_or(usize::MAX)))
    }

    /// Calls `visit` with each entry, the newest of each trail first, until [`TIME_LIMIT`] is over.
    pub(crate) fn scan(&self, ask: &Ask, mut visit: impl FnMut(&Row<'_>)) -> Result<Status, Problem> {
        let (members, order) = (self.named(&ask.trail, &ask.viewer)?, Order::NewestFirst);
        let mut whole = None::<Status>;
        for (member, time_limit) in with_time(&members) {
            let span = Span { after: None, order, limit: u64::MAX, time_limit };
            let status = member.scan(ask, &span, &mut visit)?;
            match &mut whole {
                None => whole = Some(status),
                Some(whole) => whole.add(status, order),
            }
        }
        Ok(whole.unwrap_or_default())
    }

    /// Returns the position after the last line of the trail with this name, or of each.
    pub(crate) fn end(&self, name: &str, viewer: &Viewer) -> Result<Position, Problem> {
        let mut end = Position::default();
        for member in self.named(name, viewer)? {
            end.set(&member.name, member.end()?);
        }
        Ok(end)
    }

    /// Returns the lines after this position that no longer exist, since their segments were retired. If a
    /// trail ends before the position, it was replaced: the position becomes its end.
    pub(crate) fn gaps(&self, ask: &Ask, at: &mut Position) -> Result<Vec<Gap>, Problem> {
        let mut gaps = Vec::new();
        for member in self.named(&ask.trail, &ask.viewer)? {
            let Some(Cursor::Seq(last)) = at.of(&member.name).cloned() else { continue };
            if let Cursor::Seq(end) = member.end()?
                && end < last
            {
                at.set(&member.name, Cursor::Seq(end));
                gaps.push(Gap { trail: member.name, after: last, next: end.saturating_add(1) });
                continue;
            }
            if let Some(oldest) = member.oldest()?.filter(|oldest| *oldest > last.saturating_add(1)) {
                gaps.push(Gap { trail: member.name, after: last, next: oldest });
            }
        }
        Ok(gaps)
    }

    /// Verifies all trails.
    pub(crate) fn verify(&self) -> Result<Verified, Problem> {
        let (mut fault, mut signed) = (None, Vec::new());
        for member in self.members()? {
            let verdict = member.verify()?;
            fault = fault.or_else(|| verdict.fault.map(|found| member.labelled(found)));
            signed.push(verdict.signed);
        }
        Ok(Verified { fault, signed: Signed::of(&signed) })
    }

    /// Returns the names of the trails of a family, and how far the trails are signed, without verifying
    /// them.
    pub(crate) fn names_and_signed(&self) -> Result<(Vec<String>, Signed), Problem> {
        let members = self.members()?;
        let signed = members.iter().map(Member::signed).collect::<Result<Vec<_>, _>>()?;
        let names = members.into_iter().map(|member| member.name).filter(|name| !name.is_empty());
        Ok((names.collect(), Signed::of(&signed)))
    }
}

impl Signed {
    fn of(signed: &[Option<u64>]) -> Self {
        match signed {
            [Some(signed)] => Self::To(*signed),
            all if all.iter().all(Option::is_some) && !all.is_empty() => Self::Each,
            _ => Self::Not,
        }
    }
}

impl Member {
    /// Returns the line with this number, if it exists for this viewer.
    pub(crate) fn line(&self, seq: u64, viewer: &Viewer) -> Result<String, Problem> {
        let line = match &self.trail {
            Trail::Directory(trail) => trail.line(seq, viewer),
            #[cfg(feature = "postgres")]
            Trail::Database(trail) => trail.line(seq, viewer),
        };
        line?.ok_or_else(no_entry)
    }

    /// Returns the directory of the trail. A copy has none, and cannot be used where one is needed.
    pub(crate) fn directory(&self) -> Result<&Path, Problem> {
        match &self.trail {
            Trail::Directory(trail) => Ok(trail.path()),
            #[cfg(feature = "postgres")]
            Trail::Database(_) => Err(database::no_directory()),
        }
    }

    /// Returns the proof of a line, or why it has none.
    pub(crate) fn proof(&self, seq: u64, viewer: &Viewer) -> Result<Proof, Problem> {
        let proof = match &self.trail {
            Trail::Directory(trail) => trail.proof(seq),
            #[cfg(feature = "postgres")]
            Trail::Database(trail) => trail.proof(seq),
        };
        // The reason names other lines.
        proof.map_err(|problem| match problem.status() {
            StatusCode::NOT_FOUND if viewer.is_scoped() => Problem::not_found("this entry is not signed yet"),
            _ => problem,
        })
    }

    /// Returns the cursor of the last line.
    fn end(&self) -> Result<Cursor, Problem> {
        match &self.trail {
            Trail::Directory(trail) => trail.end(),
            #[cfg(feature = "postgres")]
            Trail::Database(trail) => Ok(trail.end()),
        }
    }

    /// Returns the number of the oldest line.
    fn oldest(&self) -> Result<Option<u64>, Problem> {
        match &self.trail {
            Trail::Directory(trail) => trail.oldest(),
            #[cfg(feature = "postgres")]
            Trail::Database(trail) => Ok(Some(trail.oldest())),
        }
    }

    fn part(&self, ask: &Ask, span: &Span<'_>, max_text: usize) -> Result<Part, Problem> {
        let found = Collected::new(&self.name, max_text);
        let mut part = match &self.trail {
            Trail::Directory(trail) => trail.part(ask, span, found)?,
            #[cfg(feature = "postgres")]
            Trail::Database(trail) => trail.part(ask, span, found)?,
        };
        self.label(&mut part.status, &ask.viewer);
        Ok(part)
    }

    fn scan(&self, ask: &Ask, span: &Span<'_>, visit: &mut dyn FnMut(&Row<'_>)) -> Result<Status, Problem> {
        let mut status = match &self.trail {
            Trail::Directory(trail) => trail.scan(ask, span, visit)?,
            #[cfg(feature = "postgres")]
            Trail::Database(trail) => trail.scan(ask, span, visit)?,
        };
        self.label(&mut status, &ask.viewer);
        Ok(status)
    }

    fn verify(&self) -> Result<Verdict, Problem> {
        match &self.trail {
            Trail::Directory(trail) => trail.verify(),
            #[cfg(feature = "postgres")]
            Trail::Database(trail) => trail.verify(),
        }
    }

    /// Returns the number of lines that are signed; `None` without a checkpoint.
    fn signed(&self) -> Result<Option<u64>, Problem> {
        match &self.trail {
            Trail::Directory(trail) => trail.signed(),
            #[cfg(feature = "postgres")]
            Trail::Database(trail) => Ok(trail.signed()),
        }
    }

    fn label(&self, status: &mut Status, viewer: &Viewer) {
        if viewer.is_scoped() {
            return;
        }
        let warnings = std::mem::take(&mut status.warnings);
        status.warnings = warnings.into_iter().map(|text| self.labelled(text)).collect();
    }

    fn labelled(&self, message: String) -> String {
        if self.name.is_empty() { message } else { format!("{}: {message}", self.name) }
    }
}

fn no_entry() -> Problem {
    Problem::not_found("there is no such entry in this trail, or not any more")
}

/// Each trail with its part of the time that is left.
fn with_time(members: &[Member]) -> impl Iterator<Item = (&Member, Duration)> {
    let deadline = Instant::now() + TIME_LIMIT;
    members.iter().enumerate().map(move |(index, member)| {
        let left = deadline.saturating_duration_since(Instant::now());
        let parts = u32::try_from(members.len() - index).unwrap_or(u32::MAX);
        (member, left / parts)
    })
}
