//! A witness: cosigns checkpoints of logs that only grew (C2SP tlog-witness).
//!
//! One thread decides, so that submissions of the same log come one after the other. It takes all that are
//! waiting, makes those that it accepts durable with one fsync, and only then cosigns and answers.

use std::collections::HashMap;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{SystemTime, UNIX_EPOCH};

use auditx_tlog::{SignedCheckpoint, Signer, Submission, VerifierKey, WitnessKey};
use tokio::sync::{Notify, oneshot};

use crate::answer::Answer;
use crate::error::{Error, Result};
use crate::journal::{Head, Heads, Journal};
use crate::step::{Step, reached};

/// How many submissions can be queued. Further callers wait for room.
const WAITING: usize = 1_024;

/// Remembers the newest checkpoint of each log and cosigns only what extends it.
///
/// The directory must survive: a witness that forgets what it cosigned could cosign another history. If it is
/// lost or restored from a backup, start a new witness with a new key.
#[derive(Debug)]
pub struct Witness {
    key: WitnessKey,
    logs: HashMap<String, Vec<VerifierKey>>,
    /// `None` only while it is dropped.
    jobs: Option<SyncSender<Job>>,
    failure: Arc<Failure>,
    cosigned: Arc<Mutex<Cosigned>>,
    thread: Option<JoinHandle<()>>,
}

/// The newest checkpoint of each log that was cosigned since it was last asked for, and the cosignature.
type Cosigned = HashMap<String, (SignedCheckpoint, String)>;

/// Why the thread has ended.
#[derive(Debug, Default)]
struct Failure {
    why: OnceLock<String>,
    is_set: Notify,
}

/// A submission whose log signed it.
struct Job {
    submission: Submission,
    answer: oneshot::Sender<Answer>,
}

impl std::fmt::Debug for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Job").field("checkpoint", self.submission.checkpoint()).finish_non_exhaustive()
    }
}

impl Witness {
    /// Creates the state of a new witness in this directory, which is created if necessary. The key must not
    /// have cosigned before.
    ///
    /// # Errors
    /// If the name is invalid, or the directory has a witness already or cannot be written.
    pub fn create(directory: &Path, name: &str, signer: &dyn Signer) -> Result<()> {
        Journal::create(directory, &key(name, signer)?.to_string())
    }

    /// Opens the witness whose state is in this directory. It cosigns for the logs with these keys; a log may
    /// have several.
    ///
    /// # Errors
    /// If the name is invalid, two keys of a log have the same id, the directory has no witness with this
    /// name and key, or its file is in use or damaged, or cannot be read or written.
    pub fn open(
        directory: &Path,
        name: &str,
        signer: Arc<dyn Signer>,
        logs: impl IntoIterator<Item = VerifierKey>,
    ) -> Result<Self> {
        let key = key(name, &*signer)?;
        let mut known: HashMap<String, Vec<VerifierKey>> = HashMap::new();
        for log in logs {
            let keys = known.entry(log.name().to_owned()).or_default();
            if keys.contains(&log) {
                continue;
            }
            if keys.iter().any(|known| known.id() == log.id()) {
                let message = format!("two keys of the log {} have the same id: leave one out", log.name());
                return Err(Error::new(message));
            }
            keys.push(log);
        }
        let (journal, heads) = Journal::open(directory, &key.to_string())?;
        let (jobs, queue) = sync_channel(WAITING);
        let (failure, cosigned) = (Arc::new(Failure::default()), Arc::default());
        let (name, cosigns) = (name.to_owned(), Arc::clone(&cosigned));
        let work = Work { name, signer, journal, heads, failure: failure.clone(), cosigned: cosigns };
        let thread = thread::Builder::new().name("auditx-witness".to_owned());
        let thread = thread.spawn(move || work.run(&queue));
        let thread = thread.map_err(|error| Error::new(format!("cannot start a thread: {error}")))?;
        Ok(Self { key, logs: known, jobs: Some(jobs), failure, cosigned, thread: Some(thread) })
    }

    /// Returns its public key, for those who check its cosignatures.
    #[must_use]
    pub fn key(&self) -> &WitnessKey {
        &self.key
    }

    /// Waits until its state cannot be written, and returns why. It then cosigns nothing more.
    pub async fn failure(&self) -> String {
        loop {
            if let Some(why) = self.failure.why.get() {
                return why.clone();
            }
            self.failure.is_set.notified().await;
        }
    }

    /// Returns the newest checkpoint of each log that it cosigned since the last call, with the signatures of
    /// the log's keys and its own, and no others.
    #[must_use]
    pub fn take_cosigned(&self) -> Vec<SignedCheckpoint> {
        let cosigned = std::mem::take(&mut *self.cosigned.lock().unwrap_or_else(PoisonError::into_inner));
        let own = |(checkpoint, line): (SignedCheckpoint, String)| {
            let keys = self.logs.get(checkpoint.origin())?;
            checkpoint.signed_only_by(keys).ok()?.with_cosignature(&line, &self.key).ok()
        };
        cosigned.into_values().filter_map(own).collect()
    }

    /// Answers the body of an `add-checkpoint` request.
    pub async fn submit(&self, body: &[u8]) -> Answer {
        let submission = match Submission::parse(body) {
            Ok(submission) => submission,
            Err(error) => return Answer::Malformed(error.to_string()),
        };
        let checkpoint = submission.checkpoint();
        let Some(keys) = self.logs.get(checkpoint.origin()) else { return Answer::UnknownLog };
        if checkpoint.verify(keys).is_err() {
            return Answer::NotSigned;
        }
        let (answer, answered) = oneshot::channel();
        let Some(jobs) = self.jobs.clone() else { return Answer::failed("it has ended") };
        let job = Job { submission, answer };
        // Waits only if many others do.
        let is_sent = match jobs.try_send(job) {
            Ok(()) => true,
            Err(TrySendError::Disconnected(_)) => false,
            Err(TrySendError::Full(job)) => {
                tokio::task::spawn_blocking(move || jobs.send(job).is_ok()).await.unwrap_or(false)
            }
        };
        match if is_sent { answered.await.ok() } else { None } {
            Some(answer) => answer,
            None => Answer::failed("it has ended, or its state could not be written"),
        }
    }
}

/// Ends the thread after it has answered what is queued.
impl Drop for Witness {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has ended too.
            drop(thread.join());
        }
    }
}

/// What the thread has.
struct Work {
    name: String,
    signer: Arc<dyn Signer>,
    journal: Journal,
    heads: Heads,
    failure: Arc<Failure>,
    cosigned: Arc<Mutex<Cosigned>>,
}

impl Work {
    fn run(mut self, queue: &Receiver<Job>) {
        while let Ok(first) = queue.recv() {
            let mut jobs = vec![first];
            jobs.extend(queue.try_iter().take(WAITING));
            if let Err(error) = self.round(jobs) {
                // What is on disk is not known, so nothing more may be cosigned.
                // Set once.
                self.failure.why.set(error.to_string()).ok();
                self.failure.is_set.notify_one();
                return;
            }
        }
    }

    /// Decides on submissions in their order. If it fails, none of them is answered.
    fn round(&mut self, jobs: Vec<Job>) -> std::io::Result<()> {
        let mut batch = Vec::new();
        let decided: Vec<_> = jobs
            .into_iter()
            .map(|job| {
                let decision = self.decide(&job.submission, &mut batch);
                (job, decision)
            })
            .collect();
        if !batch.is_empty() {
            reached(Step::Checked);
            self.journal.append(&batch, &self.heads)?;
            reached(Step::Durable);
        }
        for (job, decision) in decided {
            let answer = match decision {
                Err(refusal) => refusal,
                Ok(time) => {
                    let checkpoint = job.submission.checkpoint();
                    let cosigned = checkpoint.cosign(&self.name, &*self.signer, time);
                    reached(Step::Cosigned);
                    if let Ok(line) = &cosigned {
                        let kept = (checkpoint.clone(), line.clone());
                        let mut newest = self.cosigned.lock().unwrap_or_else(PoisonError::into_inner);
                        newest.insert(checkpoint.origin().to_owned(), kept);
                    }
                    cosigned.map_or_else(|error| Answer::failed(&error.to_string()), Answer::Cosigned)
                }
            };
            // Fails if the client has left.
            drop(job.answer.send(answer));
            reached(Step::Answered);
        }
        Ok(())
    }

    /// Accepts a submission and adds it to the batch, and returns the time, in seconds since 1970, at which it
    /// is the largest one seen; or returns the answer that refuses it.
    fn decide(
        &mut self,
        submission: &Submission,
        batch: &mut Vec<(String, Head)>,
    ) -> std::result::Result<u64, Answer> {
        let checkpoint = submission.checkpoint();
        let (size, root) = (checkpoint.size(), *checkpoint.root());
        let known = self.heads.get(checkpoint.origin()).copied();
        let head = known.unwrap_or(Head { size: 0, root: [0; 32] });
        if submission.old_size() != head.size {
            return Err(Answer::Conflict(head.size));
        }
        if size == head.size && root != head.root && known.is_some() {
            return Err(Answer::Conflict(head.size));
        }
        if !submission.extends(&head.root) {
            return Err(Answer::Inconsistent);
        }
        if known != Some(Head { size, root }) {
            self.heads.insert(checkpoint.origin().to_owned(), Head { size, root });
            batch.push((checkpoint.origin().to_owned(), Head { size, root }));
        }
        Ok(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()))
    }
}

fn key(name: &str, signer: &dyn Signer) -> Result<WitnessKey> {
    WitnessKey::new(name, &signer.public_key()).map_err(|error| Error::new(error.to_string()))
}

#[cfg(test)]
mod tests;
