//! Reproducible random numbers: the seed is printed if a test fails.

use std::time::{SystemTime, UNIX_EPOCH};

/// SplitMix64: short, and good enough for tests.
#[derive(Debug)]
pub struct Random(u64);

impl Random {
    /// Takes the seed from `AUDITX_SEED`, or else from the clock. Prints the seed to standard error, which
    /// cargo shows if the test fails.
    ///
    /// # Panics
    /// If `AUDITX_SEED` is not a number.
    #[must_use]
    pub fn seeded() -> Self {
        let seed = match std::env::var("AUDITX_SEED") {
            Ok(text) => text.parse().expect("AUDITX_SEED is a number"),
            Err(_) => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is after 1970");
                u64::from(now.subsec_nanos()) ^ now.as_secs().rotate_left(32)
            }
        };
        eprintln!("run with AUDITX_SEED={seed} to repeat this test");
        Self(seed)
    }

    /// Uses a fixed seed.
    #[must_use]
    pub fn of(seed: u64) -> Self {
        Self(seed)
    }

    /// Returns an index below `len`.
    ///
    /// # Panics
    /// If `len` is 0.
    pub fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).expect("an index")
    }

    /// Returns one of the elements.
    ///
    /// # Panics
    /// If there are none.
    pub fn one_of<'f, T>(&mut self, from: &'f [T]) -> &'f T {
        &from[self.index(from.len())]
    }

    /// Returns a number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }
}
