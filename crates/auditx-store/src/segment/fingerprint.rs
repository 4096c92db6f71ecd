//! A fingerprint of a segment's text: whether a file still holds what was written to it.
//!
//! It is computed while the lines are in the processor's cache anyway, and spares maintenance a SHA-256 of
//! each line. It finds every accidental change. Somebody who changes a segment on purpose can keep the
//! fingerprint; verification finds that, since it compares the lines with the signed tree.

use std::fmt;

use xxhash_rust::xxh3::Xxh3;

/// XXH3 of the text so far.
#[derive(Clone, Default)]
pub(crate) struct Fingerprint(Xxh3);

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({:016x})", self.value())
    }
}

impl Fingerprint {
    pub(crate) fn update(&mut self, text: &[u8]) {
        self.0.update(text);
    }

    pub(crate) fn value(&self) -> u64 {
        self.0.digest()
    }
}
