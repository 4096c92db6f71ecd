//! What a trail must hold according to its latest checkpoint, read once before a reading command reads lines.
//!
//! A [`Head`] is read from a few small files. If they are not as the writer leaves them, it records a reason
//! for doubt, and verifying every line ([`verify`](crate::verify)) decides what is wrong. A doubt may be
//! unfounded; the only cost is time.

use std::fs;
use std::path::Path;

use auditx_format::control_record::StoredRecord;
use auditx_store::{SegmentIndex, Tiles, checkpoint_history, checkpoint_path};
use auditx_tlog::{SignedCheckpoint, VerifierKey};

use crate::file;
use crate::identity::log_name;
use crate::signed_leaves::SignedLeaves;

/// The state of a trail that is known before any line is read.
#[derive(Debug, Default)]
pub(crate) struct Head {
    /// The hashes of the signed lines; `None` if nothing is signed or the tile cache does not lead to the
    /// checkpoint.
    pub(crate) signed_leaves: Option<SignedLeaves>,
    /// The checkpoint with the most lines. It is the trail's own unless there is a doubt.
    pub(crate) checkpoint: Option<SignedCheckpoint>,
    /// The number of the first line; more than 0 if segments were retired.
    pub(crate) first_seq: u64,
    /// Why every line must be read to find out whether the trail is intact; `None` if there is no doubt.
    pub(crate) doubt: Option<String>,
    /// For trails written by tests, whose indexes no line names.
    #[cfg(test)]
    pub(crate) trusts_indexes: bool,
}

impl Head {
    pub(crate) fn of(directory: &Path) -> Self {
        let newest = match newest_checkpoint(directory) {
            Ok(Some(newest)) => newest,
            // Either a trail that is not signed yet or a directory of legacy lines: the first numbered line
            // tells them apart.
            Ok(None) => return Self::default(),
            Err(doubt) => return Self { doubt: Some(doubt), ..Self::default() },
        };
        let leaves_of = |checkpoint| SignedLeaves::open(Tiles::open(directory), checkpoint);
        let signed_leaves = leaves_of(&newest.checkpoint);
        let leads_to_latest = newest.latest.as_ref().is_none_or(|latest| leaves_of(latest).is_some());
        let mut head = Self::default();
        let outcome = match &signed_leaves {
            Some(signed_leaves) if leads_to_latest => head.examine(directory, &newest, signed_leaves),
            _ => Err("the tile cache does not match the checkpoint".to_owned()),
        };
        head.doubt = outcome.err();
        head.checkpoint = Some(newest.checkpoint);
        head.signed_leaves = signed_leaves;
        head
    }

    /// The number of signed lines; `None` if no checkpoint can be read.
    pub(crate) fn signed(&self) -> Option<u64> {
        self.checkpoint.as_ref().map(SignedCheckpoint::size)
    }

    /// Whether the writer made this index: the line that names its hash is in the signed tree.
    pub(crate) fn trusts(&self, index: &SegmentIndex) -> bool {
        #[cfg(test)]
        if self.trusts_indexes {
            return true;
        }
        let signed_leaves = self.signed_leaves.as_ref();
        signed_leaves.zip(index.record()).is_some_and(|(signed_leaves, record)| signed_leaves.holds(record))
    }

    fn examine(
        &mut self,
        directory: &Path,
        Newest { checkpoint, latest }: &Newest,
        signed_leaves: &SignedLeaves,
    ) -> Result<(), String> {
        let log_name = log_name(directory);
        let copies = signed_leaves.control_records(directory).ok_or(".auditx/control.jsonl is missing")?;
        let mut keys: Vec<VerifierKey> = Vec::new();
        for copy in copies {
            let record = copy.ok_or(".auditx/control.jsonl holds a line that is not in the trail")?;
            if let StoredRecord::Retired { frontier } = &record {
                self.first_seq = self.first_seq.max(frontier.end());
            }
            keys.extend(record.signing_key().cloned());
        }
        let newest_key = keys.last().ok_or(".auditx/control.jsonl names no key")?;
        // The latest checkpoint, if older, may be signed with a key that has since been replaced.
        let signed = [(Some(checkpoint), std::slice::from_ref(newest_key)), (latest.as_ref(), &*keys)];
        for (checkpoint, keys) in
            signed.into_iter().filter_map(|(checkpoint, keys)| Some((checkpoint?, keys)))
        {
            if log_name.as_deref() != Some(checkpoint.origin()) {
                return Err(".auditx/trail.json names a different trail from the checkpoint".to_owned());
            }
            checkpoint.verify(keys).map_err(|fault| format!("the checkpoint: {fault}"))?;
        }
        Ok(())
    }
}

/// The checkpoint with the most lines: `.auditx/checkpoint`, or one in `.auditx/checkpoints/`.
struct Newest {
    checkpoint: SignedCheckpoint,
    /// `.auditx/checkpoint`, if it is an older one.
    latest: Option<SignedCheckpoint>,
}

/// Returns the newest checkpoint; `None` if nothing is signed.
///
/// The writer saves a checkpoint to `checkpoints/` before it replaces the latest, so a saved one may be ahead
/// for a moment. It stays ahead if an older `.auditx/checkpoint` was put back; the trail is then checked
/// against the newer one.
fn newest_checkpoint(directory: &Path) -> Result<Option<Newest>, String> {
    let Some(latest) = read_checkpoint(&checkpoint_path(directory))? else { return Ok(None) };
    let kept = checkpoint_history(directory);
    let names = fs::read_dir(&kept).into_iter().flatten();
    let sizes = names.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u64>().ok());
    let newest = match sizes.max().filter(|newest| *newest > latest.size()) {
        Some(newest) => read_checkpoint(&kept.join(newest.to_string()))?.map(|kept| (newest, kept)),
        None => None,
    };
    match newest {
        Some((named, kept)) if named != kept.size() => {
            Err(format!("`.auditx/checkpoints/{named}` covers {} lines", kept.size()))
        }
        Some((_, kept)) => Ok(Some(Newest { checkpoint: kept, latest: Some(latest) })),
        None => Ok(Some(Newest { checkpoint: latest, latest: None })),
    }
}

fn read_checkpoint(path: &Path) -> Result<Option<SignedCheckpoint>, String> {
    match file::read_small(path) {
        Ok(None) => Ok(None),
        Ok(Some(note)) => SignedCheckpoint::parse(&note).map(Some).map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use auditx_core::{AuditLogger, Config, KeySource, Retention};
    use auditx_tlog::SigningKey;

    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(60);

    /// A doubt costs reading the whole trail, so an intact trail must not raise one.
    #[test]
    fn an_intact_trail_raises_no_doubt_at_any_time() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(Head::of(directory.path()).doubt, None, "no trail yet");
        let logger = AuditLogger::open(Config::new(directory.path()).max_file_bytes(65_536)).unwrap();
        let record = |count: usize| {
            for number in 0..count {
                logger.log(format!("entry {number} {}", "x".repeat(500))).record().unwrap();
                if number % 50 == 0 {
                    assert_eq!(Head::of(directory.path()).doubt, None, "entry {number}");
                }
            }
            logger.flush(TIMEOUT).unwrap();
        };
        record(600);
        logger.rotate_key(&KeySource::Trail).unwrap();
        assert_eq!(Head::of(directory.path()).doubt, None, "after a key change");
        logger.erase(9, "asked for").unwrap();
        record(300);
        assert!(!logger.retire(Retention::BackupCount(2)).unwrap().segments.is_empty());
        let head = Head::of(directory.path());
        assert_eq!(head.doubt, None, "after retention");
        assert!(head.first_seq > 0 && head.signed().unwrap() > 900);
        record(100);
        logger.close(TIMEOUT).unwrap();
        assert_eq!(Head::of(directory.path()).doubt, None, "closed");
        drop(AuditLogger::open(Config::new(directory.path())).unwrap());
        assert_eq!(Head::of(directory.path()).doubt, None, "opened again");
    }

    /// The state between the writes of the two files of one checkpoint.
    #[test]
    fn a_saved_checkpoint_ahead_of_the_latest_counts() {
        let (directory, older) = with_kept_checkpoints();
        fs::write(checkpoint_path(directory.path()), older).unwrap();
        let head = Head::of(directory.path());
        assert_eq!(head.doubt, None);
        assert!(head.signed().unwrap() > 200, "{:?}", head.signed());
    }

    /// Returns a closed trail with kept checkpoints, and the checkpoint of its first session.
    fn with_kept_checkpoints() -> (tempfile::TempDir, Vec<u8>) {
        let directory = tempfile::tempdir().unwrap();
        let open = || AuditLogger::open(Config::new(directory.path()).max_file_bytes(65_536)).unwrap();
        open().close(TIMEOUT).unwrap();
        let older = fs::read(checkpoint_path(directory.path())).unwrap();
        let logger = open();
        for number in 0..400 {
            logger.log(format!("entry {number} {}", "x".repeat(500))).record().unwrap();
        }
        logger.close(TIMEOUT).unwrap();
        (directory, older)
    }

    #[test]
    fn an_old_checkpoint_under_a_large_name_raises_a_doubt() {
        let (directory, older) = with_kept_checkpoints();
        fs::write(checkpoint_history(directory.path()).join("999999"), older).unwrap();
        let doubt = Head::of(directory.path()).doubt.unwrap();
        assert!(doubt.contains("999999"), "{doubt}");
    }

    #[test]
    fn a_forged_latest_checkpoint_raises_a_doubt_despite_a_newer_one() {
        let (directory, older) = with_kept_checkpoints();
        let older = SignedCheckpoint::parse(&older).unwrap();
        let forger = SigningKey::generate();
        let forged = SignedCheckpoint::sign(older.origin(), older.size(), older.root(), &[&forger]).unwrap();
        fs::write(checkpoint_path(directory.path()), forged.as_str()).unwrap();
        let doubt = Head::of(directory.path()).doubt.unwrap();
        assert!(doubt.contains("the checkpoint"), "{doubt}");
    }
}
