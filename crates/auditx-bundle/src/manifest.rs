//! `manifest.json` of an archive.

use std::collections::BTreeMap;

use auditx_reader::{Moment, Search, Summary};
use auditx_tlog::{SignedCheckpoint, to_hex};
use serde::Serialize;

use crate::archive::Member;
use crate::error::{Error, Result};

/// The version of the archive format.
const FORM: &str = "auditx/bundle@1";

/// All entries of the period, selected or not.
#[derive(Debug, Default, Clone, Serialize)]
pub(crate) struct Range {
    lines: u64,
    first_seq: Option<u64>,
    last_seq: Option<u64>,
    first_timestamp: Option<String>,
    last_timestamp: Option<String>,
}

impl Range {
    /// Counts every entry that the search finds and that is before this seq. Legacy lines have none and are
    /// older.
    pub(crate) fn of(search: &Search, before: Option<u64>) -> Result<(Self, Summary)> {
        let (parts, summary) = search.fold(Edges::default, |edges, found| {
            let seq = found.row.seq();
            if is_at_or_after(seq, before) {
                return;
            }
            edges.lines += 1;
            edges.add_seq(seq);
            edges.add_moment(found.row.moment());
        })?;
        let mut all = Edges::default();
        for part in parts {
            all.lines += part.lines;
            all.add_seq(part.first_seq);
            all.add_seq(part.last_seq);
            all.add_moment(part.first);
            all.add_moment(part.last);
        }
        let range = Self {
            lines: all.lines,
            first_seq: all.first_seq,
            last_seq: all.last_seq,
            first_timestamp: all.first.map(|at| at.to_string()),
            last_timestamp: all.last.map(|at| at.to_string()),
        };
        Ok((range, summary))
    }
}

/// Whether a line has this seq or a later one. `None` as the seq is that of a legacy line.
pub(crate) fn is_at_or_after(seq: Option<u64>, end: Option<u64>) -> bool {
    seq.zip(end).is_some_and(|(seq, end)| seq >= end)
}

#[derive(Default)]
struct Edges {
    lines: u64,
    first_seq: Option<u64>,
    last_seq: Option<u64>,
    first: Option<Moment>,
    last: Option<Moment>,
}

impl Edges {
    fn add_seq(&mut self, seq: Option<u64>) {
        let Some(seq) = seq else { return };
        self.first_seq = Some(self.first_seq.map_or(seq, |first| first.min(seq)));
        self.last_seq = self.last_seq.max(Some(seq));
    }

    fn add_moment(&mut self, at: Option<Moment>) {
        let Some(at) = at else { return };
        self.first = Some(self.first.map_or(at, |first| first.min(at)));
        self.last = self.last.max(Some(at));
    }
}

/// The query and its result.
pub(crate) struct Manifest<'m> {
    pub(crate) query: &'m str,
    pub(crate) scope: &'m str,
    pub(crate) range: Range,
    pub(crate) selected: u64,
    pub(crate) unproved: u64,
    /// Lines that could not be read; `None` if the recipient may not know.
    pub(crate) unreadable: Option<u64>,
    /// Entries that no checkpoint covers yet.
    pub(crate) unsigned: u64,
    /// The first mismatch with the signed checkpoints; entries may be missing.
    pub(crate) fault: Option<String>,
    pub(crate) checkpoint: &'m SignedCheckpoint,
}

#[derive(Serialize)]
struct Written<'m> {
    form: &'static str,
    made: String,
    program: String,
    trail: &'m str,
    query: &'m str,
    scope: &'m str,
    selected: u64,
    range: &'m Range,
    without_proof: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    unreadable_lines: Option<u64>,
    unsigned_lines: u64,
    /// The first mismatch with the signed checkpoints.
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<&'m str>,
    checkpoint: Head,
    files: BTreeMap<&'m str, File<'m>>,
}

#[derive(Serialize)]
struct Head {
    size: u64,
    root: String,
}

#[derive(Serialize)]
struct File<'m> {
    bytes: u64,
    sha256: &'m str,
}

impl Manifest<'_> {
    pub(crate) fn json(&self, members: &[Member]) -> Result<String> {
        let files = members
            .iter()
            .map(|Member { name, bytes, sha256 }| (name.as_str(), File { bytes: *bytes, sha256 }));
        let written = Written {
            form: FORM,
            made: Moment::now().to_string(),
            program: format!("auditx {}", env!("CARGO_PKG_VERSION")),
            trail: self.checkpoint.origin(),
            query: self.query,
            scope: self.scope,
            selected: self.selected,
            range: &self.range,
            without_proof: self.unproved,
            unreadable_lines: self.unreadable,
            unsigned_lines: self.unsigned,
            fault: self.fault.as_deref(),
            checkpoint: Head { size: self.checkpoint.size(), root: to_hex(self.checkpoint.root()) },
            files: files.collect(),
        };
        let json = serde_json::to_string_pretty(&written).map_err(Error::output)?;
        Ok(json + "\n")
    }
}
