//! What was decided lately about keys of the metadata: programs use the same few again and again.

use super::{Decision, Path, Rules};

/// More than a program's busiest call sites use; those that share a place decide anew each time.
const PLACES: usize = 64;

/// Longer keys are decided anew each time.
const KEY_LEN: usize = 30;

#[derive(Debug, Clone, Copy)]
struct Recent {
    rules: u64,
    key: [u8; KEY_LEN],
    len: u8,
    decision: Decision,
}

/// A thread's own, for all its loggers.
#[derive(Debug)]
pub(crate) struct Decisions {
    recent: [Recent; PLACES],
}

impl Default for Decisions {
    fn default() -> Self {
        // No rules have the number 0.
        Self { recent: [Recent { rules: 0, key: [0; KEY_LEN], len: 0, decision: Decision::Keep }; PLACES] }
    }
}

impl Decisions {
    /// As [`Rules::decide`] does for this key of the metadata.
    #[inline]
    pub(crate) fn decide(&mut self, rules: &Rules, key: &str) -> Decision {
        let bytes = key.as_bytes();
        let recent = &mut self.recent[place(bytes)];
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
        if let (Some(place), Ok(len)) = (self.key.get_mut(..key.len()), u8::try_from(key.len())) {
            place.copy_from_slice(key.as_bytes());
            (self.rules, self.len, self.decision) = (rules.number, len, decision);
        }
        decision
    }
}

#[inline]
fn place(key: &[u8]) -> usize {
    /// 2^32 divided by the golden ratio: spreads what differs in a few bits (Knuth, TAOCP 6.4).
    const SPREAD: u32 = 0x9E37_79B9;
    let byte = |at: usize| u32::from(key.get(at).copied().unwrap_or(0));
    let shape = byte(0) | byte(key.len() / 2) << 8 | byte(key.len().saturating_sub(1)) << 16 | byte(1) << 24;
    let spread = (shape ^ u32::try_from(key.len()).unwrap_or(u32::MAX)).wrapping_mul(SPREAD);
    (spread >> (u32::BITS - PLACES.ilog2())) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redact::Redaction;

    #[test]
    fn what_is_remembered_is_what_would_be_decided() {
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
    fn keys_that_share_a_place_are_told_apart() {
        let rules = Redaction::default().compile().unwrap();
        let mut decisions = Decisions::default();
        assert_eq!(place(b"pin"), place(b"ptg"));
        assert_eq!(place(b"pin"), place(b"pex"));
        for (key, decision) in
            [("pin", Decision::Mask), ("pex", Decision::Keep), ("ptg", Decision::Keep)].repeat(3)
        {
            assert_eq!(decisions.decide(&rules, key), decision, "{key}");
        }
    }
}
