//! What must never be stored: rules over keys and paths, applied before encoding and hence before hashing.
//!
//! A key is a sequence of words (`card_number`, `cardNumber`, `X-Card-Number`); a rule names words, and holds
//! wherever they stand in a key side by side. `pin` therefore masks `pin`, `user_pin` and `pinCode`, and
//! leaves `shipping` alone.

mod defaults;
mod recent;
mod words;

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use hmac::{Hmac, Mac};
use serde::Deserialize;
use sha2::Sha256;

use crate::error::{Error, Result};

use defaults::{SECRET_FIELDS, SECRET_KEYS, SECRET_PARAMETERS};
pub(crate) use recent::Decisions;
pub(crate) use words::{PhraseSet, Words};
use words::{is_same_name, start_bit};

/// What stands in the line in place of a denied value.
pub const REDACTED: &str = "[REDACTED]";

/// The parts of an entry that rules look into.
const ROOTS: [&str; 3] = ["metadata", "old_values", "new_values"];

/// The rules of redaction. Default: secrets are masked by their key; nothing is allowed or hashed beyond
/// that.
///
/// A rule with a dot is a path from `metadata`, `old_values` or `new_values` (`metadata.customer.iban`); any
/// other rule is a key at any depth, also in URLs and captured bodies. A path beats a key; among equals,
/// allow beats hash beats deny, and all three beat the defaults.
///
/// # Defaults
///
/// Keys that contain one of these words, everywhere: `password`, `passwd`, `pwd`, `passphrase`, `secret`,
/// `token`, `jwt`, `bearer`, `api key`, `apikey`, `access key`, `private key`, `credential`, `credentials`,
/// `authorization`, `cookie`, `card number`, `cardnumber`, `pan`, `cvv`, `cvc`, `pin`, `otp`, `ssn`.
///
/// Names that are secrets in HTTP only, in queries, forms, JSON bodies and parameters of routes. They are
/// compared as a whole, their case and everything but letters and digits aside, so that `code` masks `?code=`
/// but neither `?product_code=` nor `metadata.code`:
///
/// - signed URLs: `AWSAccessKeyId`, `OSSAccessKeyId`, `Signature`, `sig`, `hmac`, `X-Amz-Signature`,
///   `X-Amz-Credential`, `X-Amz-Security-Token`, `X-Goog-Signature`, `X-Goog-Credential`, `x-oss-signature`,
///   `q-signature`
/// - OAuth 2 and OpenID Connect: `access_token`, `id_token`, `refresh_token`, `client_secret`,
///   `client_assertion`, `assertion`, `code_verifier`, `auth_code`, `device_code`, `user_code`
/// - SAML: `SAMLRequest`, `SAMLResponse`, `SAMLart`
/// - sessions: `session`, `session_id`, `sess`, `sid`, `connect.sid`, `PHPSESSID`, `JSESSIONID`
/// - sign-in and one-time links: `auth`, `auth_key`, `auth_token`, `subscription_key`, `pass`, `passcode`,
///   `pw`, `totp`, `mfa_code`, `verification_code`, `confirmation_code`, `activation_code`, `recovery_code`,
///   `reset_code`, `invite_code`, `one_time_code`
/// - not as parameters of a route (`/products/{code}`): `code`, `key`
///
/// An allow rule lifts a default: `allow("key")` for `?key=`, or
/// `allow("metadata.request_body.content.code")` for one member of captured bodies.
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

    /// Replaces values by their HMAC-SHA-256, so that equal values stay comparable. Needs
    /// [`Redaction::hash_key`].
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
        let has_defaults = self.defaults;
        let mut rules =
            Rules { number, keys: Vec::new(), starts: 0, paths: Vec::new(), has_defaults, hash_key };
        for (decision, texts) in
            [(Decision::Keep, &self.allow), (Decision::Hash, &self.hash), (Decision::Mask, &self.deny)]
        {
            for text in texts {
                rules.add(text, decision)?;
            }
        }
        if self.defaults {
            for text in SECRET_KEYS {
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
    has_defaults: bool,
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
            self.starts |= words.first().map_or(0, |word| start_bit(word.as_bytes()));
            self.keys.push((words, decision));
        }
        Ok(())
    }

    pub(crate) fn decide(&self, path: Path<'_>) -> Decision {
        self.by_path(path).or_else(|| self.by_key(path.key)).unwrap_or(Decision::Keep)
    }

    /// For a key outside of the parts of an entry that have paths.
    #[cfg(test)]
    pub(crate) fn decide_key(&self, key: &str) -> Decision {
        self.by_key(key).unwrap_or(Decision::Keep)
    }

    /// For a parameter of a query or a form.
    pub(crate) fn decide_field(&self, name: &str) -> Decision {
        self.by_key(name).unwrap_or_else(|| self.by_default(name, &[SECRET_PARAMETERS, SECRET_FIELDS]))
    }

    /// For a member of a captured body.
    pub(crate) fn decide_member(&self, path: Path<'_>) -> Decision {
        self.by_path(path).unwrap_or_else(|| self.decide_field(path.key))
    }

    /// For a parameter of a route.
    pub(crate) fn decide_parameter(&self, name: &str) -> Decision {
        self.by_key(name).unwrap_or_else(|| self.by_default(name, &[SECRET_PARAMETERS]))
    }

    /// Whether the default rules hold for a key and no allow rule lifts them.
    pub(crate) fn defaults_hold_for(&self, key: &str) -> bool {
        self.has_defaults && self.by_key(key) != Some(Decision::Keep)
    }

    fn by_path(&self, path: Path<'_>) -> Option<Decision> {
        self.paths.iter().find(|(rule, _)| path.is(rule)).map(|(_, decision)| *decision)
    }

    fn by_key(&self, key: &str) -> Option<Decision> {
        let mut rest = Words::of(key);
        let mut decided: Option<usize> = None;
        loop {
            let from_here = rest.clone();
            let Some(word) = rest.next() else { break };
            if self.starts & start_bit(word.as_bytes()) != 0 {
                let holds = |rule: &[String]| {
                    let mut words = from_here.clone();
                    rule.iter().all(|word| words.next().is_some_and(|found| found.eq_ignore_ascii_case(word)))
                };
                let found = self.keys.iter().position(|(rule, _)| holds(rule));
                decided = [decided, found].into_iter().flatten().min();
            }
        }
        decided.map(|place| self.keys[place].1)
    }

    fn by_default(&self, name: &str, secret: &[&[&str]]) -> Decision {
        // The last name of `login[code]` and `login.code`, which forms use for nesting, counts too.
        let last = name.trim_end_matches(']').rsplit(['[', '.']).next().unwrap_or(name);
        let is_secret = |known: &&str| is_same_name(name, known) || is_same_name(last, known);
        let masks = self.has_defaults && secret.iter().copied().flatten().any(is_secret);
        if masks { Decision::Mask } else { Decision::Keep }
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

#[cfg(test)]
mod tests;
