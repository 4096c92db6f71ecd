//! Redaction: rules over keys and paths that decide which values are masked or hashed.
//!
//! Rules are applied before an entry is encoded, and therefore before its line is hashed.
//!
//! A key is split into words (`card_number`, `cardNumber` and `X-Card-Number` each contain `card` and
//! `number`). A rule is a sequence of words and matches every key that contains them in that order without
//! others between. The rule `pin` therefore matches `pin`, `user_pin` and `pinCode`, but not `shipping`.

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
pub use recent::Decisions;
use words::{NameSet, Shape};
pub use words::{PhraseSet, Words};

/// The text that replaces a masked value in the line.
pub const REDACTED: &str = "[REDACTED]";

/// The parts of an entry that rules apply to.
const ROOTS: [&str; 3] = ["metadata", "old_values", "new_values"];

/// The redaction rules of a logger. Default: values whose key names a secret are masked.
///
/// A rule with a dot is a path that starts at `metadata`, `old_values` or `new_values`, such as
/// `metadata.customer.iban`. Any other rule matches keys at any depth, and also in URLs and captured bodies.
/// If several rules match, a path takes precedence over a key, then allow over hash over deny, and all of
/// them over the defaults.
///
/// # Defaults
///
/// Keys that contain one of these words are masked everywhere: `password`, `passwd`, `pwd`, `passphrase`,
/// `secret`, `token`, `jwt`, `bearer`, `api key`, `apikey`, `access key`, `private key`, `credential`,
/// `credentials`, `authorization`, `cookie`, `card number`, `cardnumber`, `pan`, `cvv`, `cvc`, `pin`, `otp`,
/// `ssn`.
///
/// The following names are masked in HTTP only: in queries, forms, JSON bodies and route parameters. The
/// whole name is compared, ignoring case and all characters except letters and digits, so that `code` masks
/// `?code=` but neither `?product_code=` nor `metadata.code`:
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
/// - except as route parameters (`/products/{code}`): `code`, `key`
///
/// An allow rule overrides a default: `allow("key")` for `?key=`, or
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
        // Omits the key, so that it appears in no log and no panic message.
        f.debug_struct("Redaction")
            .field("defaults", &self.defaults)
            .field("allow", &self.allow)
            .field("deny", &self.deny)
            .field("hash", &self.hash)
            .finish_non_exhaustive()
    }
}

impl Redaction {
    /// Creates an empty set of rules, without the defaults.
    #[must_use]
    pub fn none() -> Self {
        Self { defaults: false, ..Self::default() }
    }

    /// Adds a rule that keeps values unchanged, although a broader rule would mask them.
    #[must_use]
    pub fn allow(mut self, rule: impl Into<String>) -> Self {
        self.allow.push(rule.into());
        self
    }

    /// Adds a rule that replaces values by [`REDACTED`].
    #[must_use]
    pub fn deny(mut self, rule: impl Into<String>) -> Self {
        self.deny.push(rule.into());
        self
    }

    /// Adds a rule that replaces values by their HMAC-SHA-256, so that equal values can still be recognized.
    /// Requires [`Redaction::hash_key`].
    #[must_use]
    pub fn hash(mut self, rule: impl Into<String>) -> Self {
        self.hash.push(rule.into());
        self
    }

    /// Sets the key of the hash rules, at least 16 bytes. Store it apart from the logs: with the key, guesses
    /// of a value can be tested.
    #[must_use]
    pub fn hash_key(mut self, key: impl Into<Vec<u8>>) -> Self {
        self.hash_key = Some(key.into());
        self
    }

    /// Compiles the rules, as opening a trail does.
    ///
    /// # Errors
    /// `is_invalid` if a rule is invalid, or if values are to be hashed without a key of at least 16 bytes.
    #[doc(hidden)]
    pub fn compile(&self) -> Result<Rules> {
        if !self.hash.is_empty() && self.hash_key.as_ref().is_none_or(|key| key.len() < 16) {
            return Err(Error::invalid("redaction rules that hash require a hash_key of at least 16 bytes"));
        }
        static COUNT: AtomicU64 = AtomicU64::new(1);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let hash_key = self.hash_key.clone();
        let has_defaults = self.defaults;
        let (keys, starts, paths) = (Vec::new(), Vec::new(), Vec::new());
        let mut rules = Rules { number, keys, starts, paths, has_defaults, hash_key };
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

/// What is stored of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// The value.
    Keep,
    /// [`REDACTED`].
    Mask,
    /// A keyed hash of the value.
    Hash,
}

/// Compiled rules in order of precedence: the first match decides.
pub struct Rules {
    /// Unique in this process; identifies the rules in a [`Decisions`] cache.
    number: u64,
    keys: Vec<(Vec<String>, Decision)>,
    /// The shapes of the first words of all key rules. Most keys have none of them.
    starts: Vec<Shape>,
    paths: Vec<(Vec<String>, Decision)>,
    has_defaults: bool,
    hash_key: Option<Vec<u8>>,
}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rules").field("keys", &self.keys).field("paths", &self.paths).finish_non_exhaustive()
    }
}

/// The path from an entry to a value, as a linked list from the last key to the first.
#[derive(Debug, Clone, Copy)]
pub struct Path<'p> {
    parent: Option<&'p Path<'p>>,
    key: &'p str,
}

impl<'p> Path<'p> {
    /// Returns the path of a top-level value.
    #[must_use]
    pub fn root(key: &'p str) -> Self {
        Self { parent: None, key }
    }

    /// Returns the path of a member.
    #[must_use]
    pub fn join(&'p self, key: &'p str) -> Self {
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
    /// Returns the rules of [`Redaction::default`].
    pub fn defaults() -> Self {
        Redaction::default().compile().unwrap_or_else(|_| unreachable!("the default rules are valid"))
    }

    /// Returns a number that no other rules of this process have, for caches.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    fn add(&mut self, text: &str, decision: Decision) -> Result<()> {
        if text.contains('.') {
            let path: Vec<String> = text.split('.').map(str::to_owned).collect();
            if !ROOTS.contains(&path[0].as_str()) || path.iter().any(String::is_empty) {
                return Err(Error::invalid(format!(
                    "invalid redaction path {text:?}: expected a key below metadata, old_values or new_values"
                )));
            }
            self.paths.push((path, decision));
        } else {
            let words: Vec<String> = Words::of(text).map(str::to_ascii_lowercase).collect();
            if words.is_empty() {
                return Err(Error::invalid(format!(
                    "invalid redaction rule {text:?}: it has no letters or digits"
                )));
            }
            self.starts.push(Shape::of_word(words[0].as_bytes()));
            self.keys.push((words, decision));
        }
        Ok(())
    }

    pub(crate) fn decide(&self, path: Path<'_>) -> Decision {
        self.by_path(path).or_else(|| self.by_key(path.key)).unwrap_or(Decision::Keep)
    }

    /// Decides for a key without a path.
    #[cfg(test)]
    pub(crate) fn decide_key(&self, key: &str) -> Decision {
        self.by_key(key).unwrap_or(Decision::Keep)
    }

    /// Decides for a parameter of a query or a form.
    pub fn decide_field(&self, name: &str) -> Decision {
        self.by_key(name).unwrap_or_else(|| self.by_default(name, &[&SECRET_PARAMETERS, &SECRET_FIELDS]))
    }

    /// Decides for a member of a captured body.
    pub fn decide_member(&self, path: Path<'_>) -> Decision {
        self.by_path(path).unwrap_or_else(|| self.decide_field(path.key))
    }

    /// Decides for a parameter of a route.
    pub fn decide_parameter(&self, name: &str) -> Decision {
        self.by_key(name).unwrap_or_else(|| self.by_default(name, &[&SECRET_PARAMETERS]))
    }

    /// Returns `true` if the default rules apply to a key, that is, no allow rule overrides them.
    pub fn defaults_apply_to(&self, key: &str) -> bool {
        self.has_defaults && self.by_key(key) != Some(Decision::Keep)
    }

    fn by_path(&self, path: Path<'_>) -> Option<Decision> {
        self.paths.iter().find(|(rule, _)| path.is(rule)).map(|(_, decision)| *decision)
    }

    fn by_key(&self, key: &str) -> Option<Decision> {
        let mut rest = Words::of(key);
        let mut first_match: Option<usize> = None;
        loop {
            let from_here = rest.clone();
            let Some(word) = rest.next() else { break };
            if self.starts.contains(&Shape::of_word(word.as_bytes())) {
                let matches = |rule: &[String]| {
                    let mut words = from_here.clone();
                    rule.iter().all(|word| words.next().is_some_and(|found| found.eq_ignore_ascii_case(word)))
                };
                let found = self.keys.iter().position(|(rule, _)| matches(rule));
                first_match = [first_match, found].into_iter().flatten().min();
            }
        }
        first_match.map(|index| self.keys[index].1)
    }

    fn by_default(&self, name: &str, secret: &[&NameSet]) -> Decision {
        // Forms nest names as `login[code]` or `login.code`; the last part is compared too.
        let last = name.trim_end_matches(']').rsplit(['[', '.']).next().unwrap_or(name);
        let is_secret = |known: &&NameSet| known.has(name) || (last.len() < name.len() && known.has(last));
        if self.has_defaults && secret.iter().any(is_secret) { Decision::Mask } else { Decision::Keep }
    }

    /// Returns `hmac-sha256:` and the first 128 bits of the HMAC of `value` in hex.
    pub fn hashed(&self, value: &[u8]) -> String {
        let key = self.hash_key.as_deref().unwrap_or_default();
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else {
            // Not reached: HMAC accepts keys of any length.
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
