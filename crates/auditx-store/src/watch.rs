//! Watches the names that the trail relies on: once a second each is compared with the file that is open.
//! What another program renamed, removed or replaced is restored, or the trail refuses further entries.
//!
//! The appender compares the segments after each fdatasync. docs/OPERATIONS.md lists each name and what
//! happens to it.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use auditx_format::{Error, Result};
use auditx_tlog::{Signer, SigningKey, VerifierKey};

use crate::checkpoint_signer::{CHECKPOINT, CheckpointSigner};
use crate::dir::{Access, Dir, FileStat};
use crate::follow::projection;
use crate::identity::IDENTITY;
use crate::journal::Ring;
use crate::key_source::{KEY, KEYS_DIR, KeySource};
use crate::lock::{LOCK, Lock};
use crate::ring::RING;
use crate::segment::AUDITX_DIR;
use crate::trail::Trail;

/// Names all sealed segments in a report.
const SEALED: &str = "audit-*.jsonl";

/// How often the names are checked.
pub(crate) const INTERVAL: Duration = Duration::from_secs(1);

/// How long accepted entries may take to be written before the ring's file is restored; after that the next
/// check tries again.
const RING_LIMIT: Duration = Duration::from_secs(5);

/// The watch over an open trail.
#[derive(Debug)]
pub(crate) struct Watch {
    trail: Arc<Trail>,
    /// `.auditx`, open.
    own: OwnedFd,
    lock: Arc<Mutex<Lock>>,
    checkpoint_signer: Arc<CheckpointSigner>,
    ring: Option<Arc<Ring>>,
    identity: KnownFile,
    /// `None` unless the trail keeps its key itself.
    key: Option<KnownFile>,
    security: Option<FileStat>,
    /// The names that could not be restored, and were reported.
    reported: HashSet<&'static str>,
}

/// A small file whose bytes are kept in memory.
#[derive(Debug)]
struct KnownFile {
    name: &'static str,
    /// Open, so that no other file gets its inode number.
    file: File,
    bytes: Vec<u8>,
}

impl KnownFile {
    fn read(directory: &Dir, name: &'static str) -> io::Result<Self> {
        let (mut file, mut bytes) = (directory.open(name, Access::READ)?, Vec::new());
        file.read_to_end(&mut bytes)?;
        Ok(Self { name, file, bytes })
    }

    fn is(&self, named: Option<&FileStat>) -> io::Result<bool> {
        let ours = FileStat::of(&self.file)?;
        Ok(named.is_some_and(|named| named.is_same(&ours)))
    }

    /// Rewrites the file if another one has its name, unless `is_right` accepts that one's bytes. Returns
    /// whether it was rewritten.
    fn restore(
        &mut self,
        directory: &Dir,
        is_private: bool,
        is_right: impl Fn(&[u8]) -> bool,
    ) -> io::Result<bool> {
        let named = directory.stat(self.name)?;
        if self.is(named.as_ref())? {
            return Ok(false);
        }
        if let Ok(found) = Self::read(directory, self.name)
            && is_right(&found.bytes)
        {
            *self = found;
            return Ok(false);
        }
        if named.is_some() {
            directory.set_aside(self.name)?;
        }
        directory.replace(self.name, &self.bytes, is_private)?;
        *self = Self::read(directory, self.name)?;
        Ok(true)
    }
}

impl Watch {
    /// Records which files have the names now.
    ///
    /// # Errors
    /// `is_storage` if one of them cannot be read.
    pub(crate) fn new(
        trail: Arc<Trail>,
        lock: Arc<Mutex<Lock>>,
        checkpoint_signer: Arc<CheckpointSigner>,
        ring: Option<Arc<Ring>>,
    ) -> Result<Self> {
        let directory = &trail.directory;
        let remember = |name| {
            KnownFile::read(directory, name).map_err(|error| {
                Error::storage("cannot read a file of the trail", directory.join(name), error)
            })
        };
        let own = directory.open_directory(AUDITX_DIR).map_err(|error| {
            Error::storage("cannot examine the trail's directory", directory.join(AUDITX_DIR), error)
        })?;
        let identity = remember(IDENTITY)?;
        let key =
            if matches!(trail.config.signing_key, KeySource::Trail) { Some(remember(KEY)?) } else { None };
        let reported = HashSet::new();
        Ok(Self { trail, own, lock, checkpoint_signer, ring, identity, key, reported, security: None })
    }

    /// Checks every name once. Costs about ten stat(2), and a listing of the directory if it has changed.
    ///
    /// # Errors
    /// `is_storage` if the trail must take no more entries: its directory or `.auditx` was moved, removed or
    /// replaced.
    pub(crate) fn check(&mut self) -> Result<()> {
        self.trail.app_log.follow_name();
        if !self.trail.directory.is_reachable() {
            return Err(self.trail.directory.unreachable());
        }
        if !self.is_own_directory_there() {
            let what = "`.auditx` was moved, removed or replaced by another program; the trail takes no more \
                        entries; move it back and open the trail again";
            let error = io::Error::other("it holds the trail's key, checkpoint, lock and journal");
            return Err(Error::storage(what, self.trail.directory.join(AUDITX_DIR), error));
        }
        self.check_files();
        self.check_security();
        self.check_sealed();
        if let Some(ring) = &self.ring {
            ring.clear_dead();
        }
        Ok(())
    }

    fn is_own_directory_there(&self) -> bool {
        match (self.trail.directory.stat(AUDITX_DIR), FileStat::of(&self.own)) {
            (Ok(named), Ok(own)) => named.is_some_and(|named| named.is_same(&own)),
            // Nothing is known if the directory cannot be examined.
            _ => true,
        }
    }

    fn check_files(&mut self) {
        let lock = self.lock.lock().unwrap_or_else(PoisonError::into_inner).restore();
        self.report(LOCK, lock);
        let identity = self.identity.restore(&self.trail.directory, false, |_| false);
        self.report(IDENTITY, identity);
        let checkpoint = self.checkpoint_signer.restore().map_err(io::Error::other);
        self.report(CHECKPOINT, checkpoint);
        if let Some(mut key) = self.key.take() {
            let restored = self.restore_key(&mut key);
            self.report(KEY, restored);
            self.key = Some(key);
        }
        if let Some(ring) = &self.ring {
            let restored = ring.restore(Instant::now() + RING_LIMIT).map_err(io::Error::other);
            self.report(RING, restored);
        }
    }

    fn restore_key(&self, key: &mut KnownFile) -> io::Result<bool> {
        if key.is(self.trail.directory.stat(KEY).unwrap_or_default().as_ref())? {
            return Ok(false);
        }
        let signs = self.checkpoint_signer.key();
        let is_right = |bytes: &[u8]| {
            SigningKey::from_pem(&String::from_utf8_lossy(bytes))
                .and_then(|found| VerifierKey::new(signs.name(), &found.public_key()))
                .is_ok_and(|found| found == signs)
        };
        if !is_right(&key.bytes) {
            // Another key signs now, which the trail does not keep; or its file is about to replace this one.
            *key = KnownFile::read(&self.trail.directory, KEY)?;
            return Ok(false);
        }
        self.trail.directory.create_private_directory(KEYS_DIR)?;
        key.restore(&self.trail.directory, true, is_right)
    }

    fn report(&mut self, name: &'static str, outcome: io::Result<bool>) {
        match outcome {
            Ok(was_restored) => {
                self.reported.remove(name);
                if was_restored {
                    self.trail.app_log.report(&format!(
                        "`{name}` was renamed, removed or replaced by another program, and was restored"
                    ));
                    self.trail.counters.restored.add(1);
                }
            }
            // Tried again with each check, and reported once.
            Err(error) => {
                if self.reported.insert(name) {
                    self.trail.counters.restore_failures.add(1);
                    self.trail.app_log.report(&format!(
                        "`{name}` was renamed, removed or replaced by another program, and cannot be \
                         restored: {error}"
                    ));
                }
            }
        }
    }

    /// security.jsonl may be rotated by other programs: if the old file lost its name, a new one is created.
    fn check_security(&mut self) {
        let name = projection::FILE_NAME;
        let trail = self.trail.clone();
        let mut is_replaced = trail.projection.lock();
        let Ok(named) = self.trail.directory.stat(name) else { return };
        let by_erasure = std::mem::take(&mut *is_replaced);
        let is_known = match (&self.security, &named) {
            (Some(known), Some(named)) => known.is_same(named) || by_erasure,
            (None, Some(_)) => true,
            (_, None) => false,
        };
        if !is_known {
            let created = projection::ensure_exists(&self.trail.directory);
            let message = match &created {
                Ok(()) => format!(
                    "`{name}` was renamed, removed or replaced by another program; the lines that follow go \
                     to a new file; the trail holds all of them: `auditx query level:SECURITY`"
                ),
                Err(error) => format!("`{name}` was moved by another program and cannot be created: {error}"),
            };
            if created.is_ok() || self.reported.insert(name) {
                self.trail.app_log.report(&message);
            }
        }
        self.security = self.trail.directory.stat(name).ok().flatten();
        if self.security.is_some() {
            self.reported.remove(name);
        }
    }

    fn check_sealed(&mut self) {
        let gone = match self.trail.registry.missing(&self.trail.directory) {
            Ok(gone) => gone,
            Err(error) => return self.report(SEALED, Err(io::Error::other(error))),
        };
        for first_seq in gone {
            self.trail.app_log.report(&format!(
                "the sealed segment that begins with line {first_seq} was renamed or removed by another \
                 program; restore the file: `auditx verify` names the missing lines"
            ));
            self.trail.counters.missing_segments.add(1);
        }
    }
}
