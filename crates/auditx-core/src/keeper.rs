//! What happens to sealed segments, on a thread of its own: compression and retirement.

use std::fs::{self, File};
use std::io::{self, BufRead, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use crate::app_log::AppLog;
use crate::bell::Bell;
use crate::c2sp::{self, NodeIndex};
use crate::config::{Compression, Retention};
use crate::error::{Error, Result};
use crate::follow::Progress;
use crate::journal::Direct;
use crate::metrics::Counters;
use crate::notary::Notary;
use crate::own_record::OwnRecord;
use crate::segment::{SealedSegment, open_segment, sealed_segments};
use crate::storage::{Disk, Storage, open_own, own_options};
use crate::tiles::Tiles;
use crate::tree::CompactRange;
use crate::watermark::Watermark;

/// Fast, and within a few percent of what slower levels reach on JSON lines.
const ZSTD_LEVEL: i32 = 3;

const TEMPORARY_SUFFIX: &str = ".zst.tmp";

/// How often retention looks without having heard of a seal: segments grow old, and followers pass them later.
const ROUND: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(crate) struct Keeper {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// What the keeper works with.
#[derive(Debug)]
pub(crate) struct Duty {
    pub(crate) directory: PathBuf,
    pub(crate) compression: Compression,
    pub(crate) retention: Retention,
    pub(crate) journal: Arc<Direct>,
    pub(crate) notary: Arc<Notary>,
    pub(crate) watermark: Arc<Watermark>,
    pub(crate) followers: Vec<Arc<Progress>>,
    pub(crate) sealed: Arc<Bell>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) app_log: Arc<AppLog>,
}

#[derive(Debug)]
struct Shared {
    duty: Duty,
    stopping: AtomicBool,
}

impl Keeper {
    /// Starts the thread; none where sealed segments stay as they are.
    pub(crate) fn start(duty: Duty) -> Result<Option<Self>> {
        if duty.compression == Compression::None && duty.retention == Retention::KeepEverything {
            return Ok(None);
        }
        let shared = Arc::new(Shared { duty, stopping: false.into() });
        let thread = std::thread::Builder::new()
            .name("auditx-keeper".to_owned())
            .spawn({
                let shared = shared.clone();
                move || shared.run()
            })
            .map_err(|error| Error::storage("cannot start the keeper's thread", "auditx-keeper", error))?;
        Ok(Some(Self { shared, thread: Some(thread) }))
    }

    /// Ends the thread after the segment at hand.
    pub(crate) fn stop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        self.shared.duty.sealed.ring();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            self.shared.duty.app_log.trouble("the keeper's thread panicked");
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    fn run(&self) {
        while !self.is_stopping() {
            if let Err(error) = self.round() {
                self.duty.counters.keeping_failures.add(1);
                self.duty.app_log.trouble(&format!("sealed segments: {error}"));
            }
            let ages = self.duty.retention != Retention::KeepEverything;
            self.duty.sealed.wait(ages.then_some(ROUND));
        }
    }

    fn round(&self) -> Result<()> {
        self.retire()?;
        if self.duty.compression == Compression::Zstd {
            for segment in sealed_segments(&self.duty.directory)? {
                if self.is_stopping() {
                    break;
                }
                if !segment.compressed {
                    compress(&segment.path, &self.duty.directory)?;
                    self.duty.counters.compressed.add(1);
                }
            }
        }
        Ok(())
    }

    /// The tombstone first and durable, then the deletion: a segment is never missing without a word.
    fn retire(&self) -> Result<()> {
        let segments = sealed_segments(&self.duty.directory)?;
        for (place, segment) in segments.iter().enumerate() {
            let Some(why) = self.reason_to_retire(segment, segments.len() - place)? else { break };
            let end = match segments.get(place + 1) {
                Some(next) => next.first_seq,
                None => self.duty.journal.appender().first_seq(),
            };
            if !self.duty.followers.iter().all(|follower| follower.has_passed(end)) {
                break;
            }
            let name =
                segment.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let frontier = self.frontier(end)?;
            let record = OwnRecord::Retired { segment: name, first_seq: segment.first_seq, frontier, why };
            let seq = self.duty.journal.push_own(&record)?;
            self.duty.watermark.wait_durable(seq + 1, None)?;
            Disk.remove(&segment.path)
                .and_then(|()| Disk.sync_directory(&self.duty.directory))
                .map_err(|error| Error::storage("cannot remove a retired segment", &segment.path, error))?;
            self.duty.counters.retired.add(1);
        }
        Ok(())
    }

    /// The hashes that stand for the lines up to here once these are gone: from the cache, and held against what was signed.
    fn frontier(&self, end: u64) -> Result<CompactRange> {
        let differs = || {
            Error::corrupt(format!(
                "the tree up to line {end} is not the one that was signed: nothing is retired"
            ))
        };
        let tiles = Tiles::open(&self.duty.directory);
        let frontier = tiles.frontier(end).ok_or_else(differs)?;
        let (Some(root), Some(latest)) = (frontier.root(), self.duty.notary.latest()) else {
            return Err(differs());
        };
        let mut nodes = |wanted: &[NodeIndex]| {
            wanted.iter().map(|(level, place)| tiles.node(*level, *place).ok_or_else(differs)).collect()
        };
        let path = c2sp::prove_consistency(end, latest.size(), &mut nodes)?;
        let is_prefix = c2sp::is_consistent(&path, (end, &root), (latest.size(), latest.root()));
        if is_prefix { Ok(frontier) } else { Err(differs()) }
    }

    fn reason_to_retire(&self, segment: &SealedSegment, remaining: usize) -> Result<Option<String>> {
        match self.duty.retention {
            Retention::KeepEverything => Ok(None),
            Retention::BackupCount(count) => {
                Ok((remaining > count).then(|| format!("more than {count} sealed segments")))
            }
            Retention::RetainFor(age) => {
                let sealed = fs::metadata(&segment.path).and_then(|metadata| metadata.modified()).map_err(
                    |error| Error::storage("cannot examine a sealed segment", &segment.path, error),
                )?;
                let is_old = SystemTime::now().duration_since(sealed).is_ok_and(|since| since > age);
                Ok(is_old.then(|| format!("sealed longer than {} ago", humantime::format_duration(age))))
            }
        }
    }
}

/// To a temporary name, checked by decompressing, then renamed; only then the plain file goes. Its time stays, since
/// retention counts from it.
fn compress(plain: &Path, directory: &Path) -> Result<()> {
    let name = plain.to_string_lossy().into_owned();
    let (temporary, done) =
        (PathBuf::from(format!("{name}{TEMPORARY_SUFFIX}")), PathBuf::from(format!("{name}.zst")));
    let work = || -> io::Result<()> {
        let source = open_own(plain, own_options().read(true))?;
        let target = open_own(&temporary, own_options().write(true).create(true).truncate(true))?;
        let mut encoder = zstd::Encoder::new(&target, ZSTD_LEVEL)?;
        encoder.include_checksum(true)?;
        io::copy(&mut &source, &mut encoder)?;
        encoder.finish()?.flush()?;
        target.set_modified(source.metadata()?.modified()?)?;
        target.sync_all()?;
        if !is_same(plain, &temporary)? {
            return Err(io::Error::other("what was compressed does not decompress to the same bytes"));
        }
        fs::rename(&temporary, &done)?;
        Disk.sync_directory(directory)?;
        fs::remove_file(plain)?;
        Disk.sync_directory(directory)
    };
    work().map_err(|error| Error::storage("cannot compress a sealed segment", plain, error))
}

fn is_same(plain: &Path, compressed: &Path) -> io::Result<bool> {
    let mut left: Box<dyn BufRead + Send> = open_segment(plain, false)?;
    let mut right = zstd::Decoder::new(File::open(compressed)?)?;
    let mut theirs = Vec::new();
    loop {
        let ours = left.fill_buf()?;
        theirs.resize(ours.len().max(1), 0);
        if ours.is_empty() {
            return Ok(right.read(&mut theirs)? == 0);
        }
        let len = ours.len();
        match right.read_exact(&mut theirs[..len]) {
            Ok(()) if theirs[..len] == *ours => left.consume(len),
            Ok(()) => return Ok(false),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
            Err(error) => return Err(error),
        }
    }
}
