//! A cache of redaction decisions for metadata keys, since programs use the same few keys again and again.

use super::{Decision, Path, Rules};

/// More than the number of keys at a program's busiest call sites. Keys that share a slot evict each other.
const SLOTS: usize = 64;

/// Longer keys are not cached.
const KEY_LEN: usize = 30;

#[derive(Debug, Clone, Copy)]
struct Recent {
    rules: u64,
    key: [u8; KEY_LEN],
    len: u8,
    decision: Decision,
}

/// The cache of one thread, shared by all loggers it records into.
#[derive(Debug)]
pub struct Decisions {
    recent: [Recent; SLOTS],
}

impl Default for Decisions {
    fn default() -> Self {
        // Numbers of rules begin with 1, so no rules match an empty slot.
        Self { recent: [Recent { rules: 0, key: [0; KEY_LEN], len: 0, decision: Decision::Keep }; SLOTS] }
    }
}

impl Decisions {
    /// Returns the decision of [`Rules::decide`] for a metadata key.
    #[inline]
    pub(crate) fn decide(&mut self, rules: &Rules, key: &str) -> Decision {
        let bytes = key.as_bytes();
        let recent = &mut self.recent[slot(bytes)];
        if recent.rules == rules.number && recent.key.get(..usize::from(recent.len)) == Some(bytes) {
            return recent.decision;
        }
        recent.learn(rules, key)
    }
}

impl Recent {
    #[cold]
    fn learn(&mut self, rules: &Rules, key: &str) -> Decision {
        let decision = rules.decide(Path::root("metadata").join(key));
        if let (Some(bytes), Ok(len)) = (self.key.get_mut(..key.len()), u8::try_from(key.len())) {
            bytes.copy_from_slice(key.as_bytes());
            (self.rules, self.len, self.decision) = (rules.number, len, decision);
        }
        decision
    }
}

#[inline]
fn slot(key: &[u8]) -> usize {
    /// 2^32 divided by the golden ratio: spreads keys that differ in a few bits (Knuth, TAOCP 6.4).
    const SPREAD: u32 = 0x9E37_79B9;
    let byte = |at: usize| u32::from(key.get(at).copied().unwrap_or(0));
    let shape = byte(0) | byte(key.len() / 2) << 8 | byte(key.len().saturating_sub(1)) << 16 | byte(1) << 24;
    let spread = (shape ^ u32::try_from(key.len()).unwrap_or(u32::MAX)).wrapping_mul(SPREAD);
    (spread >> (u32::BITS - SLOTS.ilog2())) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redact::Redaction;

    #[test]
    fn cached_decisions_equal_those_of_the_rules() {
        let loose = Redaction::none().compile().unwrap();
        let strict = Redaction::default().deny("metadata.note").allow("metadata.pin").compile().unwrap();
        let long = "customer_bank_account_password_hint".to_owned();
        let keys =
            ["", "p", "pin", "nip", "note", "password", "passw0rd", "party", "ytrap", "api_key", &long];
        let mut decisions = Decisions::default();
        for rules in [&loose, &strict, &strict, &loose, &strict] {
            for key in keys {
                assert_eq!(
                    decisions.decide(rules, key),
                    rules.decide(Path::root("metadata").join(key)),
                    "{key}"
                );
            }
        }
    }

    #[test]
    fn keys_that_share_a_slot_are_distinguished() {
        let rules = Redaction::default().compile().unwrap();
        let mut decisions = Decisions::default();
        assert_eq!(slot(b"pin"), slot(b"ptg"));
        assert_eq!(slot(b"pin"), slot(b"pex"));
        for (key, decision) in
            [("pin", Decision::Mask), ("pex", Decision::Keep), ("ptg", Decision::Keep)].repeat(3)
        {
            assert_eq!(decisions.decide(&rules, key), decision, "{key}");
        }
    }
}
