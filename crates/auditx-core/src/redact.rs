//! What must never be stored: rules over keys and paths, applied before encoding and hence before hashing.
//!
//! A key is a sequence of words (`card_number`, `cardNumber`, `X-Card-Number`); a rule names words, and holds wherever
//! they stand in a key side by side. `pin` therefore masks `pin`, `user_pin` and `pinCode`, and leaves `shipping` alone.

mod recent;

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use hmac::{Hmac, Mac};
use serde::Deserialize;
use sha2::Sha256;

use crate::error::{Error, Result};

pub(crate) use recent::Decisions;

/// What stands in the line in place of a denied value.
pub const REDACTED: &str = "[REDACTED]";

/// Keys denied by default, in words. One entry each for spellings that run words together.
const DEFAULT_DENY: &[&str] = &[
    "password",
    "passwd",
    "pwd",
    "passphrase",
    "secret",
    "token",
    "jwt",
    "bearer",
    "api key",
    "apikey",
    "access key",
    "private key",
    "credential",
    "credentials",
    "authorization",
    "cookie",
    "card number",
    "cardnumber",
    "pan",
    "cvv",
    "cvc",
    "pin",
    "otp",
    "ssn",
];

/// The parts of an entry that rules look into.
const ROOTS: [&str; 3] = ["metadata", "old_values", "new_values"];

/// The rules. Default: the deny-list of secrets by key, nothing allowed or hashed beyond it.
///
/// A rule with a dot is a path from `metadata`, `old_values` or `new_values` (`metadata.customer.iban`), any other rule
/// is a key at any depth, also in query strings. A path beats a key; among equals allow beats hash beats deny.
#[derive(Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Redaction {
    defaults: bool,
    allow: Vec<String>,
    deny: Vec<String>,
    hash: Vec<String>,
    #[serde(skip)]
    hash_key: Option<Vec<u8>>,
}

impl Default for Redaction {
    fn default() -> Self {
        Self { defaults: true, allow: Vec::new(), deny: Vec::new(), hash: Vec::new(), hash_key: None }
    }
}

impl fmt::Debug for Redaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The key stays out of every log and panic message.
        f.debug_struct("Redaction")
            .field("defaults", &self.defaults)
            .field("allow", &self.allow)
            .field("deny", &self.deny)
            .field("hash", &self.hash)
            .finish_non_exhaustive()
    }
}

impl Redaction {
    /// No rules at all, not even the defaults.
    #[must_use]
    pub fn none() -> Self {
        Self { defaults: false, ..Self::default() }
    }

    /// Keeps values a broader rule would mask.
    #[must_use]
    pub fn allow(mut self, rule: impl Into<String>) -> Self {
        self.allow.push(rule.into());
        self
    }

    /// Masks values whole.
    #[must_use]
    pub fn deny(mut self, rule: impl Into<String>) -> Self {
        self.deny.push(rule.into());
        self
    }

    /// Replaces values by their HMAC-SHA-256, so that equal values stay comparable. Needs [`Redaction::hash_key`].
    #[must_use]
    pub fn hash(mut self, rule: impl Into<String>) -> Self {
        self.hash.push(rule.into());
        self
    }

    /// The key of the hash rules, kept apart from the logs: whoever has it can test guesses.
    #[must_use]
    pub fn hash_key(mut self, key: impl Into<Vec<u8>>) -> Self {
        self.hash_key = Some(key.into());
        self
    }

    pub(crate) fn compile(&self) -> Result<Rules> {
        if !self.hash.is_empty() && self.hash_key.as_ref().is_none_or(|key| key.len() < 16) {
            return Err(Error::invalid("redaction rules that hash need a hash_key of at least 16 bytes"));
        }
        static COUNT: AtomicU64 = AtomicU64::new(1);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let hash_key = self.hash_key.clone();
        let mut rules = Rules { number, keys: Vec::new(), starts: 0, paths: Vec::new(), hash_key };
        for (decision, texts) in
            [(Decision::Keep, &self.allow), (Decision::Hash, &self.hash), (Decision::Mask, &self.deny)]
        {
            for text in texts {
                rules.add(text, decision)?;
            }
        }
        if self.defaults {
            for text in DEFAULT_DENY {
                rules.add(text, Decision::Mask)?;
            }
        }
        Ok(rules)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    Keep,
    Mask,
    Hash,
}

/// The rules in the order in which they are asked: the first that holds decides.
pub(crate) struct Rules {
    /// No others of this process have it.
    number: u64,
    keys: Vec<(Vec<String>, Decision)>,
    /// Which [`start_bit`]s the first words of the key rules have: most keys are let through by it alone.
    starts: u64,
    paths: Vec<(Vec<String>, Decision)>,
    hash_key: Option<Vec<u8>>,
}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rules").field("keys", &self.keys).field("paths", &self.paths).finish_non_exhaustive()
    }
}

/// The way from an entry down to a value; grows by one key at each level of nesting.
#[derive(Clone, Copy)]
pub(crate) struct Path<'p> {
    parent: Option<&'p Path<'p>>,
    key: &'p str,
}

impl<'p> Path<'p> {
    pub(crate) fn root(key: &'p str) -> Self {
        Self { parent: None, key }
    }

    pub(crate) fn join(&'p self, key: &'p str) -> Self {
        Self { parent: Some(self), key }
    }

    fn is(&self, rule: &[String]) -> bool {
        match rule.split_last() {
            Some((last, front)) if last == self.key => match self.parent {
                Some(parent) => parent.is(front),
                None => front.is_empty(),
            },
            _ => false,
        }
    }
}

impl Rules {
    /// The rules of [`Redaction::default`].
    pub(crate) fn defaults() -> Self {
        Redaction::default().compile().unwrap_or_else(|_| unreachable!("the default rules are words"))
    }

    fn add(&mut self, text: &str, decision: Decision) -> Result<()> {
        if text.contains('.') {
            let path: Vec<String> = text.split('.').map(str::to_owned).collect();
            if !ROOTS.contains(&path[0].as_str()) || path.iter().any(String::is_empty) {
                return Err(Error::invalid(format!(
                    "redaction path {text:?} must start with metadata., old_values. or new_values. and name a key"
                )));
            }
            self.paths.push((path, decision));
        } else {
            let words: Vec<String> = Words::of(text).map(str::to_ascii_lowercase).collect();
            if words.is_empty() {
                return Err(Error::invalid(format!("redaction rule {text:?} names no word")));
            }
            self.starts |= words.first().map_or(0, |word| start_bit(word));
            self.keys.push((words, decision));
        }
        Ok(())
    }

    pub(crate) fn decide(&self, path: Path<'_>) -> Decision {
        let by_path = self.paths.iter().find(|(rule, _)| path.is(rule)).map(|(_, decision)| *decision);
        by_path.unwrap_or_else(|| self.decide_key(path.key))
    }

    /// For query strings, which have keys but no path.
    pub(crate) fn decide_key(&self, key: &str) -> Decision {
        let mut rest = Words::of(key);
        let mut decided: Option<usize> = None;
        loop {
            let from_here = rest.clone();
            let Some(word) = rest.next() else { break };
            if self.starts & start_bit(word) != 0 {
                let holds = |rule: &[String]| {
                    let mut words = from_here.clone();
                    rule.iter().all(|word| words.next().is_some_and(|found| found.eq_ignore_ascii_case(word)))
                };
                let found = self.keys.iter().position(|(rule, _)| holds(rule));
                decided = [decided, found].into_iter().flatten().min();
            }
        }
        decided.map_or(Decision::Keep, |place| self.keys[place].1)
    }

    /// `hmac-sha256:` and the first 128 bits in hex.
    pub(crate) fn hashed(&self, value: &[u8]) -> String {
        let key = self.hash_key.as_deref().unwrap_or_default();
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else {
            // HMAC takes keys of any length.
            return REDACTED.to_owned();
        };
        mac.update(value);
        let tag = mac.finalize().into_bytes();
        let mut text = "hmac-sha256:".to_owned();
        for byte in &tag[..16] {
            text.push_str(&format!("{byte:02x}"));
        }
        text
    }
}

/// One of 64 bits for the length and the first byte of a word, its case aside.
fn start_bit(word: &str) -> u64 {
    let first = word.bytes().next().unwrap_or(0).to_ascii_lowercase();
    1 << ((usize::from(first) + 7 * word.len()) % 64)
}

/// The words of a key: split at anything but letters and digits, and where a lower-case letter or digit meets an
/// upper-case one.
#[derive(Clone)]
struct Words<'k> {
    rest: &'k str,
}

impl<'k> Words<'k> {
    fn of(key: &'k str) -> Self {
        Self { rest: key }
    }
}

impl<'k> Iterator for Words<'k> {
    type Item = &'k str;

    fn next(&mut self) -> Option<&'k str> {
        self.rest = self.rest.trim_start_matches(|c: char| !c.is_alphanumeric());
        let mut previous_is_upper = true;
        let end = self
            .rest
            .char_indices()
            .find(|&(_, c)| {
                let splits = !c.is_alphanumeric() || (c.is_uppercase() && !previous_is_upper);
                previous_is_upper = c.is_uppercase();
                splits
            })
            .map_or(self.rest.len(), |(place, _)| place);
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        (!word.is_empty()).then_some(word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decide(rules: &Rules, key: &str) -> Decision {
        rules.decide(Path::root("metadata").join(key))
    }

    #[test]
    fn secrets_are_masked_in_any_spelling_and_their_neighbours_kept() {
        let rules = Redaction::default().compile().unwrap();
        for key in [
            "password",
            "PASSWORD",
            "newPassword",
            "old_password",
            "x-api-key",
            "apiKey",
            "APIKEY",
            "accessToken",
            "Set-Cookie",
            "cardNumber",
            "card_number",
            "pin",
            "pinCode",
            "client.secret",
            "PIN",
        ] {
            assert_eq!(decide(&rules, key), Decision::Mask, "{key}");
        }
        for key in
            ["shipping", "secretary", "tokens_used", "spinning", "number", "company", "description", ""]
        {
            assert_eq!(decide(&rules, key), Decision::Keep, "{key}");
        }
    }

    #[test]
    fn a_path_beats_a_key_and_allow_beats_deny() {
        let rules = Redaction::default()
            .allow("token count")
            .deny("metadata.customer.iban")
            .allow("metadata.pin")
            .compile()
            .unwrap();
        assert_eq!(decide(&rules, "token_count"), Decision::Keep);
        assert_eq!(decide(&rules, "pin"), Decision::Keep);
        assert_eq!(rules.decide(Path::root("old_values").join("pin")), Decision::Mask);
        let customer = Path::root("metadata");
        let customer = customer.join("customer");
        assert_eq!(rules.decide(customer.join("iban")), Decision::Mask);
        assert_eq!(decide(&rules, "iban"), Decision::Keep);
    }

    #[test]
    fn hashed_values_stay_comparable() {
        let rules =
            Redaction::default().hash("national id").hash_key(*b"sixteen bytes ok").compile().unwrap();
        assert_eq!(decide(&rules, "nationalId"), Decision::Hash);
        assert_eq!(rules.hashed(b"12/XYZ"), rules.hashed(b"12/XYZ"));
        assert_ne!(rules.hashed(b"12/XYZ"), rules.hashed(b"12/XYA"));
    }

    #[test]
    fn rules_that_cannot_hold_are_refused() {
        for rules in [
            Redaction::default().hash("id"),
            Redaction::default().hash("id").hash_key(*b"short"),
            Redaction::default().deny("user.name"),
            Redaction::default().deny("metadata."),
            Redaction::default().deny("--"),
        ] {
            assert!(rules.compile().unwrap_err().is_invalid(), "{rules:?}");
        }
    }
}
