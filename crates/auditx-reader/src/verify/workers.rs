//! Threads that read and hash a trail's segments, one chunk at a time, and report in the order of the trail.
//!
//! Memory is constant: a thread that is ahead waits until the earlier reports are taken.

use std::fs::File;
use std::io;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use auditx_store::Frame;

use super::files::{Opened, SegmentFile};
use super::leaf_cache::LeafCache;
use super::scan::{CacheComparison, KnownKeys, Piece, Scan};
use super::window::Window;
use crate::error::{Error, Result};

/// Large enough that the handover costs nothing, small enough to balance the threads and stay in memory.
pub(super) const CHUNK: usize = 1024 * 1024;

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
}

/// Reads all segments with `threads` threads. `take` gets the reports in order on this thread, until it
/// returns `false`.
///
/// # Errors
/// `is_storage` if no thread can be started.
pub(super) fn read(shared: Shared<'_>, threads: usize, mut take: impl FnMut(Report) -> bool) -> Result<()> {
    let (orders, taken) = sync_channel(2 * threads);
    let splitter = Mutex::new(Splitter { shared, next: 0, open: None, orders: Some(orders) });
    let mut outcome = Ok(());
    thread::scope(|scope| {
        // Moved in, so that threads waiting to send fail once no report is taken any more.
        let taken: Receiver<Receiver<Report>> = taken;
        for number in 0..threads {
            let name = format!("auditx-verify-{number}");
            let spawned =
                thread::Builder::new().name(name.clone()).spawn_scoped(scope, || work(shared, &splitter));
            // One thread can do all the work if no more can be started.
            if let (Err(error), 0) = (spawned, number) {
                outcome = Err(Error::storage("cannot start a thread to verify", name.as_ref(), error));
                return;
            }
        }
        for reports in taken {
            for report in reports {
                if !take(report) {
                    return;
                }
            }
        }
    });
    outcome
}

/// Splits the segments into jobs.
struct Splitter<'a> {
    shared: Shared<'a>,
    next: usize,
    open: Option<OpenSegment>,
    /// `None` once no job is left.
    orders: Option<SyncSender<Receiver<Report>>>,
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

impl Splitter<'_> {
    /// Returns the next job and the channel for its reports; `None` if all jobs are given out or reports are
    /// no longer taken.
    fn next(&mut self) -> Option<(Job, SyncSender<Report>)> {
        let Some(job) = self.next_job() else {
            self.orders = None;
            return None;
        };
        let (reports, taken) = sync_channel(WAITING);
        if self.orders.as_ref()?.send(taken).is_err() {
            self.orders = None;
            return None;
        }
        Some((job, reports))
    }

    fn next_job(&mut self) -> Option<Job> {
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

/// Ends the distribution of jobs if a thread panics, so that the reader does not wait for its report.
struct StopOnPanic<'c, 'a>(&'c Mutex<Splitter<'a>>);

impl Drop for StopOnPanic<'_, '_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).orders = None;
        }
    }
}

fn work(shared: Shared<'_>, splitter: &Mutex<Splitter<'_>>) {
    let _stop = StopOnPanic(splitter);
    let mut worker = Worker {
        shared,
        window: Window::new(),
        cache: CacheComparison::new(shared.leaf_cache, shared.signed),
    };
    loop {
        let job = splitter.lock().unwrap_or_else(PoisonError::into_inner).next();
        let Some((job, reports)) = job else { return };
        if !worker.run(job, &reports) {
            return;
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
    /// Runs a job; `false` if its reports are no longer taken.
    fn run(&mut self, job: Job, reports: &SyncSender<Report>) -> bool {
        match job {
            Job::Unreadable(report) => reports.send(report).is_ok(),
            Job::Compressed { segment, file } => self.read_compressed(segment, file, reports),
            Job::Plain { segment, file, begin, end, len } => {
                let report = match self.chunk(segment, &file, (begin, end, len)) {
                    Ok(piece) => Report::Lines(Box::new(piece)),
                    Err(error) => {
                        let path = self.shared.files[segment].path();
                        Report::Failed(Error::storage("cannot read the segment", path, error).at_byte(begin))
                    }
                };
                reports.send(report).is_ok()
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

    /// Scans a whole compressed segment; `false` if its reports are no longer taken.
    fn read_compressed(&mut self, segment: usize, file: File, reports: &SyncSender<Report>) -> bool {
        let Self { shared, window, cache } = self;
        let broken = |offset, why: &str| {
            reports
                .send(Report::Broken(Breakage { segment, is_file: true, offset, why: why.to_owned() }))
                .is_ok()
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
                    let is_taken = reports.send(Report::Lines(Box::new(scan.finish(0, 0, cache)))).is_ok();
                    return is_taken && broken(offset, &error.to_string());
                }
            };
            scan.take(window, shared.keys);
            if window.is_full() {
                scan.stop();
            }
            let offset = scan.offset();
            if read == 0 || scan.is_stopped() {
                let rest = window.len() as u64;
                let is_taken = reports.send(Report::Lines(Box::new(scan.finish(rest, len, cache)))).is_ok();
                return is_taken;
            }
            if scan.len() >= shared.chunk as u64 {
                let piece = std::mem::replace(&mut scan, Scan::new(segment, offset)).finish(0, 0, cache);
                if reports.send(Report::Lines(Box::new(piece))).is_err() {
                    return false;
                }
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
