//! Threads that read and hash a trail's segments, a stretch each, and hand over what they found in the order of the trail.
//!
//! Comes in: segments. Goes out: [`Report`]s. Memory stays flat: whoever is ahead waits until those before are taken.

use std::fs::File;
use std::io;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use auditx_core::Frame;

use super::files::{Opened, SegmentFile};
use super::row::Row;
use super::scan::{Cache, KnownKeys, Piece, Scan};
use super::window::Window;
use crate::error::{Error, Result};

/// Large enough that handing over costs nothing, small enough to be shared evenly and kept in memory.
pub(super) const STRETCH: usize = 1024 * 1024;

/// Stretches of one compressed segment that wait to be taken: enough for a whole one of the usual size.
const WAITING: usize = 16;

/// How much is read at once beyond a stretch to find the end of its last line.
const STEP: u64 = 2 * 1024;

/// What a thread has to say, in the order of the trail.
#[derive(Debug)]
pub(super) enum Report {
    Lines(Box<Piece>),
    /// The segment cannot be read on.
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
    /// Where in its text.
    pub(super) offset: u64,
    pub(super) why: String,
}

/// What all threads share.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shared<'a> {
    pub(super) files: &'a [SegmentFile],
    pub(super) keys: &'a KnownKeys,
    pub(super) row: Option<&'a Row>,
    pub(super) signed: u64,
    pub(super) stretch: usize,
}

/// Reads all segments with so many threads. `take` gets the reports in order on this thread, until it gives false.
///
/// # Errors
/// `is_storage` where no thread can be started.
pub(super) fn read(shared: Shared<'_>, threads: usize, mut take: impl FnMut(Report) -> bool) -> Result<()> {
    let (orders, taken) = sync_channel(2 * threads);
    let cutter = Mutex::new(Cutter { shared, next: 0, open: None, orders: Some(orders) });
    let mut outcome = Ok(());
    thread::scope(|scope| {
        // Moved in, so that whoever still waits to be taken hears that nobody takes any more.
        let taken: Receiver<Receiver<Report>> = taken;
        for number in 0..threads {
            let name = format!("auditx-verify-{number}");
            let spawned =
                thread::Builder::new().name(name.clone()).spawn_scoped(scope, || work(shared, &cutter));
            // One thread does all of it, where there can be no more.
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

/// Cuts the segments into stretches.
struct Cutter<'a> {
    shared: Shared<'a>,
    next: usize,
    open: Option<Cut>,
    /// Gone when there is no more to do.
    orders: Option<SyncSender<Receiver<Report>>>,
}

/// A plain segment, and how far it has been given out.
struct Cut {
    segment: usize,
    file: Arc<File>,
    at: u64,
    len: u64,
}

enum Job {
    Plain { segment: usize, file: Arc<File>, begin: u64, end: u64, len: u64 },
    Packed { segment: usize, file: File },
    Unreadable(Report),
}

impl Cutter<'_> {
    /// The next job, and where its reports go; none when everything is given out or nobody listens.
    fn next(&mut self) -> Option<(Job, SyncSender<Report>)> {
        let Some(job) = self.cut() else {
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

    fn cut(&mut self) -> Option<Job> {
        loop {
            if let Some(Cut { segment, file, at, len }) = &mut self.open {
                let (begin, len) = (*at, *len);
                *at = len.min(begin + self.shared.stretch as u64);
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
                Ok(Opened::Plain(file, len)) => self.open = Some(Cut { segment, file, at: 0, len }),
                Ok(Opened::Packed(file)) => return Some(Job::Packed { segment, file }),
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

/// Lets a thread that panics end it all: nobody is to wait for what it had to give.
struct Ending<'c, 'a>(&'c Mutex<Cutter<'a>>);

impl Drop for Ending<'_, '_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).orders = None;
        }
    }
}

fn work(shared: Shared<'_>, cutter: &Mutex<Cutter<'_>>) {
    let _ending = Ending(cutter);
    let mut worker = Worker { shared, window: Window::new(), cache: Cache::new(shared.row, shared.signed) };
    loop {
        let job = cutter.lock().unwrap_or_else(PoisonError::into_inner).next();
        let Some((job, reports)) = job else { return };
        if !worker.run(job, &reports) {
            return;
        }
    }
}

/// One thread, with its buffers.
struct Worker<'a> {
    shared: Shared<'a>,
    window: Window,
    cache: Cache<'a>,
}

impl Worker<'_> {
    /// Whether somebody took everything.
    fn run(&mut self, job: Job, reports: &SyncSender<Report>) -> bool {
        match job {
            Job::Unreadable(report) => reports.send(report).is_ok(),
            Job::Packed { segment, file } => self.unpack(segment, file, reports),
            Job::Plain { segment, file, begin, end, len } => {
                let report = match self.stretch(segment, &file, (begin, end, len)) {
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

    /// The lines that begin in `begin..end` of a file of `len` bytes.
    fn stretch(
        &mut self,
        segment: usize,
        file: &File,
        (begin, end, len): (u64, u64, u64),
    ) -> io::Result<Piece> {
        let Self { shared, window, cache } = self;
        let mut at = begin;
        window.clear();
        // A line that begins before this stretch is part of the one before.
        if begin > 0 {
            at -= 1;
            loop {
                at += window.fill_at(file, at, end)? as u64;
                if let Some(newline) = memchr::memchr(b'\n', window.unread()) {
                    window.pass(newline + 1);
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

    /// Reads a compressed segment from its beginning to its end; whether somebody took everything.
    fn unpack(&mut self, segment: usize, file: File, reports: &SyncSender<Report>) -> bool {
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
            if scan.len() >= shared.stretch as u64 {
                let piece = std::mem::replace(&mut scan, Scan::new(segment, offset)).finish(0, 0, cache);
                if reports.send(Report::Lines(Box::new(piece))).is_err() {
                    return false;
                }
            }
        }
    }
}

/// Reads on to the end of the line that the window holds the beginning of, and no further. Gives how far was read.
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

/// Whether a line ends somewhere from here on: it is too long for one, unless it is what a crash left at the end.
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
