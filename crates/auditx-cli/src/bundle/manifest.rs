//! `manifest.json` of an archive.

use std::collections::BTreeMap;

use auditx_reader::{Field, Moment, Search, Summary};
use auditx_tlog::{SignedCheckpoint, to_hex};
use serde::Serialize;

use super::archive::Member;
use crate::failure::Failure;

/// The version of the archive format.
const FORM: &str = "auditx/bundle@1";

/// All entries of the period, selected or not.
#[derive(Debug, Default, Clone, Serialize)]
pub(super) struct Range {
    lines: u64,
    first_seq: Option<u64>,
    last_seq: Option<u64>,
    first_timestamp: Option<String>,
    last_timestamp: Option<String>,
}

impl Range {
    /// Counts every entry that the search finds.
    pub(super) fn of(search: &Search) -> Result<(Self, Summary), Failure> {
        let (parts, summary) = search.fold(Edges::default, |edges, found| {
            edges.add_seq(found.row.seq());
            edges.add_moment(Moment::parse(&found.row.text(Field::Timestamp)));
        })?;
        let mut all = Edges::default();
        for part in parts {
            all.add_seq(part.first_seq);
            all.add_seq(part.last_seq);
            all.add_moment(part.first);
            all.add_moment(part.last);
        }
        let range = Self {
            lines: summary.found,
            first_seq: all.first_seq,
            last_seq: all.last_seq,
            first_timestamp: all.first.map(|at| at.to_string()),
            last_timestamp: all.last.map(|at| at.to_string()),
        };
        Ok((range, summary))
    }
}

#[derive(Default)]
struct Edges {
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
pub(super) struct Manifest<'m> {
    pub(super) query: String,
    pub(super) scope: String,
    pub(super) range: Range,
    pub(super) selected: u64,
    pub(super) unproved: u64,
    pub(super) unreadable: u64,
    /// Entries that no checkpoint covers yet.
    pub(super) unsigned: u64,
    /// The first mismatch with the signed checkpoints; entries may be missing.
    pub(super) fault: Option<String>,
    pub(super) checkpoint: &'m SignedCheckpoint,
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
    unreadable_lines: u64,
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
    pub(super) fn json(&self, members: &[Member]) -> Result<String, Failure> {
        let files = members
            .iter()
            .map(|Member { name, bytes, sha256 }| (name.as_str(), File { bytes: *bytes, sha256 }));
        let written = Written {
            form: FORM,
            made: Moment::now().to_string(),
            program: format!("auditx {}", env!("CARGO_PKG_VERSION")),
            trail: self.checkpoint.origin(),
            query: &self.query,
            scope: &self.scope,
            selected: self.selected,
            range: &self.range,
            without_proof: self.unproved,
            unreadable_lines: self.unreadable,
            unsigned_lines: self.unsigned,
            fault: self.fault.as_deref(),
            checkpoint: Head { size: self.checkpoint.size(), root: to_hex(self.checkpoint.root()) },
            files: files.collect(),
        };
        let json = serde_json::to_string_pretty(&written)
            .map_err(|error| Failure::new(format!("cannot write the manifest as JSON: {error}")))?;
        Ok(json + "\n")
    }
}
