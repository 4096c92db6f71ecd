//! Reads and hashes a trail's segments in parallel, one chunk at a time, and reports in the order of the
//! trail.

use std::fs::File;
use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;

use auditx_store::Frame;

use super::files::{Opened, SegmentFile};
use super::leaf_cache::LeafCache;
use super::scan::{CacheComparison, KnownKeys, Piece, Scan};
use super::stamped::StampedCheckpoint;
use super::window::Window;
use crate::error::{Error, Result};
use crate::pool::{Output, Pool};

/// Chunks of one compressed segment that may wait to be taken: enough for a whole segment of the usual size.
const WAITING: usize = 16;

/// Bytes read at once beyond a chunk to find the end of its last line.
const STEP: u64 = 2 * 1024;

/// What a thread reports, in the order of the trail.
#[derive(Debug)]
pub(super) enum Report {
    Lines(Box<Piece>),
    /// The rest of the segment cannot be read.
    Broken(Breakage),
    /// The segment is no longer there.
    Vanished,
    Failed(Error),
}

/// A segment that cannot be read, or not to its end.
#[derive(Debug)]
pub(super) struct Breakage {
    pub(super) segment: usize,
    pub(super) is_file: bool,
    /// The offset in its text.
    pub(super) offset: u64,
    pub(super) why: String,
}

/// What all threads share.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shared<'a> {
    pub(super) files: &'a [SegmentFile],
    pub(super) keys: &'a KnownKeys,
    pub(super) leaf_cache: Option<&'a LeafCache>,
    pub(super) signed: u64,
    pub(super) chunk: usize,
    /// In the order of sizes.
    pub(super) stamped: &'a [StampedCheckpoint],
}

/// Reads all segments with `threads` threads. `take` gets the reports in order on this thread, until it
/// breaks.
///
/// # Errors
/// `is_storage` if no thread can be started.
pub(super) fn read(
    shared: Shared<'_>,
    threads: usize,
    take: impl FnMut(Report) -> ControlFlow<()>,
) -> Result<()> {
    let init = || Worker {
        shared,
        window: Window::new(),
        cache: CacheComparison::new(shared.leaf_cache, shared.signed),
    };
    let work = |worker: &mut Worker<'_>, job, reports: &Output<Report>| worker.run(job, reports);
    let pool = Pool { name: "verify", threads, waiting: WAITING, ahead: 2 * threads };
    pool.run(Splitter { shared, next: 0, open: None }, &init, &work, take).map(drop)
}

/// Splits the segments into jobs.
struct Splitter<'a> {
    shared: Shared<'a>,
    next: usize,
    open: Option<OpenSegment>,
}

/// A plain segment and the offset up to which jobs were given out.
struct OpenSegment {
    segment: usize,
    file: Arc<File>,
    at: u64,
    len: u64,
}

enum Job {
    Plain { segment: usize, file: Arc<File>, begin: u64, end: u64, len: u64 },
    Compressed { segment: usize, file: File },
    Unreadable(Report),
}

impl Iterator for Splitter<'_> {
    type Item = Job;

    fn next(&mut self) -> Option<Job> {
        loop {
            if let Some(OpenSegment { segment, file, at, len }) = &mut self.open {
                let (begin, len) = (*at, *len);
                *at = len.min(begin + self.shared.chunk as u64);
                let job = Job::Plain { segment: *segment, file: file.clone(), begin, end: *at, len };
                if *at == len {
                    self.open = None;
                }
                return Some(job);
            }
            let segment = self.next;
            let opened = self.shared.files.get(segment)?.open();
            self.next += 1;
            match opened {
                Ok(Opened::Plain(file, len)) => self.open = Some(OpenSegment { segment, file, at: 0, len }),
                Ok(Opened::Compressed(file)) => return Some(Job::Compressed { segment, file }),
                Ok(Opened::Vanished) => return Some(Job::Unreadable(Report::Vanished)),
                Ok(Opened::Refused(why)) => {
                    let breakage = Breakage { segment, is_file: false, offset: 0, why };
                    return Some(Job::Unreadable(Report::Broken(breakage)));
                }
                Err(error) => return Some(Job::Unreadable(Report::Failed(error))),
            }
        }
    }
}

/// One thread and its buffers.
struct Worker<'a> {
    shared: Shared<'a>,
    window: Window,
    cache: CacheComparison<'a>,
}

impl Worker<'_> {
    /// Runs a job. Returns `Break` once reports are no longer wanted.
    fn run(&mut self, job: Job, reports: &Output<Report>) -> ControlFlow<()> {
        match job {
            Job::Unreadable(report) => reports.put(report),
            Job::Compressed { segment, file } => self.read_compressed(segment, file, reports),
            Job::Plain { segment, file, begin, end, len } => {
                let report = match self.chunk(segment, &file, (begin, end, len)) {
                    Ok(piece) => Report::Lines(Box::new(piece)),
                    Err(error) => {
                        let path = self.shared.files[segment].path();
                        Report::Failed(Error::storage("cannot read the segment", path, error).at_byte(begin))
                    }
                };
                reports.put(report)
            }
        }
    }

    /// Scans the lines that begin in `begin..end` of a file of `len` bytes.
    fn chunk(
        &mut self,
        segment: usize,
        file: &File,
        (begin, end, len): (u64, u64, u64),
    ) -> io::Result<Piece> {
        let Self { shared, window, cache } = self;
        let mut at = begin;
        window.clear();
        // A line that begins before this chunk belongs to the previous one.
        if begin > 0 {
            at -= 1;
            loop {
                at += window.fill_at(file, at, end)? as u64;
                if let Some(newline) = memchr::memchr(b'\n', window.unread()) {
                    window.consume(newline + 1);
                    break;
                }
                window.clear();
                if at == end {
                    break;
                }
            }
        }
        let mut scan = Scan::new(segment, at - window.len() as u64);
        while !scan.is_stopped() {
            scan.take(window, shared.keys);
            let read = if window.is_full() { 0 } else { window.fill_at(file, at, end)? };
            at += read as u64;
            if read == 0 {
                break;
            }
        }
        let mut rest = 0;
        if !scan.is_stopped() && window.len() > 0 {
            at = end_line(window, file, at, len)?;
            scan.take(window, shared.keys);
            if window.len() > 0 && !scan.is_stopped() {
                rest = len - scan.offset();
                if has_newline(window, file, at, len)? {
                    scan.stop();
                }
            }
        }
        Ok(scan.finish(rest, end - begin, cache))
    }

    /// Scans a whole compressed segment. Returns `Break` once reports are no longer wanted.
    fn read_compressed(&mut self, segment: usize, file: File, reports: &Output<Report>) -> ControlFlow<()> {
        let Self { shared, window, cache } = self;
        let broken = |offset, why: &str| {
            reports.put(Report::Broken(Breakage { segment, is_file: true, offset, why: why.to_owned() }))
        };
        let len = file.metadata().map_or(0, |metadata| metadata.len());
        let mut decoder = match Frame::new(file) {
            Ok(decoder) => decoder,
            Err(error) => return broken(0, &error.to_string()),
        };
        window.clear();
        let mut scan = Scan::new(segment, 0);
        loop {
            let read = match window.fill_from(&mut decoder) {
                Ok(read) => read,
                Err(error) => {
                    let offset = scan.offset();
                    reports.put(Report::Lines(Box::new(scan.finish(0, 0, cache))))?;
                    return broken(offset, &error.to_string());
                }
            };
            scan.take(window, shared.keys);
            if window.is_full() {
                scan.stop();
            }
            let offset = scan.offset();
            if read == 0 || scan.is_stopped() {
                let rest = window.len() as u64;
                return reports.put(Report::Lines(Box::new(scan.finish(rest, len, cache))));
            }
            if scan.len() >= shared.chunk as u64 {
                let piece = std::mem::replace(&mut scan, Scan::new(segment, offset)).finish(0, 0, cache);
                reports.put(Report::Lines(Box::new(piece)))?;
            }
        }
    }
}

/// Reads to the end of the line whose beginning the window holds, and no further. Returns the offset after
/// the last byte read.
fn end_line(window: &mut Window, file: &File, begin: u64, len: u64) -> io::Result<u64> {
    let mut at = begin;
    while !window.is_full() {
        let held = window.len();
        let read = window.fill_at(file, at, len.min(at + STEP))?;
        if let Some(newline) = memchr::memchr(b'\n', &window.unread()[held..]) {
            window.truncate(held + newline + 1);
            return Ok(at + newline as u64 + 1);
        }
        at += read as u64;
        if read == 0 {
            break;
        }
    }
    Ok(at)
}

/// Whether there is a newline from here on. If so, the line is too long to be valid; if not, it may be what a
/// crash left at the end.
fn has_newline(window: &mut Window, file: &File, begin: u64, len: u64) -> io::Result<bool> {
    let mut at = begin;
    loop {
        window.clear();
        let read = window.fill_at(file, at, len)?;
        if read == 0 {
            return Ok(false);
        }
        if memchr::memchr(b'\n', window.unread()).is_some() {
            return Ok(true);
        }
        at += read as u64;
    }
}
