//! A batch: what one write(2) appends to the active segment, all of it or nothing.

use auditx_format::Result;
use auditx_format::control_record::ControlRecord;

use super::{Appender, Missed};

/// A write takes about this many bytes at most.
const LARGEST: usize = 1024 * 1024;

/// Lines to be appended. Dropped without [`Batch::write`], it appends nothing.
pub(crate) struct Batch<'a> {
    appender: &'a mut Appender,
    /// The number of lines before the batch.
    before: u64,
    /// Where the entry that was begun begins in the staged bytes.
    begun: Option<usize>,
    entries: usize,
}

impl<'a> Batch<'a> {
    /// Begins a batch with the control records that come first: of sealed segments, and of entries lost since
    /// the last line.
    pub(super) fn begin(appender: &'a mut Appender) -> Result<Self> {
        appender.check()?;
        let mut batch = Self { before: appender.active.next_seq, begun: None, entries: 0, appender };
        let gap = batch
            .appender
            .missed
            .clone()
            .map(|Missed { count, first, last, why }| ControlRecord::Gap { count, first, last, why });
        for record in batch.appender.rotated.clone().into_iter().chain(gap) {
            let trail = &batch.appender.trail;
            // These records always encode: their fields are short.
            if let Ok(body) = record.encode(&trail.envelope, &*trail.config.clock) {
                batch.add_control_record(&body);
            }
        }
        Ok(batch)
    }

    /// Returns the number of lines in the trail, with those of the batch.
    pub(crate) fn lines(&self) -> u64 {
        self.appender.active.next_seq
    }

    /// Returns `true` if the batch holds an entry and should be written before it gets another one.
    pub(crate) fn is_full(&self) -> bool {
        let staged = self.appender.staged.bytes.len();
        let fills_segment = self.appender.active.len + staged as u64 >= self.appender.seal_at;
        self.entries > 0 && (staged >= LARGEST || fills_segment)
    }

    /// Begins an entry. The caller appends its body to the returned bytes, and changes nothing before it.
    pub(crate) fn begin_entry(&mut self) -> &mut Vec<u8> {
        let seq = self.appender.active.next_seq;
        self.begun = Some(self.appender.staged.begin_line(seq));
        &mut self.appender.staged.bytes
    }

    /// Ends the entry that was begun. `position` is the position after it in the journal.
    pub(crate) fn end_entry(&mut self, position: u64) {
        self.entries += 1;
        self.end_line(Some(position));
    }

    /// Removes the entry that was begun.
    pub(crate) fn cancel_entry(&mut self) {
        if let Some(begun) = self.begun.take() {
            self.appender.staged.bytes.truncate(begun);
        }
    }

    /// Adds an entry.
    pub(crate) fn add(&mut self, body: &[u8], position: u64) {
        self.begin_entry().extend_from_slice(body);
        self.end_entry(position);
    }

    pub(super) fn add_control_record(&mut self, body: &[u8]) {
        self.begin_entry().extend_from_slice(body);
        self.end_line(None);
    }

    fn end_line(&mut self, position: Option<u64>) {
        self.begun = None;
        self.appender.staged.end_line(position);
        self.appender.active.next_seq += 1;
    }

    /// Appends the batch with one write(2), and seals the segment if that is due.
    ///
    /// # Errors
    /// `is_storage` if the write failed. It is rolled back; if that fails too, nothing more can be appended.
    pub(crate) fn write(mut self) -> Result<()> {
        self.append()?;
        let appender = &mut *self.appender;
        if appender.active.len >= appender.seal_at {
            appender.try_seal();
        }
        Ok(())
    }

    /// Appends the batch with one write(2).
    pub(super) fn write_without_seal(mut self) -> Result<()> {
        self.append()
    }

    fn append(&mut self) -> Result<()> {
        self.cancel_entry();
        self.appender.write_staged(self.before)
    }
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        // A write leaves nothing staged.
        if !self.appender.staged.bytes.is_empty() {
            self.appender.staged.clear();
            self.appender.active.next_seq = self.before;
        }
    }
}
