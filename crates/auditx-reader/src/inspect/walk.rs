//! Reads every line of every segment once, and checks that it is an entry and follows the one before.

use std::fs;
use std::path::Path;

use auditx_format::line::StoredEntry;
use auditx_format::moment::Moment;
use serde_json::{Map, Value};

use crate::error::Error;
use crate::line::Line;
use crate::listing::{Listing, active_path};
use crate::segment::Segment;
use crate::timestamps::Timestamps;

use super::finding::{Finding, FindingKind, Findings};
use super::sequence::{Break, Sequence};
use super::{Inspection, SegmentState, TornTail, identity};

/// Lines between two reports of progress within a plain segment.
const PROGRESS_LINES: u64 = 16 * 1024;

struct Walk<'a> {
    inspection: &'a mut Inspection,
    findings: &'a mut Findings,
    sequence: Sequence,
    timestamps: Timestamps,
    /// The first entry without a number; `finish` decides what it means.
    first_unnumbered: Option<Finding>,
    /// The first line of the oldest segment; taken from its name if it cannot be read.
    beginning: Option<u64>,
    /// Whether a record says that all lines before the first were retired.
    is_beginning_retired: bool,
}

pub(super) fn walk(
    listing: Listing,
    inspection: &mut Inspection,
    findings: &mut Findings,
    progress: &mut dyn FnMut(u64, u64),
) {
    let directory = inspection.directory.clone();
    let active_path = active_path(&directory);
    let size = |path: &Path| fs::symlink_metadata(path).map_or(0, |metadata| metadata.len());
    let total = listing.sealed.iter().map(|sealed| size(&sealed.path)).sum::<u64>() + size(&active_path);
    let mut walk = Walk {
        inspection,
        findings,
        sequence: Sequence::default(),
        timestamps: Timestamps::default(),
        first_unnumbered: None,
        beginning: listing.sealed.front().map(|sealed| sealed.first_seq),
        is_beginning_retired: false,
    };
    let mut done = 0;
    for sealed in &listing.sealed {
        progress(done, total);
        let opened = Segment::open_sealed(sealed);
        let path = opened.as_ref().ok().and_then(Option::as_ref).map_or(&*sealed.path, Segment::path);
        let mut state = SegmentState {
            file: name_of(path),
            is_compressed: path.extension().is_some_and(|extension| extension == "zst"),
            bytes: size(path),
            ..SegmentState::default()
        };
        let bytes = size(&sealed.path);
        match opened {
            // Retired meanwhile.
            Ok(None) => continue,
            Err(error) => walk.findings.unreadable(&error, &sealed.path),
            Ok(Some(mut segment)) => {
                let is_read =
                    walk.segment(&mut segment, &mut state, &mut |at| progress(done + at.min(bytes), total));
                if is_read || state.first_seq.is_some() {
                    walk.check_name(sealed.first_seq, &state, segment.path());
                }
            }
        }
        walk.inspection.segments.push(state);
        done += bytes;
    }
    if let Some(active) = listing.active {
        walk.active(active, &active_path, &mut |at| progress(done + at, total));
    }
    walk.finish(&directory);
}

impl Walk<'_> {
    fn active(&mut self, active: Result<Segment, Error>, path: &Path, progress: &mut dyn FnMut(u64)) {
        let mut state = SegmentState { file: name_of(path), is_active: true, ..SegmentState::default() };
        match active {
            Err(error) => self.findings.unreadable(&error, path),
            Ok(mut segment) => {
                state.bytes = segment
                    .plain_file()
                    .and_then(|file| file.metadata().ok())
                    .map_or(0, |metadata| metadata.len());
                self.segment(&mut segment, &mut state, progress);
                if segment.unfinished() > 0 {
                    let tail = TornTail { offset: segment.offset(), bytes: segment.unfinished() };
                    self.inspection.torn_tail = Some(tail);
                }
            }
        }
        self.inspection.segments.push(state);
    }

    /// Reads one segment; `false` if it could not be read to its end.
    fn segment(
        &mut self,
        segment: &mut Segment,
        state: &mut SegmentState,
        progress: &mut dyn FnMut(u64),
    ) -> bool {
        let path = segment.path().to_path_buf();
        // Lines written from now on are ignored: a busy writer would keep this running.
        let end = if state.is_active { state.bytes } else { u64::MAX };
        let mut lines = 0_u64;
        while segment.offset() < end {
            match segment.next_line() {
                Ok(Some(line)) => self.line(&line, state),
                Ok(None) => break,
                Err(error) => {
                    self.findings.unreadable(&error, &path);
                    return false;
                }
            }
            lines += 1;
            if lines.is_multiple_of(PROGRESS_LINES) && !state.is_compressed {
                progress(segment.offset());
            }
        }
        if !state.is_active
            && let Some(line) = segment.take_unfinished_line()
        {
            self.line(&line, state);
        }
        true
    }

    fn line(&mut self, line: &Line, state: &mut SegmentState) {
        let parsed = line.parse();
        match line.seq() {
            Some(seq) => self.number(seq, line, state),
            None if parsed.is_err() => self.sequence.pass_unnumbered(),
            None => self.unnumbered(line),
        }
        match parsed {
            Ok(entry) => {
                state.entries += 1;
                self.entry(entry, line);
            }
            Err(error) => {
                state.unreadable_lines += 1;
                self.inspection.unreadable_lines += 1;
                self.findings.unreadable(&error, line.path());
            }
        }
    }

    fn number(&mut self, seq: u64, line: &Line, state: &mut SegmentState) {
        state.first_seq.get_or_insert(seq);
        state.last_seq = Some(seq);
        self.inspection.first_seq.get_or_insert(seq);
        self.beginning.get_or_insert(seq);
        self.inspection.last_seq = Some(seq);
        let (kind, what) = match self.sequence.pass(seq) {
            None => return,
            Some(Break::Gap(first, last)) if first == last => {
                (FindingKind::Gap, format!("line {first} is missing before line {seq}"))
            }
            Some(Break::Gap(first, last)) => {
                (FindingKind::Gap, format!("lines {first} to {last} are missing before line {seq}"))
            }
            Some(Break::Repeat(seq, expected)) => {
                (FindingKind::Repeat, format!("found line {seq} where line {expected} is expected"))
            }
        };
        let advice = "compare with a backup or a copy of the entries: auditx never writes such lines";
        self.findings.add(Finding::new(kind, what, line.path(), advice).at_byte(line.offset()));
    }

    fn unnumbered(&mut self, line: &Line) {
        self.inspection.unnumbered_entries += 1;
        if self.first_unnumbered.is_none() {
            let finding = Finding::new(FindingKind::Unnumbered, "", line.path(), "").at_byte(line.offset());
            self.first_unnumbered = Some(finding);
        }
    }

    fn entry(&mut self, entry: StoredEntry, line: &Line) {
        self.inspection.entries += 1;
        let second = Moment::parse(&entry.timestamp).map(|moment| moment.micros() / 1_000_000);
        if let (Some(seq), Some(second)) = (line.seq(), second.and_then(|second| second.try_into().ok())) {
            self.timestamps.pass(seq, second);
        }
        if !entry.timestamp.is_empty() {
            if self.inspection.first_timestamp.is_none() {
                self.inspection.first_timestamp = Some(entry.timestamp.clone());
            }
            self.inspection.last_timestamp = Some(entry.timestamp);
        }
        if let Some(record) = &entry.control_record {
            self.control_record(record, line);
        }
    }

    fn control_record(&mut self, record: &Map<String, Value>, line: &Line) {
        let number = |name: &str| record.get(name).and_then(Value::as_u64);
        let history = &mut self.inspection.history;
        match record.get("kind").and_then(Value::as_str) {
            Some("open") => history.opened += 1,
            Some("close") => history.closed += 1,
            Some("recovered") => history.recovered += 1,
            // Numbers in records may be forged, so any value is possible.
            Some("gap") => {
                let count = number("count").unwrap_or(1);
                history.refused_entries = history.refused_entries.saturating_add(count);
            }
            Some("retired") => {
                history.retired += 1;
                let end = number("last_seq").and_then(|last| last.checked_add(1));
                self.is_beginning_retired |= end.is_some() && end == self.beginning;
            }
            Some("erased") => history.erased += 1,
            Some("key") => history.key_changes += 1,
            Some("checkpoint") => history.checkpoints += 1,
            Some("heartbeat") => history.heartbeats += 1,
            Some("genesis") => {
                let identity = self.inspection.identity.as_ref();
                identity::check_genesis(identity, record, line.path(), self.findings);
            }
            _ => {}
        }
    }

    fn check_name(&mut self, named: u64, state: &SegmentState, path: &Path) {
        // Unreadable lines may hide the first number, and are findings of their own.
        let what = match state.first_seq {
            Some(first) if (named..=named.saturating_add(state.unreadable_lines)).contains(&first) => return,
            None if state.unreadable_lines > 0 => return,
            Some(first) => {
                format!("its name says that it begins with line {named}, but it begins with line {first}")
            }
            None => format!("its name says that it begins with line {named}, but it has no numbered line"),
        };
        let advice = "compare with a backup: a sealed segment is never renamed or changed";
        self.findings.add(Finding::new(FindingKind::WrongName, what, path, advice));
    }

    /// Adds the findings that need the whole trail.
    fn finish(self, directory: &Path) {
        let Self {
            inspection, findings, timestamps, first_unnumbered, beginning, is_beginning_retired, ..
        } = self;
        let has_numbered = inspection.first_seq.is_some();
        if let Some(mut finding) = first_unnumbered {
            let count = inspection.unnumbered_entries;
            if has_numbered {
                finding.what = format!(
                    "{count} entries without a sequence number among numbered entries, the first here"
                );
                finding.advice = "find out which program wrote them: auditx did not".to_owned();
            } else {
                finding.what = format!(
                    "{count} entries without sequence numbers, \
written by another program such as auditX for Python"
                );
                finding.advice =
                    "`auditx tail` shows them; auditx needs a directory of its own for its trail".to_owned();
                finding = finding.informational();
            }
            findings.add(finding);
        }
        if let Some(first @ 1..) = beginning
            && !is_beginning_retired
        {
            let what = format!(
                "the oldest line is {first}, but no record says that the lines before it were retired"
            );
            let advice = "restore the segments before it from a backup";
            findings.add(Finding::new(FindingKind::MissingBeginning, what, directory, advice));
        }
        let end = inspection.last_seq.map_or(0, |last| last.saturating_add(1));
        for times in timestamps.finish(end) {
            let holds = |segment: &&SegmentState| {
                segment.first_seq.is_some_and(|first| first <= times.first)
                    && segment.last_seq.is_some_and(|last| last >= times.first)
            };
            let file = inspection.segments.iter().find(holds).map(|segment| directory.join(&segment.file));
            findings.implausible(times, file.as_deref().unwrap_or(directory));
        }
        identity::check_presence(inspection.identity.as_ref(), has_numbered, directory, findings);
    }
}

fn name_of(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}
