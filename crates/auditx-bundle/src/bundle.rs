//! The archive: what it contains, and in which order that is written.
//!
//! The manifest states the number of all entries of the period, not only of the selected ones, so that an
//! auditor can ask for what was left out.

use std::fmt;
use std::io::{Seek, Write};
use std::ops::ControlFlow;
use std::path::PathBuf;

use auditx_reader::{Error as ReadError, Prover, Search, Summary, recorded_keys};
use auditx_tlog::{InclusionProof, SignedCheckpoint};

use crate::archive::Archive;
use crate::error::{Error, Result};
use crate::manifest::{Manifest, Range, is_at_or_after};
use crate::time_stamp;

const INSTRUCTIONS: &str = include_str!("README.txt");

/// For a recipient who may not know where a trail is damaged.
const DAMAGED: &str = "the trail is damaged, so entries may be missing or wrong";

/// The seqs of the lines in the order in which they were found; `None` for legacy lines.
type Selected = Vec<Option<u64>>;

/// An archive of entries of one trail with everything needed to check them elsewhere.
///
/// All proofs are made under one checkpoint: the one with the most cosignatures that covers the selected
/// entries ([`Prover::covering`]), otherwise the one that was the latest when the bundle was opened. Entries
/// that the latest does not cover, and legacy lines, have no proof. If a time stamp of the trail covers all
/// signed entries of the archive, the first such stamp is included.
pub struct Bundle {
    directory: PathBuf,
    prover: Prover,
    query: String,
    scope: String,
    is_confined: bool,
    before: Option<u64>,
    max_entries: Option<u64>,
    max_bytes: Option<u64>,
    stop: Box<dyn Fn() -> bool + Send + Sync>,
    report: Box<dyn Fn(&str) + Send + Sync>,
}

/// What an archive contains, and what makes it incomplete.
#[derive(Debug)]
#[non_exhaustive]
pub struct Outcome {
    /// The selected entries, and what could not be read or does not match what was signed, there or among the
    /// other entries of the period. If none were found, no archive was written.
    pub summary: Summary,
    /// The number of entries without a proof.
    pub unproved: u64,
    /// The number of keys that the trail names. Without any, the recipient must ask the owner of the trail.
    pub keys: usize,
}

impl fmt::Debug for Bundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bundle").field("directory", &self.directory).finish_non_exhaustive()
    }
}

impl Bundle {
    /// Opens the trail in this directory.
    ///
    /// # Errors
    /// `is_missing` if there is no trail or nothing is signed; `is_corrupt` if no key that the trail names
    /// signed the checkpoint; otherwise the trail cannot be read.
    pub fn open(directory: impl Into<PathBuf>) -> Result<Self> {
        let directory = directory.into();
        let prover = Prover::open(&directory)?;
        Ok(Self {
            directory,
            prover,
            query: String::new(),
            scope: String::new(),
            is_confined: false,
            before: None,
            max_entries: None,
            max_bytes: None,
            stop: Box::new(|| false),
            report: Box::new(|_| ()),
        })
    }

    /// Sets the query as its author wrote it, for the manifest. The default is empty.
    #[must_use]
    pub fn query_text(mut self, text: impl Into<String>) -> Self {
        self.query = text.into();
        self
    }

    /// Sets the description of the period and what else limits it, for the manifest. The default is empty.
    #[must_use]
    pub fn scope_text(mut self, text: impl Into<String>) -> Self {
        self.scope = text.into();
        self
    }

    /// For a recipient for whom lines outside the period's search do not exist: the archive says whether the
    /// trail is damaged, but neither where nor how many lines cannot be read. The default tells both.
    ///
    /// The checkpoint and the proofs state the number of lines in the trail in any case.
    #[must_use]
    pub fn confined(mut self) -> Self {
        self.is_confined = true;
        self
    }

    /// Leaves out the lines from this seq on, such as a record of this very export. The default leaves out
    /// none.
    #[must_use]
    pub fn before(mut self, seq: u64) -> Self {
        self.before = Some(seq);
        self
    }

    /// Fails if more entries than this are selected. The default is no limit.
    #[must_use]
    pub fn max_entries(mut self, count: u64) -> Self {
        self.max_entries = Some(count);
        self
    }

    /// Fails if the files of the archive have more bytes than this together, before compression. The default
    /// is no limit.
    #[must_use]
    pub fn max_bytes(mut self, count: u64) -> Self {
        self.max_bytes = Some(count);
        self
    }

    /// Fails as soon as this returns `true`; called before each entry and each proof. The default never does.
    #[must_use]
    pub fn stop_when(mut self, is_over: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        self.stop = Box::new(is_over);
        self
    }

    /// Calls `report` for each entry without a proof, with the reason.
    #[must_use]
    pub fn on_unproved(mut self, report: impl Fn(&str) + Send + Sync + 'static) -> Self {
        self.report = Box::new(report);
        self
    }

    /// Writes the entries that `selected` finds. `period` finds all entries of the same period, selected or
    /// not, and is only counted. Both search the trail of this bundle, oldest first.
    ///
    /// Reads the period once and the selected entries twice; a proof costs a few nodes from the tile cache.
    ///
    /// If this fails or nothing is found, what was written to `out` is no archive and must be discarded.
    ///
    /// # Errors
    /// `is_corrupt` if a selected entry is not what was signed; `is_changed`, `is_too_large`, `is_stopped` or
    /// `is_output`; otherwise the trail cannot be read.
    pub fn write(&self, selected: &Search, period: &Search, out: impl Write + Seek) -> Result<Outcome> {
        let mut archive = Archive::new(out, self.max_bytes);
        let (range, counted) = Range::of(period, self.before)?;
        let (seqs, mut summary) = self.write_entries(&mut archive, selected)?;
        // A fault found while the entries of the period were counted counts too.
        summary.fault = summary.fault.or(counted.fault);
        if seqs.is_empty() {
            return Ok(Outcome { summary, unproved: 0, keys: 0 });
        }
        let last = self.last_signed(&seqs);
        let prover = last.map(|last| self.prover.covering(last));
        let prover = prover.as_ref().unwrap_or(&self.prover);
        let unproved = self.write_proofs(&mut archive, (selected, &seqs), prover)?;
        let keys = self.write_checkpoint(&mut archive, prover.checkpoint())?;
        if let Some(last) = last {
            time_stamp::write(&mut archive, &self.directory, last, prover.checkpoint())?;
        }
        archive.text("README.txt", INSTRUCTIONS)?;
        let manifest =
            self.manifest(range, &summary, (unproved, prover.checkpoint())).json(archive.members())?;
        archive.text("manifest.json", &manifest)?;
        let members = archive.members().iter();
        let sums: String = members.map(|member| format!("{}  {}\n", member.sha256, member.name)).collect();
        archive.text("SHA256SUMS", &sums)?;
        archive.finish()?;
        Ok(Outcome { summary, unproved, keys })
    }

    /// Returns the last selected line that is signed; `None` if none is.
    fn last_signed(&self, selected: &Selected) -> Option<u64> {
        let signed = self.prover.checkpoint().size();
        selected.iter().copied().flatten().filter(|seq| *seq < signed).max()
    }

    fn manifest<'m>(
        &'m self,
        range: Range,
        summary: &Summary,
        (unproved, checkpoint): (u64, &'m SignedCheckpoint),
    ) -> Manifest<'m> {
        let errors = &summary.errors;
        let is_damaged = summary.fault.is_some() || errors.lines() > 0 || errors.segments() > 0;
        let fault = match self.is_confined {
            true => is_damaged.then(|| DAMAGED.to_owned()),
            false => summary.fault.as_ref().map(ToString::to_string),
        };
        Manifest {
            query: &self.query,
            scope: &self.scope,
            range,
            selected: summary.found,
            unproved,
            unreadable: (!self.is_confined).then(|| errors.lines()),
            unsigned: summary.unsigned,
            fault,
            checkpoint,
        }
    }

    fn write_entries<W: Write + Seek>(
        &self,
        archive: &mut Archive<W>,
        search: &Search,
    ) -> Result<(Selected, Summary)> {
        archive.file("entries.jsonl", |out| {
            let (mut selected, mut unsigned) = (Selected::new(), 0);
            let mut outcome = Ok(());
            let mut summary = search.each(|found| {
                let seq = found.row.seq();
                if is_at_or_after(seq, self.before) {
                    return ControlFlow::Break(());
                }
                selected.push(seq);
                unsigned += u64::from(found.is_unsigned);
                let line = found.row.line().as_bytes();
                outcome = self.check(selected.len()).and_then(|()| {
                    out.write_all(line).and_then(|()| out.write_all(b"\n")).map_err(Error::output)
                });
                if outcome.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            })?;
            outcome?;
            // The search also counts the line at which it was ended.
            (summary.found, summary.unsigned) = (selected.len() as u64, unsigned);
            Ok((selected, summary))
        })
    }

    /// Fails if the archive must not get this many entries.
    fn check(&self, count: usize) -> Result<()> {
        match self.max_entries {
            Some(max) if count as u64 > max => {
                let message = format!("more than {max} entries are selected: narrow the search");
                Err(Error::too_large(message))
            }
            _ if (self.stop)() => Err(Error::stopped()),
            _ => Ok(()),
        }
    }

    /// Writes the proofs and returns how many entries have none. This is a second pass over the same lines,
    /// because an archive is written file by file.
    fn write_proofs<W: Write + Seek>(
        &self,
        archive: &mut Archive<W>,
        (search, selected): (&Search, &Selected),
        prover: &Prover,
    ) -> Result<u64> {
        let mut expected = selected.iter();
        let mut outcome = Ok(());
        let mut unproved = 0;
        search.each(|found| {
            // Entries recorded since the first pass are not in the archive.
            let Some(seq) = expected.next() else { return ControlFlow::Break(()) };
            outcome = match (self.stop)() {
                true => Err(Error::stopped()),
                false if *seq != found.row.seq() => Err(Error::changed()),
                false => self.write_proof(archive, *seq, prover.prove(&found)).map(|is_proved| {
                    unproved += u64::from(!is_proved);
                }),
            };
            if outcome.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        outcome?;
        if expected.next().is_some() { Err(Error::changed()) } else { Ok(unproved) }
    }

    /// Writes a proof. Returns `false` if the line has no proof: it is not signed yet, or has no seq.
    fn write_proof<W: Write + Seek>(
        &self,
        archive: &mut Archive<W>,
        seq: Option<u64>,
        proof: Result<InclusionProof, ReadError>,
    ) -> Result<bool> {
        match (seq, proof) {
            (Some(seq), Ok(proof)) => {
                archive.text(&format!("proofs/{seq}.tlog-proof"), &proof.to_string())?;
                Ok(true)
            }
            (_, Ok(_)) => Ok(false),
            (_, Err(error)) if error.is_missing() => {
                (self.report)(&error.to_string());
                Ok(false)
            }
            (_, Err(error)) => Err(error.into()),
        }
    }

    /// Writes the checkpoint and the keys that the trail names, and returns their number.
    fn write_checkpoint<W: Write + Seek>(
        &self,
        archive: &mut Archive<W>,
        checkpoint: &SignedCheckpoint,
    ) -> Result<usize> {
        archive.text("checkpoint", checkpoint.as_str())?;
        let recorded = recorded_keys(&self.directory)?;
        let mut text = String::from(
            "# These keys come from the trail itself. Before you rely on them, compare them with the key\n\
             # that the owner of the trail gave you through another channel.\n",
        );
        for key in &recorded {
            if !self.is_confined {
                text.push_str(&format!("# named in line {}\n", key.seq));
            }
            text.push_str(&format!("{}\n", key.key));
        }
        archive.text("key.vkey", &text)?;
        Ok(recorded.len())
    }
}
