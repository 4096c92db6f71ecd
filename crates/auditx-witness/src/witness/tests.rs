//! Submissions that are cosigned, refused, repeated or at the same time, and a witness that is killed.

mod judge;
mod kills;

use std::sync::Arc;

use auditx_tlog::{CompactRange, Hash, SignedCheckpoint, SigningKey, leaf_hash, node_hash};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use signed_note::{Note, StandardVerifier, VerifierList};
use tempfile::TempDir;

use super::*;

const LOG: &str = "erp.example.com/auditx/1";

/// A log whose leaves are known.
pub(super) struct Log {
    pub(super) key: SigningKey,
    leaves: Vec<Hash>,
}

impl Log {
    pub(super) fn new(key: SigningKey, leaves: u32) -> Self {
        Self { key, leaves: (0..leaves).map(|number| leaf_hash(&number.to_be_bytes())).collect() }
    }

    /// A log that differs from this one from this leaf on.
    fn forked(&self, from: usize) -> Self {
        let mut leaves = self.leaves.clone();
        leaves[from..].iter_mut().for_each(|leaf| *leaf = leaf_hash(leaf));
        Self { key: self.key.clone(), leaves }
    }

    /// Replaces the checkpoint in a submission by one with this extension line.
    fn extended(&self, submission: &str, line: &str) -> String {
        let (head, note) = submission.split_once("\n\n").unwrap();
        let text = format!("{}\n{line}\n", note.split_once("\n\n").unwrap().0);
        let signature = self.key.sign(text.as_bytes()).unwrap();
        let bytes = [&self.verifier().id().to_be_bytes()[..], &signature].concat();
        format!("{head}\n\n{text}\n\u{2014} {LOG} {}\n", BASE64_STANDARD.encode(bytes))
    }

    fn verifier(&self) -> VerifierKey {
        VerifierKey::new(LOG, &self.key.public_key()).unwrap()
    }

    pub(super) fn checkpoint(&self, size: usize) -> SignedCheckpoint {
        let mut tree = CompactRange::new(0);
        tree.extend(&self.leaves[..size], &mut |_, _, _| {});
        SignedCheckpoint::sign(LOG, size as u64, &tree.root().unwrap(), &[&self.key]).unwrap()
    }

    fn node(&self, level: u8, index: u64) -> Hash {
        let begin = usize::try_from(index << level).unwrap();
        let mut hashes = self.leaves[begin..begin + (1 << level)].to_vec();
        while hashes.len() > 1 {
            hashes = hashes.chunks(2).map(|pair| node_hash(&pair[0], &pair[1])).collect();
        }
        hashes[0]
    }

    pub(super) fn submission(&self, old: usize, size: usize) -> String {
        let read = &mut |nodes: &[(u8, u64)]| {
            Ok::<_, auditx_tlog::Error>(
                nodes.iter().map(|(level, index)| self.node(*level, *index)).collect(),
            )
        };
        Submission::make(old as u64, self.checkpoint(size), read).unwrap().to_string()
    }
}

fn opened(directory: &TempDir, signer: &SigningKey, log: &Log) -> Witness {
    let (name, signer) = ("witness.example.com/w1", Arc::new(signer.clone()));
    // Fails if the witness exists already.
    Witness::create(directory.path(), name, &*signer).ok();
    Witness::open(directory.path(), name, signer, [log.verifier()]).unwrap()
}

/// Returns what follows the tree head and its newline in a cosigned checkpoint that `signed_note` accepts.
fn signed_note_reads(cosigned: &SignedCheckpoint, log: &Log) -> String {
    let verifier = StandardVerifier::new(&log.verifier().to_string()).unwrap();
    let note = Note::from_bytes(cosigned.as_str().as_bytes()).unwrap();
    let (own, others) = note.verify(&VerifierList::new(vec![Box::new(verifier)])).unwrap();
    assert_eq!((own.len(), others.len()), (1, 1));
    let text = std::str::from_utf8(note.text()).unwrap();
    text.splitn(4, '\n').nth(3).unwrap().to_owned()
}

async fn answer(witness: &Witness, body: &str) -> Answer {
    witness.submit(body.as_bytes()).await
}

/// Asserts that this checkpoint was cosigned.
fn cosigned(witness: &Witness, log: &Log, size: usize, answer: &Answer) {
    let Answer::Cosigned(line) = answer else { panic!("{answer:?}") };
    let checkpoint = log.checkpoint(size).with_cosignature(line, witness.key()).unwrap();
    assert!(checkpoint.cosigned_at(witness.key()).unwrap() > 1_700_000_000);
}

#[tokio::test]
async fn a_log_that_grows_is_cosigned_also_after_a_restart() {
    let (directory, signer) = (TempDir::new().unwrap(), SigningKey::generate());
    let log = Log::new(SigningKey::generate(), 40);
    let witness = opened(&directory, &signer, &log);
    for (old, size) in [(0, 3), (3, 3), (3, 8), (8, 9)] {
        cosigned(&witness, &log, size, &answer(&witness, &log.submission(old, size)).await);
    }
    drop(witness);
    let witness = opened(&directory, &signer, &log);
    assert_eq!(answer(&witness, &log.submission(8, 20)).await, Answer::Conflict(9));
    cosigned(&witness, &log, 40, &answer(&witness, &log.submission(9, 40)).await);
}

#[tokio::test]
async fn what_does_not_extend_the_log_is_refused() {
    let (directory, signer) = (TempDir::new().unwrap(), SigningKey::generate());
    let log = Log::new(SigningKey::generate(), 40);
    let witness = opened(&directory, &signer, &log);
    answer(&witness, &log.submission(0, 20)).await;
    // A rollback, from any old size.
    assert_eq!(answer(&witness, &log.submission(0, 10)).await, Answer::Conflict(20));
    assert_eq!(answer(&witness, &log.submission(10, 10)).await, Answer::Conflict(20));
    // A split view: of the same size, larger, and with a proof of the other history.
    let fork = log.forked(15);
    assert_eq!(answer(&witness, &fork.submission(20, 20)).await, Answer::Conflict(20));
    assert_eq!(answer(&witness, &fork.submission(20, 30)).await, Answer::Inconsistent);
    let from_nothing = fork.submission(0, 30).replace("old 0\n", "old 20\n");
    assert_eq!(answer(&witness, &from_nothing).await, Answer::Inconsistent);
    // The old size of another log, keys and names that are not known.
    let stranger = Log::new(SigningKey::generate(), 30);
    assert_eq!(answer(&witness, &stranger.submission(20, 30)).await, Answer::NotSigned);
    let renamed = log.submission(20, 30).replace("auditx/1\n", "auditx/2\n");
    assert_eq!(answer(&witness, &renamed).await, Answer::UnknownLog);
    let beyond = log.submission(20, 30).replace("old 20\n", "old 31\n");
    assert_eq!(answer(&witness, &beyond).await.http().0, 400);
    assert_eq!(answer(&witness, "").await.http().0, 400);
    cosigned(&witness, &log, 40, &answer(&witness, &log.submission(20, 40)).await);
}

#[tokio::test]
async fn a_checkpoint_with_an_extension_line_is_cosigned_with_it() {
    let (directory, signer) = (TempDir::new().unwrap(), SigningKey::generate());
    let log = Log::new(SigningKey::generate(), 40);
    let witness = opened(&directory, &signer, &log);
    answer(&witness, &log.submission(0, 20)).await;
    // The same tree may be signed with different lines, about which the witness says nothing.
    for (old, size, line) in [(20, 20, "Timestamp: 1"), (20, 20, "Timestamp: 2"), (20, 33, "Timestamp: 3")] {
        let body = log.extended(&log.submission(old, size), line);
        let Answer::Cosigned(cosignature) = answer(&witness, &body).await else { panic!("{line}") };
        let checkpoint = Submission::parse(body.as_bytes()).unwrap().checkpoint().clone();
        let cosigned = checkpoint.with_cosignature(&cosignature, witness.key()).unwrap();
        assert_eq!(signed_note_reads(&cosigned, &log), format!("{line}\n"));
        assert!(log.checkpoint(size).with_cosignature(&cosignature, witness.key()).is_err(), "{line}");
    }
    let changed = log.extended(&log.submission(33, 40), "Timestamp: 4").replace("p: 4", "p: 5");
    assert_eq!(answer(&witness, &changed).await, Answer::NotSigned);
    let fork = log.forked(15);
    let body = fork.extended(&fork.submission(33, 33), "Timestamp: 3");
    assert_eq!(answer(&witness, &body).await, Answer::Conflict(33));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_submissions_at_the_same_time_one_is_cosigned() {
    let (directory, signer) = (TempDir::new().unwrap(), SigningKey::generate());
    let log = Log::new(SigningKey::generate(), 64);
    let witness = Arc::new(opened(&directory, &signer, &log));
    let mut size = 1;
    answer(&witness, &log.submission(0, 1)).await;
    while size < 60 {
        let tasks: Vec<_> = (size..=60)
            .map(|new| {
                let (witness, body) = (witness.clone(), log.submission(size, new));
                tokio::spawn(async move { (new, witness.submit(body.as_bytes()).await) })
            })
            .collect();
        let mut grown = Vec::new();
        for task in tasks {
            let (new, answer) = task.await.unwrap();
            match answer {
                Answer::Cosigned(_) if new > size => grown.push(new),
                Answer::Cosigned(_) => {}
                Answer::Conflict(known) => assert!(known > size as u64, "{known}"),
                other => panic!("{other:?}"),
            }
        }
        let [new] = grown[..] else { panic!("{grown:?} were all cosigned after {size}") };
        size = new;
    }
}

#[tokio::test]
async fn what_was_cosigned_is_returned_once_with_the_signatures_of_log_and_witness_alone() {
    let (directory, log) = (TempDir::new().unwrap(), Log::new(SigningKey::generate(), 8));
    let witness = opened(&directory, &SigningKey::generate(), &log);
    assert!(matches!(witness.submit(log.submission(0, 3).as_bytes()).await, Answer::Cosigned(_)));
    // The same log, and lines of other keys.
    let foreign: String = (0..40)
        .map(|number| {
            let line = log.checkpoint(5).cosign(&format!("stranger{number}"), &SigningKey::generate(), 1);
            line.unwrap()
        })
        .collect();
    let padded = log.submission(3, 5) + &foreign;
    assert!(matches!(witness.submit(padded.as_bytes()).await, Answer::Cosigned(_)));
    let [cosigned] = &witness.take_cosigned()[..] else { panic!("one log") };
    assert_eq!((cosigned.size(), cosigned.as_str().matches('\u{2014}').count()), (5, 2));
    assert!(cosigned.cosigned_at(witness.key()).is_some());
    assert!(cosigned.verify(&[log.verifier()]).is_ok());
    assert!(witness.take_cosigned().is_empty());
}
