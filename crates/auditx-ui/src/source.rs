//! What a dashboard shows: the trail in a directory, or the family of trails below it.

use std::borrow::Cow;
use std::ops::ControlFlow;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use auditx_reader::{
    Answer, Cursor, Error, Field, Line, Lines, Moment, Order, Row, Search, Summary, VerifyOptions, find_line,
    find_trails, is_trail, latest_checkpoint, prove, recorded_signer, verify,
};
use auditx_tlog::{InclusionProof, VerifierKey};
use axum::http::StatusCode;
use serde::Serialize;

use crate::page::{Hit, Page, Part, Status, merged, micros};
use crate::position::Position;
use crate::problem::Problem;
use crate::selection::Ask;
use crate::viewer::Viewer;

/// How long a search for one answer may take. An answer that took longer says how far it came.
pub(crate) const TIME_LIMIT: Duration = Duration::from_secs(2);

/// Text of the entries of one answer. An answer that reaches it has fewer entries, and the next one
/// continues.
const MAX_TEXT: usize = 4 << 20;

/// The least text that is read of each trail.
const MIN_TEXT: usize = 256 << 10;

/// What a dashboard shows.
#[derive(Debug, Clone)]
pub struct Source(PathBuf);

/// As [`Source::directory`].
impl<P: AsRef<Path>> From<P> for Source {
    fn from(path: P) -> Self {
        Self::directory(path.as_ref())
    }
}

/// A trail of the source.
pub(crate) struct Member {
    /// Its path below the directory; empty if the directory itself is the trail.
    pub(crate) name: String,
    pub(crate) directory: PathBuf,
}

/// The proof of a line.
pub(crate) struct Proof {
    pub(crate) proof: InclusionProof,
    /// The key that the trail names and that signed the checkpoint; `None` if the trail names none.
    pub(crate) key: Option<VerifierKey>,
}

/// What a verification of all trails found.
pub(crate) struct Verified {
    /// What is wrong; `None` if every line is as it was signed.
    pub(crate) fault: Option<String>,
    pub(crate) signed: Signed,
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
        Self(path.into())
    }

    /// Returns all trails.
    pub(crate) fn members(&self) -> Result<Vec<Member>, Problem> {
        let only = || vec![Member { name: String::new(), directory: self.0.clone() }];
        // Reading a directory that cannot be listed reports why.
        let Ok(found) = find_trails(&self.0) else { return Ok(only()) };
        if found.is_trail || found.below.is_empty() {
            return Ok(only());
        }
        if let Some((place, error)) = found.unlisted {
            let place = place.display();
            let detail = format!("cannot list {place}, where a trail may be: {error}");
            return Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, detail));
        }
        let member = |path: PathBuf| Member {
            name: path.to_string_lossy().into_owned(),
            directory: self.0.join(path),
        };
        Ok(found.below.into_iter().map(member).collect())
    }

    /// Returns the trail with this name, or all if the name is empty.
    fn named(&self, name: &str) -> Result<Vec<Member>, Problem> {
        if name.is_empty() {
            return self.members();
        }
        let directory = self.0.join(name);
        let is_below = Path::new(name).components().all(|part| matches!(part, Component::Normal(_)));
        if !is_below || !is_trail(&directory).unwrap_or(false) {
            return Err(Problem::not_found(format!("there is no trail {name:?}")));
        }
        Ok(vec![Member { name: name.to_owned(), directory }])
    }

    /// Whether the trail with this name, or every trail if the name is empty, is one of a family.
    pub(crate) fn is_family(&self, name: &str) -> Result<bool, Problem> {
        Ok(self.named(name)?.iter().any(|member| !member.name.is_empty()))
    }

    /// Returns the trail with this name, or the only one.
    pub(crate) fn one(&self, name: &str) -> Result<Member, Problem> {
        let mut members = self.named(name)?;
        match members.pop() {
            Some(member) if members.is_empty() => Ok(member),
            _ => Err(Problem::bad_request("there are several trails: name one, with ?trail=NAME")),
        }
    }

    /// Searches until `limit` entries are found or [`TIME_LIMIT`] is over. Blocks the thread.
    pub(crate) fn page(&self, ask: &Ask, at: &Position, order: Order, limit: u64) -> Result<Page, Problem> {
        let members = self.named(&ask.trail)?;
        let mut parts = Vec::new();
        let max_text = (MAX_TEXT / members.len()).max(MIN_TEXT);
        for (member, time_limit) in with_time(&members) {
            let mut search = ask.search(member).order(order).limit(limit).time_limit(time_limit);
            if let Some(cursor) = at.of(&member.name) {
                search = search.after(cursor.clone());
            }
            parts.push(ask.part(member, &search, max_text)?);
        }
        Ok(merged(parts, at, order, usize::try_from(limit).unwrap_or(usize::MAX)))
    }

    /// Calls `visit` with each entry, the newest of each trail first, until [`TIME_LIMIT`] is over. Blocks the
    /// thread.
    pub(crate) fn scan(&self, ask: &Ask, mut visit: impl FnMut(&Row<'_>)) -> Result<Status, Problem> {
        let members = self.named(&ask.trail)?;
        let mut whole = None::<Status>;
        for (member, time_limit) in with_time(&members) {
            let search = ask.search(member).order(Order::NewestFirst).time_limit(time_limit);
            let summary = search.each(|found| {
                visit(found.row);
                ControlFlow::Continue(())
            })?;
            let status = ask.status(member, &summary).0;
            match &mut whole {
                None => whole = Some(status),
                Some(whole) => whole.add(status, Order::NewestFirst),
            }
        }
        Ok(whole.unwrap_or_default())
    }

    /// Returns the position after the last line of the trail with this name, or of each. Blocks the thread.
    pub(crate) fn end(&self, name: &str) -> Result<Position, Problem> {
        let mut end = Position::default();
        for member in self.named(name)? {
            let mut last = Cursor::Seq(0);
            Search::new(&member.directory).order(Order::NewestFirst).each(|found| match found.cursor() {
                pending if pending.is_pending() => ControlFlow::Continue(()),
                Cursor::Seq(seq) => {
                    last = Cursor::Seq(seq);
                    ControlFlow::Break(())
                }
                // Older than all lines with a number.
                Cursor::Byte { .. } => ControlFlow::Break(()),
            })?;
            end.set(&member.name, last);
        }
        Ok(end)
    }

    /// Returns the lines after this position that no longer exist, since their segments were retired. Blocks
    /// the thread.
    pub(crate) fn gaps(&self, name: &str, at: &Position) -> Result<Vec<Gap>, Problem> {
        let mut gaps = Vec::new();
        for member in self.named(name)? {
            let Some(Cursor::Seq(last)) = at.of(&member.name) else { continue };
            let mut numbered = Lines::all(&member.directory)?.flatten().filter_map(|line| line.seq());
            if let Some(oldest) = numbered.next().filter(|oldest| *oldest > last + 1) {
                gaps.push(Gap { trail: member.name, after: *last, next: oldest });
            }
        }
        Ok(gaps)
    }

    /// Verifies all trails. Blocks the thread.
    pub(crate) fn verify(&self) -> Result<Verified, Problem> {
        let (mut fault, mut signed) = (None, Vec::new());
        for member in self.members()? {
            let verification = verify(&member.directory, &VerifyOptions::new(), &mut |_, _| ())?;
            let found = match verification.fault {
                Some(fault) => Some(fault.to_string()),
                None if verification.answer == Answer::Broken => Some("the trail is damaged".to_owned()),
                None => None,
            };
            fault = fault.or_else(|| found.map(|found| member.labelled(&found).into_owned()));
            signed.push(verification.signed);
        }
        Ok(Verified { fault, signed: Signed::of(&signed) })
    }

    /// Returns how far the trails are signed, without verifying them. Blocks the thread.
    pub(crate) fn signed(&self) -> Result<Signed, Problem> {
        let mut signed = Vec::new();
        for member in self.members()? {
            signed.push(match latest_checkpoint(&member.directory) {
                Ok(checkpoint) => Some(checkpoint.size()),
                Err(error) if error.is_missing() => None,
                Err(error) => return Err(error.into()),
            });
        }
        Ok(Signed::of(&signed))
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
    /// Returns the line with this number, if it exists for this viewer. One that cannot be read, or differs
    /// from what was signed, is an error only for a viewer for whom every entry exists.
    pub(crate) fn line(&self, seq: u64, viewer: &Viewer) -> Result<Line, Problem> {
        let found = match find_line(&self.directory, seq) {
            Err(_) if viewer.is_scoped() => None,
            found => found?,
        };
        let line = found.filter(|line| line.row().is_ok_and(|row| viewer.scope().matches(&row)));
        line.ok_or_else(|| {
            Problem::not_found(format!("there is no entry {seq} in this trail, or not any more"))
        })
    }

    /// Returns the proof of a line, or why it has none.
    pub(crate) fn proof(&self, seq: u64) -> Result<Proof, Error> {
        let proof = prove(&self.directory, seq)?;
        // The proof is valid without it, and verification says what is wrong with the trail.
        let key = recorded_signer(&self.directory, proof.checkpoint()).ok().flatten();
        Ok(Proof { proof, key })
    }

    fn labelled<'m>(&self, message: &'m str) -> Cow<'m, str> {
        if self.name.is_empty() { message.into() } else { format!("{}: {message}", self.name).into() }
    }
}

impl Ask {
    /// The search of a trail, without order and limits.
    pub(crate) fn search(&self, member: &Member) -> Search {
        let search = Search::new(&member.directory).query(self.query.clone()).source(self.level);
        let mut search = search.threads(self.threads);
        if let Some(since) = self.since {
            search = search.since(since);
        }
        if let Some(until) = self.until {
            search = search.until(until);
        }
        search
    }

    fn part(&self, member: &Member, search: &Search, max_text: usize) -> Result<Part, Error> {
        let (mut hits, mut text): (Vec<Hit>, usize) = (Vec::new(), 0);
        let trail = Arc::<str>::from(&*member.name);
        let summary = search.each(|found| {
            let line = found.row.line().to_owned();
            text += line.len();
            let before = hits.last().map(|hit: &Hit| hit.time);
            let time = micros(found.row).or(before).unwrap_or_default();
            let (cursor, is_unsigned) = (found.cursor(), found.is_unsigned);
            hits.push(Hit { line, cursor, is_unsigned, trail: trail.clone(), time });
            if text < max_text { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        let is_cut = text >= max_text;
        let last = hits.last().filter(|_| is_cut);
        let (status, reached) = self.status(member, &summary);
        let bound = if is_cut { last.map(|hit| hit.time) } else { reached.map(Moment::micros) };
        let next = last.map(|hit| hit.cursor.clone()).or(summary.next);
        Ok(Part { trail, hits, next, bound, status })
    }

    /// Returns what a search says besides its entries, and the time that it reached if it ran out of time.
    fn status(&self, member: &Member, summary: &Summary) -> (Status, Option<Moment>) {
        let reached = self.reached(member, summary);
        let warnings = warnings(summary, &self.viewer);
        let errors = &summary.errors;
        let status = Status {
            is_damaged: summary.fault.is_some() || errors.segments() > 0 || errors.lines() > 0,
            is_out_of_time: summary.is_out_of_time,
            reached: reached.filter(|(_, exists)| *exists).map(|(moment, _)| moment),
            warnings: warnings.iter().map(|text| member.labelled(text).into_owned()).collect(),
            signed: summary.signed.filter(|_| !self.viewer.is_scoped()),
        };
        (status, reached.map(|(moment, _)| moment))
    }

    /// Returns the time to which a search came that ran out of time, and whether the line there exists for
    /// the viewer.
    fn reached(&self, member: &Member, summary: &Summary) -> Option<(Moment, bool)> {
        let Cursor::Seq(seq) = summary.next.as_ref().filter(|_| summary.is_out_of_time)? else { return None };
        let line = find_line(&member.directory, *seq).ok().flatten()?;
        let row = line.row().ok()?;
        Some((Moment::parse(&row.text(Field::Timestamp))?, self.viewer.scope().matches(&row)))
    }
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

/// Returns what makes the result of a search incomplete or wrong, if anything. A viewer for whom some entries
/// do not exist learns nothing about those.
pub(crate) fn warnings(summary: &Summary, viewer: &Viewer) -> Vec<String> {
    let errors = &summary.errors;
    if viewer.is_scoped() {
        let is_doubtful = summary.fault.is_some() || errors.segments() > 0 || errors.lines() > 0;
        let warning =
            "The trail is damaged, so entries may be missing or wrong: report this to its operator.";
        return is_doubtful.then(|| warning.to_owned()).into_iter().collect();
    }
    let mut warnings: Vec<String> = summary
        .fault
        .iter()
        .map(|fault| format!("The trail does not match what was signed, so entries may be wrong: {fault}."))
        .collect();
    if errors.lines() > 0 || errors.segments() > 0 {
        let first = errors.iter().next().map(Error::why).unwrap_or_default();
        let (lines, segments) = (errors.lines(), errors.segments());
        warnings
            .push(format!("{lines} lines and {segments} segments could not be read; the first: {first}."));
    }
    if summary.is_unsigned {
        warnings.push("There is no checkpoint: these lines are not signed.".to_owned());
    }
    warnings
}
