//! What an auditor provides from outside the trail.

use std::time::Duration;

use auditx_tlog::{Policy, SignedCheckpoint, VerifierKey};

use super::parent::ParentTrail;
use super::stamped::StampedCheckpoint;

/// Large enough that the handover costs nothing, small enough to balance the threads and stay in memory.
const CHUNK: usize = 1024 * 1024;

/// What an auditor provides from outside the trail.
///
/// ```
/// use auditx_core::{AuditLogger, Config};
/// use auditx_reader::{Answer, VerifyOptions, verify};
/// # let directory = tempfile::tempdir()?;
/// # let log_dir = directory.path();
///
/// let logger = AuditLogger::open(Config::new(log_dir))?;
/// let key = logger.verifier_key()?;
/// logger.log("Period closed").record()?;
/// logger.close(std::time::Duration::from_secs(10))?;
/// let known = logger.checkpoint().expect("closing signs");
///
/// let verification = verify(log_dir, &VerifyOptions::new().key(key).known(known), &mut |_, _| {})?;
/// assert_eq!(verification.answer, Answer::Intact);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct VerifyOptions {
    pub(super) keys: Vec<VerifierKey>,
    pub(super) known: Vec<SignedCheckpoint>,
    pub(super) policy: Option<Policy>,
    pub(super) parent: Option<ParentTrail>,
    pub(super) max_age: Option<Duration>,
    /// In the order of sizes.
    pub(super) stamped: Vec<StampedCheckpoint>,
    pub(super) unusable_stamps: Vec<String>,
    pub(super) needs_stamp: bool,
    pub(super) threads: usize,
    /// Bytes that a thread reads in one job.
    pub(super) chunk: usize,
}

impl Default for VerifyOptions {
    fn default() -> Self {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            keys: Vec::new(),
            known: Vec::new(),
            policy: None,
            parent: None,
            max_age: None,
            stamped: Vec::new(),
            unusable_stamps: Vec::new(),
            needs_stamp: false,
            threads,
            chunk: CHUNK,
        }
    }
}

impl VerifyOptions {
    /// No key, no known checkpoint, one thread per available core.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Default: none; without a key the answer is never [`Answer::Intact`](crate::Answer::Intact). Adds a
    /// public key, obtained from outside the trail, that must have signed it. Of several keys, any one is
    /// enough.
    #[must_use]
    pub fn key(mut self, key: VerifierKey) -> Self {
        if !self.keys.contains(&key) {
            self.keys.push(key);
        }
        self
    }

    /// Default: none; without one, and without [fresh](Self::fresh) cosignatures, the answer is never
    /// [`Answer::Intact`](crate::Answer::Intact). Adds a checkpoint of this trail that was kept elsewhere.
    /// Its cosignatures count for the [policy](Self::policy).
    #[must_use]
    pub fn known(mut self, checkpoint: SignedCheckpoint) -> Self {
        self.known.push(checkpoint);
        self
    }

    /// Default: none. Requires that a quorum of witnesses cosigned a checkpoint that covers all signed lines,
    /// kept with the trail or [known](Self::known), and adds the keys of the policy's logs.
    #[must_use]
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = Some(policy.clone());
        policy.logs().iter().cloned().fold(self, Self::key)
    }

    /// Default: none. Requires that this parent trail recorded a checkpoint that covers all signed lines, and
    /// that every recorded checkpoint agrees with the lines. The cosignatures of the verified trail itself,
    /// and of [known](Self::known) checkpoints, are then ignored.
    #[must_use]
    pub fn parent(mut self, parent: ParentTrail) -> Self {
        self.parent = Some(parent);
        self
    }

    /// Default: none. Requires that the last cosignatures of a quorum, or the last entry in the parent trail,
    /// are not older than this. Without a policy or parent trail, the answer is then never
    /// [`Answer::Intact`](crate::Answer::Intact).
    #[must_use]
    pub fn fresh(mut self, max_age: Duration) -> Self {
        self.max_age = Some(max_age);
        self
    }

    /// Default: none. Requires at least one time stamp, and compares the lines with `stamped`, checkpoints
    /// whose stamps the caller has verified. `unusable` says why other stamps of the trail cannot be used; if
    /// it is not empty, the answer is never [`Answer::Intact`](crate::Answer::Intact). A time stamp does not
    /// show that the trail was not rolled back.
    #[must_use]
    pub fn time_stamps(mut self, stamped: Vec<StampedCheckpoint>, unusable: Vec<String>) -> Self {
        (self.stamped, self.unusable_stamps, self.needs_stamp) = (stamped, unusable, true);
        self.stamped.sort_by_key(|stamped| stamped.checkpoint.size());
        self
    }

    /// Default: one thread per available core, which 0 also selects.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = if threads == 0 { Self::default().threads } else { threads };
        self
    }

    #[cfg(test)]
    pub(super) fn chunk(mut self, bytes: usize) -> Self {
        self.chunk = bytes;
        self
    }
}
