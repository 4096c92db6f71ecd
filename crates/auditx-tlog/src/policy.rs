//! A trust policy: which logs, which witnesses, and how many of them must have cosigned a checkpoint (C2SP
//! tlog-policy).

mod parse;

use std::fmt;

use crate::checkpoint::SignedCheckpoint;
use crate::cosignature::WitnessKey;
use crate::error::Result;
use crate::key::VerifierKey;

/// How far the clock of a witness may be ahead, in seconds.
const AHEAD: u64 = 300;

/// What an auditor requires of a checkpoint.
///
/// ```
/// use auditx_tlog::{Policy, SignedCheckpoint, Signer, SigningKey, VerifierKey, WitnessKey};
///
/// let (log, witness) = (SigningKey::generate(), SigningKey::generate());
/// let log_key = VerifierKey::new("erp.example.com/auditx/1", &log.public_key())?;
/// let witness_key = WitnessKey::new("witness.example.com/w1", &witness.public_key())?;
/// let policy = format!("log {log_key}\nwitness w1 {witness_key}\nquorum w1\n");
/// let policy = Policy::parse(policy.as_bytes())?;
///
/// let checkpoint = SignedCheckpoint::sign(log_key.name(), 7, &[9; 32], &[&log])?;
/// let now = 1_800_000_060;
/// assert!(policy.witnessed_at(&checkpoint, now).is_err());
/// let answer = checkpoint.cosign(witness_key.name(), &witness, 1_800_000_000)?;
/// let cosigned = checkpoint.with_cosignature(&answer, &witness_key)?;
/// assert_eq!(policy.witnessed_at(&cosigned, now), Ok(Some(1_800_000_000)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Policy {
    logs: Vec<VerifierKey>,
    witnesses: Vec<Witness>,
    /// Witnesses and groups, each after its members.
    rules: Vec<Rule>,
    /// The index of a rule; `None` if no cosignature is required.
    quorum: Option<usize>,
}

/// A witness of a policy.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Witness {
    /// Its name in the policy.
    pub name: String,
    /// Its public key.
    pub key: WitnessKey,
    /// Where it takes submissions, if the policy says so.
    pub url: Option<String>,
}

/// A name of a policy.
#[derive(Debug, Clone)]
struct Rule {
    name: Vec<u8>,
    kind: Kind,
    /// Each name can be a member of one group only.
    is_member: bool,
    /// 0 for a witness, and one more than that of its deepest member for a group.
    depth: usize,
}

#[derive(Debug, Clone)]
enum Kind {
    /// The index of the witness.
    Witness(usize),
    Group {
        needed: usize,
        /// Indexes of rules.
        members: Vec<usize>,
    },
}

/// Which cosignatures are missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing(String);

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Missing {}

impl Policy {
    /// Parses a policy file.
    ///
    /// # Errors
    /// `is_invalid`, with the line and the reason.
    pub fn parse(file: &[u8]) -> Result<Self> {
        parse::parse(file)
    }

    /// Returns the keys of the logs that it accepts; none if it does not say.
    #[must_use]
    pub fn logs(&self) -> &[VerifierKey] {
        &self.logs
    }

    /// Returns its witnesses.
    #[must_use]
    pub fn witnesses(&self) -> &[Witness] {
        &self.witnesses
    }

    /// Returns whether it requires no cosignature.
    #[must_use]
    pub fn needs_no_witness(&self) -> bool {
        self.quorum.is_none()
    }

    /// Returns the latest time at which a quorum had seen the checkpoint as the newest of its log, in seconds
    /// since 1970: every witness of the quorum cosigned it then or later. `None` if the policy requires no
    /// cosignature. Cosignatures from the future, more than five minutes after `now`, are ignored. Does not
    /// verify the signature of the log.
    ///
    /// # Errors
    /// Which cosignatures are missing.
    pub fn witnessed_at(&self, checkpoint: &SignedCheckpoint, now: u64) -> Result<Option<u64>, Missing> {
        let Some(quorum) = self.quorum else { return Ok(None) };
        let time = |witness: &Witness| {
            checkpoint.cosigned_at(&witness.key).filter(|time| *time <= now.saturating_add(AHEAD))
        };
        let times: Vec<Option<u64>> = self.witnesses.iter().map(time).collect();
        let mut candidates: Vec<u64> = times.iter().copied().flatten().collect();
        candidates.sort_unstable();
        let since =
            |at: u64| -> Vec<bool> { times.iter().map(|time| time.is_some_and(|time| time >= at)).collect() };
        let reached = candidates.into_iter().rev().find(|at| self.met(&since(*at))[quorum]);
        reached.map(Some).ok_or_else(|| self.missing(quorum, &since(0)))
    }

    /// Returns for each rule whether these witnesses meet it.
    fn met(&self, cosigned: &[bool]) -> Vec<bool> {
        let mut met: Vec<bool> = Vec::with_capacity(self.rules.len());
        for rule in &self.rules {
            met.push(match &rule.kind {
                Kind::Witness(index) => cosigned[*index],
                Kind::Group { needed, members } => {
                    members.iter().filter(|member| met[**member]).count() >= *needed
                }
            });
        }
        met
    }

    fn missing(&self, quorum: usize, cosigned: &[bool]) -> Missing {
        let (met, mut text) = (self.met(cosigned), Vec::new());
        self.describe(quorum, &met, &mut text);
        Missing(text.join("; "))
    }

    /// Describes a rule that is not met, and its members that are not.
    fn describe(&self, index: usize, met: &[bool], text: &mut Vec<String>) {
        let name = |index: usize| String::from_utf8_lossy(&self.rules[index].name).into_owned();
        match &self.rules[index].kind {
            Kind::Witness(_) => text.push(format!("no valid cosignature of {}", name(index))),
            Kind::Group { needed, members } => {
                let lacking: Vec<usize> = members.iter().copied().filter(|member| !met[*member]).collect();
                let has = members.len() - lacking.len();
                let names: Vec<String> = lacking.iter().map(|member| name(*member)).collect();
                text.push(format!(
                    "group {} needs {needed} of {}, has {has}; missing: {}",
                    name(index),
                    members.len(),
                    names.join(", ")
                ));
                for member in lacking {
                    if matches!(self.rules[member].kind, Kind::Group { .. }) {
                        self.describe(member, met, text);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
