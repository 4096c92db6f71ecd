//! The trails in a directory.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use auditx_core::store::sealed_segments;
use auditx_reader::{
    Answer, Cursor, Error, Lines, Moment, Order, Row, Search, Summary, VerifyOptions, find_line, find_trails,
    latest_checkpoint, prove, recorded_signer, verify,
};
use axum::http::StatusCode;

use super::collected::Collected;
use super::{Proof, Span, Verdict};
use crate::page::{Part, Status};
use crate::problem::Problem;
use crate::selection::Ask;
use crate::viewer::Viewer;

/// A trail by its directory.
pub(super) struct Trail(PathBuf);

/// Returns the names of all trails with the trails. The name is the path below the directory; it is empty if
/// the directory itself is the trail.
pub(super) fn members(directory: &Path) -> Result<Vec<(String, Trail)>, Problem> {
    let only = || vec![(String::new(), Trail(directory.to_owned()))];
    // Reading a directory that cannot be listed reports why.
    let Ok(found) = find_trails(directory) else { return Ok(only()) };
    if found.is_trail || found.below.is_empty() {
        return Ok(only());
    }
    if let Some((place, error)) = found.unlisted {
        let place = place.display();
        let detail = format!("cannot list {place}, where a trail may be: {error}");
        return Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, detail));
    }
    let member = |path: PathBuf| (path.to_string_lossy().into_owned(), Trail(directory.join(path)));
    Ok(found.below.into_iter().map(member).collect())
}

/// Returns the trail with this name, if it is one of the [`members`].
pub(super) fn named(directory: &Path, name: &str) -> Result<Option<Trail>, Problem> {
    let mut members = members(directory)?.into_iter();
    Ok(members.find(|(known, _)| known == name).map(|(_, trail)| trail))
}

impl Trail {
    pub(super) fn part(&self, ask: &Ask, span: &Span<'_>, mut found: Collected) -> Result<Part, Problem> {
        let mut search = ask.search(&self.0).order(span.order).limit(span.limit).time_limit(span.time_limit);
        if let Some(cursor) = span.after {
            search = search.after(cursor.clone());
        }
        let summary = search.each(|entry| {
            let cursor = entry.cursor();
            // A pending entry has no position after which an answer could continue. It is found once it has a
            // number.
            if cursor.is_pending() && span.order == Order::OldestFirst {
                return ControlFlow::Break(());
            }
            found.add(entry.row, cursor, entry.is_unsigned)
        })?;
        let (status, reached) = self.status(ask, &summary);
        Ok(found.part(summary.next, reached.map(Moment::micros), status))
    }

    pub(super) fn scan(
        &self,
        ask: &Ask,
        span: &Span<'_>,
        visit: &mut dyn FnMut(&Row<'_>),
    ) -> Result<Status, Problem> {
        let search = ask.search(&self.0).order(span.order).time_limit(span.time_limit);
        let summary = search.each(|found| {
            visit(found.row);
            ControlFlow::Continue(())
        })?;
        Ok(self.status(ask, &summary).0)
    }

    pub(super) fn verify(&self) -> Result<Verdict, Problem> {
        verdict(&self.0)
    }

    pub(super) fn signed(&self) -> Result<Option<u64>, Problem> {
        match latest_checkpoint(&self.0) {
            Ok(checkpoint) => Ok(Some(checkpoint.size())),
            Err(error) if error.is_missing() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Returns the line with this number, if it exists for this viewer. One that cannot be read, or differs
    /// from what was signed, is an error only for a viewer for whom every entry exists.
    pub(super) fn line(&self, seq: u64, viewer: &Viewer) -> Result<Option<String>, Problem> {
        let found = match find_line(&self.0, seq) {
            Err(_) if viewer.is_scoped() => None,
            found => found?,
        };
        Ok(found.and_then(|line| {
            let row = line.row().ok().filter(|row| viewer.scope().matches(row))?;
            Some(row.line().to_owned())
        }))
    }

    pub(super) fn proof(&self, seq: u64) -> Result<Proof, Problem> {
        let proof = prove(&self.0, seq)?;
        // The proof is valid without it, and verification says what is wrong with the trail.
        let key = recorded_signer(&self.0, proof.checkpoint()).ok().flatten();
        Ok(Proof { proof, key })
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    pub(super) fn end(&self) -> Result<Cursor, Problem> {
        let mut last = Cursor::Seq(0);
        Search::new(&self.0).order(Order::NewestFirst).each(|found| match found.cursor() {
            pending if pending.is_pending() => ControlFlow::Continue(()),
            Cursor::Seq(seq) => {
                last = Cursor::Seq(seq);
                ControlFlow::Break(())
            }
            // Older than all lines with a number.
            Cursor::Byte { .. } => ControlFlow::Break(()),
        })?;
        Ok(last)
    }

    pub(super) fn oldest(&self) -> Result<Option<u64>, Problem> {
        // Only sealed segments are retired. Legacy lines come before them, and there may be many.
        let sealed = sealed_segments(self.0.as_path()).map_err(|error| {
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, format!("cannot list the segments: {error}"))
        })?;
        match sealed.first() {
            Some(segment) => Ok(Some(segment.first_seq)),
            None => Ok(Lines::all(&self.0)?.flatten().find_map(|line| line.seq())),
        }
    }

    /// Returns what a search says besides its entries, and the time that it reached if it ran out of time.
    fn status(&self, ask: &Ask, summary: &Summary) -> (Status, Option<Moment>) {
        let reached = self.reached(ask, summary);
        let status = Status {
            is_damaged: is_damaged(summary),
            is_out_of_time: summary.is_out_of_time,
            reached: reached.filter(|(_, exists)| *exists).map(|(moment, _)| moment),
            warnings: warnings(summary, &ask.viewer),
            signed: summary.signed.filter(|_| !ask.viewer.is_scoped()),
        };
        (status, reached.map(|(moment, _)| moment))
    }

    /// Returns the time to which a search came that ran out of time, and whether the line there exists for
    /// the viewer.
    fn reached(&self, ask: &Ask, summary: &Summary) -> Option<(Moment, bool)> {
        let Cursor::Seq(seq) = summary.next.as_ref().filter(|_| summary.is_out_of_time)? else { return None };
        let line = find_line(&self.0, *seq).ok().flatten()?;
        let row = line.row().ok()?;
        Some((row.moment()?, ask.viewer.scope().matches(&row)))
    }
}

impl Ask {
    /// The search of the trail in a directory, without order and limits.
    pub(crate) fn search(&self, directory: &Path) -> Search {
        let search = Search::new(directory).query(self.query.clone()).source(self.level);
        let mut search = search.threads(self.threads);
        if let Some(since) = self.since {
            search = search.since(since);
        }
        if let Some(until) = self.until {
            search = search.until(until);
        }
        search
    }
}

/// Verifies the trail in a directory.
pub(super) fn verdict(directory: &Path) -> Result<Verdict, Problem> {
    let verification = verify(directory, &VerifyOptions::new(), &mut |_, _| ())?;
    let fault = match verification.fault {
        Some(fault) => Some(fault.to_string()),
        None if verification.answer == Answer::Broken => Some("the trail is damaged".to_owned()),
        None => None,
    };
    Ok(Verdict { fault, signed: verification.signed })
}

/// Whether something could not be read, or differs from what was signed.
fn is_damaged(summary: &Summary) -> bool {
    summary.fault.is_some() || summary.errors.segments() > 0 || summary.errors.lines() > 0
}

/// Returns what makes the result of a search incomplete or wrong, if anything. A viewer for whom some entries
/// do not exist learns nothing about those.
pub(crate) fn warnings(summary: &Summary, viewer: &Viewer) -> Vec<String> {
    let errors = &summary.errors;
    if viewer.is_scoped() {
        return is_damaged(summary).then(|| super::DAMAGED.to_owned()).into_iter().collect();
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
