//! Keys with which viewers sign in, and the sessions of browsers.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use auditx_tlog::to_hex;
use sha2::{Digest as _, Sha256};

use crate::viewer::Viewer;

/// The shortest key that is accepted, in bytes. It is guessed over a network, ten times a minute.
const MIN_LEN: usize = 16;

/// The number of wrong keys within [`WINDOW`] after which further keys are refused: those from the same
/// address, and those from all addresses.
const MAX_FAILURES: u32 = 10;
const MAX_ALL_FAILURES: u32 = 1_000;
const WINDOW: Duration = Duration::from_secs(60);

/// A browser signs in again after this time.
const SESSION: Duration = Duration::from_secs(12 * 60 * 60);

/// The largest number of sessions; if another begins, the oldest ends.
const MAX_SESSIONS: usize = 1_000;

type Hash = [u8; 32];

/// A key with which a viewer signs in, or a program reads. Only its hash is kept.
#[derive(Clone, PartialEq, Eq)]
pub struct Key(Hash);

impl Key {
    /// Takes a key as it is entered, without spaces at its ends.
    ///
    /// # Errors
    /// Fails if it has fewer than 16 bytes, since it could be guessed, or characters that are not
    /// visible ASCII, since it could not be sent in a header.
    pub fn new(text: &str) -> Result<Self, KeyError> {
        let text = text.trim();
        if !text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ') {
            return Err(KeyError("the key has characters that are not visible ASCII".to_owned()));
        }
        if text.len() < MIN_LEN {
            return Err(KeyError(format!("the key has {} characters: use at least {MIN_LEN}", text.len())));
        }
        Ok(Self(hash(text.as_bytes())))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key")
    }
}

/// Why a text cannot be a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyError(String);

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for KeyError {}

/// The keys, the sessions, and the wrong keys of the last minute.
#[derive(Default)]
pub(crate) struct Keys {
    keys: Vec<(Key, Viewer)>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    sessions: HashMap<Hash, (Instant, Viewer)>,
    /// Wrong keys since this window began, by address; `None` if the server does not pass it on.
    failures: HashMap<Option<IpAddr>, u32>,
    since: Option<Instant>,
}

/// Why a key was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    Wrong,
    /// Too many were wrong: try again after this many seconds.
    Throttled(u64),
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("keys", &self.keys.len()).finish_non_exhaustive()
    }
}

impl Keys {
    pub(crate) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    pub(crate) fn add(&mut self, key: Key, viewer: Viewer) {
        self.keys.push((key, viewer));
    }

    /// Returns the viewer whose key this is. `peer` is the address of the client.
    pub(crate) fn viewer(&self, key: &str, peer: Option<IpAddr>) -> Result<Viewer, Refusal> {
        let mut state = self.locked();
        let now = Instant::now();
        if state.since.is_none_or(|since| now.duration_since(since) >= WINDOW) {
            (state.failures, state.since) = (HashMap::new(), Some(now));
        }
        let failures = state.failures.get(&peer).copied().unwrap_or(0);
        if failures >= MAX_FAILURES || state.failures.values().sum::<u32>() >= MAX_ALL_FAILURES {
            let waited = state.since.map_or(WINDOW, |since| now.duration_since(since));
            return Err(Refusal::Throttled((WINDOW.saturating_sub(waited)).as_secs() + 1));
        }
        // Hashes are compared, so the time says nothing about the key.
        let given = Key(hash(key.as_bytes()));
        match self.keys.iter().find(|(known, _)| *known == given) {
            Some((_, viewer)) => Ok(viewer.clone()),
            None => {
                *state.failures.entry(peer).or_default() += 1;
                Err(Refusal::Wrong)
            }
        }
    }

    /// Begins a session and returns the value of its cookie. Fails if the system has no random numbers.
    pub(crate) fn begin(&self, viewer: Viewer) -> Result<String, getrandom::Error> {
        let mut token = [0_u8; 32];
        getrandom::fill(&mut token)?;
        let token = to_hex(&token);
        let (mut state, now) = (self.locked(), Instant::now());
        state.sessions.retain(|_, (begin, _)| now.duration_since(*begin) < SESSION);
        if state.sessions.len() >= MAX_SESSIONS
            && let Some(oldest) =
                state.sessions.iter().min_by_key(|(_, (begin, _))| *begin).map(|(key, _)| *key)
        {
            state.sessions.remove(&oldest);
        }
        state.sessions.insert(hash(token.as_bytes()), (now, viewer));
        Ok(token)
    }

    /// Returns the viewer of a session.
    pub(crate) fn session(&self, token: &str) -> Option<Viewer> {
        let state = self.locked();
        let (begin, viewer) = state.sessions.get(&hash(token.as_bytes()))?;
        (begin.elapsed() < SESSION).then(|| viewer.clone())
    }

    pub(crate) fn end(&self, token: &str) {
        self.locked().sessions.remove(&hash(token.as_bytes()));
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn hash(bytes: &[u8]) -> Hash {
    Sha256::digest(bytes).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> Keys {
        let mut keys = Keys::default();
        keys.add(Key::new("correct horse battery").unwrap(), Viewer::new("mya"));
        keys
    }

    #[test]
    fn a_key_that_could_be_guessed_or_not_be_sent_is_refused() {
        assert_eq!(Key::new(" short ").unwrap_err().to_string(), "the key has 5 characters: use at least 16");
        assert!(Key::new("ကခဂဃငစဆဇဈဉညဋဌဍဎဏ").is_err());
    }

    #[test]
    fn a_key_names_its_viewer() {
        assert_eq!(keys().viewer("correct horse battery", None).unwrap().name, "mya");
        assert_eq!(keys().viewer("correct horse", None), Err(Refusal::Wrong));
    }

    #[test]
    fn after_ten_wrong_keys_even_the_right_one_from_there_must_wait() {
        let (keys, peer) = (keys(), |number| Some(IpAddr::from([192, 0, 2, number])));
        for _ in 0..MAX_FAILURES {
            assert_eq!(keys.viewer("wrong", peer(1)), Err(Refusal::Wrong));
        }
        assert!(matches!(keys.viewer("correct horse battery", peer(1)), Err(Refusal::Throttled(1..=61))));
        assert_eq!(keys.viewer("correct horse battery", peer(2)).unwrap().name, "mya");
    }

    #[test]
    fn a_session_ends_when_its_viewer_signs_out() {
        let keys = keys();
        let token = keys.begin(Viewer::new("mya")).unwrap();
        assert_eq!(keys.session(&token).unwrap().name, "mya");
        keys.end(&token);
        assert_eq!(keys.session(&token), None);
        assert_eq!(keys.session(""), None);
    }
}
