//! Random moments that can be had again: a seed, told where a test fails.

use std::time::{SystemTime, UNIX_EPOCH};

/// SplitMix64: four lines, and good enough to choose moments.
#[derive(Debug)]
pub struct Random(u64);

impl Random {
    /// Seeded from `AUDITX_SEED`, else from the clock. Says the seed on stderr, which cargo shows where the test fails.
    ///
    /// # Panics
    /// Where `AUDITX_SEED` is no number.
    #[must_use]
    pub fn seeded() -> Self {
        let seed = match std::env::var("AUDITX_SEED") {
            Ok(text) => text.parse().expect("AUDITX_SEED is a number"),
            Err(_) => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later than 1970");
                u64::from(now.subsec_nanos()) ^ now.as_secs().rotate_left(32)
            }
        };
        eprintln!("random moments: AUDITX_SEED={seed} has the same ones");
        Self(seed)
    }

    /// Always the same ones.
    #[must_use]
    pub fn of(seed: u64) -> Self {
        Self(seed)
    }

    /// An index of something that has so many.
    ///
    /// # Panics
    /// If there are none.
    pub fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).expect("an index")
    }

    /// One of these.
    ///
    /// # Panics
    /// If there are none.
    pub fn one_of<'f, T>(&mut self, from: &'f [T]) -> &'f T {
        &from[self.index(from.len())]
    }

    /// A number from 0 to below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }
}
