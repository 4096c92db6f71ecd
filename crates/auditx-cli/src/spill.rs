//! External sorting: records of a key and a value that do not fit in memory are written to a temporary file
//! as sorted runs, which are merged at the end.
//!
//! The file has no name, so nothing of it remains however the program ends. It is in `TMPDIR`, or in `/tmp`.
//! [`Runs`] are the runs of one thread, [`merge`] visits the records of all runs in order, and [`Sorted`]
//! decides what stays in memory.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, BufWriter, Seek, Write};
use std::ops::{ControlFlow, Range};
use std::os::unix::fs::FileExt;

use crate::failure::Failure;

/// Bytes that all runs together read ahead, and the minimum and maximum of one run.
const READ_AHEAD: usize = 16 << 20;
const READ_MIN: usize = 4 << 10;
const READ_MAX: usize = 256 << 10;

/// The sorted runs of one thread.
#[derive(Debug, Default)]
pub(crate) struct Runs {
    file: Option<File>,
    runs: Vec<Range<u64>>,
}

impl Runs {
    pub(crate) fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// Writes one run. The keys must ascend.
    pub(crate) fn add<'r>(&mut self, records: impl Iterator<Item = (&'r [u8], &'r [u8])>) -> io::Result<()> {
        self.add_made(records, |value, out| out.extend_from_slice(value))
    }

    /// Like [`Runs::add`], with values that `make` encodes.
    pub(crate) fn add_made<'r, V>(
        &mut self,
        records: impl Iterator<Item = (&'r [u8], V)>,
        make: impl Fn(V, &mut Vec<u8>),
    ) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(tempfile::tempfile()?),
        };
        let start = file.stream_position()?;
        let mut out = BufWriter::with_capacity(READ_MAX, &mut *file);
        let mut made = Vec::new();
        for (key, value) in records {
            made.clear();
            make(value, &mut made);
            for part in [key, &made] {
                // Keys and values come from one line, which is far shorter than 4 GiB.
                out.write_all(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_le_bytes())?;
            }
            out.write_all(key)?;
            out.write_all(&made)?;
        }
        out.flush()?;
        drop(out);
        self.runs.push(start..file.stream_position()?);
        Ok(())
    }
}

/// Returns the failure to report for an error of the temporary file.
pub(crate) fn failure(error: &io::Error) -> Failure {
    let directory = std::env::temp_dir();
    Failure::new(format!(
        "cannot sort in a temporary file in {}: {error}; set TMPDIR to a directory with more space",
        crate::terminal::sanitized(&directory.to_string_lossy())
    ))
}

/// Visits the records of all runs in the order of their keys.
pub(crate) fn merge(all: &[Runs], mut visit: impl FnMut(&[u8], &[u8]) -> ControlFlow<()>) -> io::Result<()> {
    let count: usize = all.iter().map(|runs| runs.runs.len()).sum();
    let ahead = (READ_AHEAD / count.max(1)).clamp(READ_MIN, READ_MAX);
    let mut readers = Vec::with_capacity(count);
    for Runs { file, runs } in all {
        let Some(file) = file else { continue };
        readers.extend(runs.iter().map(|run| Reader {
            file,
            rest: run.clone(),
            ahead,
            buffer: Vec::new(),
            at: 0,
        }));
    }
    let mut heads = BinaryHeap::with_capacity(count);
    for (index, reader) in readers.iter_mut().enumerate() {
        if let Some((key, value)) = reader.next()? {
            heads.push(Reverse((key, index, value)));
        }
    }
    while let Some(Reverse((key, index, value))) = heads.pop() {
        if visit(&key, &value).is_break() {
            break;
        }
        if let Some((key, value)) = readers[index].next()? {
            heads.push(Reverse((key, index, value)));
        }
    }
    Ok(())
}

/// Memory of a record besides its bytes.
const OVERHEAD: usize = 64;

/// The records of one thread, of which at most `budget` bytes are in memory. Sorting may need twice as much.
#[derive(Debug)]
pub(crate) struct Sorted {
    limit: usize,
    budget: usize,
    items: Vec<Item>,
    bytes: usize,
    /// With a limit: records with this key or a greater one are not among the first `limit`.
    end: Option<Box<[u8]>>,
    runs: Runs,
    failure: Option<io::Error>,
}

#[derive(Debug)]
struct Item {
    key: Box<[u8]>,
    value: Box<[u8]>,
}

impl Sorted {
    /// Keeps only the first `limit` records.
    pub(crate) fn new(limit: usize, budget: usize) -> Self {
        let (items, runs) = (Vec::new(), Runs::default());
        Self { limit, budget, items, bytes: 0, end: None, runs, failure: None }
    }

    /// Returns `true` if a record with this key is certainly beyond the limit.
    pub(crate) fn is_beyond(&self, key: &[u8]) -> bool {
        self.failure.is_some() || self.end.as_ref().is_some_and(|end| key >= &**end)
    }

    /// Adds a record. If the temporary file fails, [`Sorted::each`] returns the failure.
    pub(crate) fn add(&mut self, key: &[u8], value: &[u8]) {
        if self.is_beyond(key) {
            return;
        }
        self.bytes += key.len() + value.len() + OVERHEAD;
        self.items.push(Item { key: key.into(), value: value.into() });
        let is_much = self.items.len() / 2 > self.limit.max(1_000);
        if is_much || self.bytes > self.budget {
            self.sort();
            if self.bytes > self.budget / 2
                && let Err(error) = self.spill()
            {
                self.failure = Some(error);
            }
        }
    }

    /// Simulates a failure of the temporary file.
    #[cfg(test)]
    pub(crate) fn fail(&mut self, error: io::Error) {
        self.failure = Some(error);
    }

    /// Sorts the records in memory and drops those beyond the limit.
    fn sort(&mut self) {
        self.items.sort_unstable_by(|one, other| one.key.cmp(&other.key));
        if self.items.len() >= self.limit {
            self.items.truncate(self.limit);
            self.end = Some(self.items.last().map_or_else(Box::default, |last| last.key.clone()));
        }
        self.bytes = self.items.iter().map(|item| item.key.len() + item.value.len() + OVERHEAD).sum();
    }

    fn spill(&mut self) -> io::Result<()> {
        self.runs.add(self.items.iter().map(|item| (&*item.key, &*item.value)))?;
        self.items = Vec::new();
        self.bytes = 0;
        Ok(())
    }

    /// Visits the first records of all threads in the order of their keys.
    pub(crate) fn each(
        mut all: Vec<Self>,
        mut visit: impl FnMut(&[u8]) -> ControlFlow<()>,
    ) -> Result<(), Failure> {
        let mut left = all.first().map_or(0, |sorted| sorted.limit);
        let has_runs = all.iter().any(|sorted| !sorted.runs.is_empty());
        for sorted in &mut all {
            sorted.sort();
            let spilled = if has_runs { sorted.spill() } else { Ok(()) };
            if let Some(error) = sorted.failure.take().or(spilled.err()) {
                return Err(failure(&error));
            }
        }
        let mut each = |value: &[u8]| {
            if left == 0 {
                return ControlFlow::Break(());
            }
            left -= 1;
            visit(value)
        };
        if has_runs {
            let runs: Vec<Runs> = all.into_iter().map(|sorted| sorted.runs).collect();
            return merge(&runs, |_, value| each(value)).map_err(|error| failure(&error));
        }
        let mut items: Vec<Item> = all.into_iter().flat_map(|sorted| sorted.items).collect();
        items.sort_unstable_by(|one, other| one.key.cmp(&other.key));
        // The visitor knows why it stopped.
        let _flow = items.iter().try_for_each(|item| each(&item.value));
        Ok(())
    }
}

/// Appends bytes of any length to a key in an encoding in which no value is a prefix of another.
pub(crate) fn push_text(bytes: &[u8], key: &mut Vec<u8>) {
    for byte in bytes {
        key.push(*byte);
        if *byte == 0 {
            key.push(u8::MAX);
        }
    }
    key.extend_from_slice(&[0, 0]);
}

/// Appends a number to a key. Its sign bit is inverted, so that negative numbers sort first.
pub(crate) fn push_number(number: i64, key: &mut Vec<u8>) {
    key.extend_from_slice(&(number ^ i64::MIN).to_be_bytes());
}

/// Reads one run, ahead in large blocks.
struct Reader<'f> {
    file: &'f File,
    rest: Range<u64>,
    ahead: usize,
    buffer: Vec<u8>,
    at: usize,
}

impl Reader<'_> {
    fn next(&mut self) -> io::Result<Option<(Vec<u8>, Vec<u8>)>> {
        if self.at == self.buffer.len() && self.rest.is_empty() {
            return Ok(None);
        }
        let (key, value) = (self.length()?, self.length()?);
        Ok(Some((self.take(key)?.to_vec(), self.take(value)?.to_vec())))
    }

    fn length(&mut self) -> io::Result<usize> {
        let bytes = self.take(4)?;
        Ok(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) as usize)
    }

    fn take(&mut self, len: usize) -> io::Result<&[u8]> {
        let left = self.buffer.len() - self.at;
        if left < len {
            self.buffer.drain(..self.at);
            self.at = 0;
            let rest = usize::try_from(self.rest.end - self.rest.start).unwrap_or(usize::MAX);
            let more = (len - left).max(self.ahead).min(rest);
            self.buffer.resize(left + more, 0);
            self.file.read_exact_at(&mut self.buffer[left..], self.rest.start)?;
            self.rest.start += more as u64;
        }
        let taken = self.buffer.get(self.at..self.at + len).ok_or(io::ErrorKind::UnexpectedEof)?;
        self.at += len;
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_merged_in_key_order() {
        let mut all = [Runs::default(), Runs::default()];
        let key = |number: u32| number.to_be_bytes().to_vec();
        for (index, run) in (0..20_u32).enumerate() {
            let keys: Vec<_> = (0..500).map(|number| key(number * 20 + run)).collect();
            let long = "x".repeat(if run == 7 { 20_000 } else { 3 });
            all[index % 2].add(keys.iter().map(|key| (key.as_slice(), long.as_bytes()))).unwrap();
        }
        let mut next = 0;
        merge(&all, |found, value| {
            assert_eq!(found, key(next), "{next}");
            assert_eq!(value.len(), if next % 20 == 7 { 20_000 } else { 3 });
            next += 1;
            ControlFlow::Continue(())
        })
        .unwrap();
        assert_eq!(next, 10_000);
        merge(&[Runs::default()], |_, _| panic!("there is no record")).unwrap();
    }
}
