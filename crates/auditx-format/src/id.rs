//! Generates entry ids: UUIDv7 (RFC 9562), on the thread that records.

use std::cell::RefCell;

use chacha20::ChaCha12Rng;
use chacha20::rand_core::{Rng, SeedableRng};
use uuid::{Builder, Uuid};

use crate::clock::Timestamp;

/// Random bytes that one id takes.
const BITS_LEN: usize = 10;

const SEED_LEN: usize = 32;

/// The generator produces 256 bytes at a time: the next seed and the random bytes of 22 ids. A refill takes
/// about as long as a dozen ids, so no single call is slow.
const POOL_LEN: usize = 22 * BITS_LEN;

struct Pool {
    /// The seed of the next refill; `None` before the first.
    seed: Option<[u8; SEED_LEN]>,
    bytes: [u8; POOL_LEN],
    used: usize,
}

impl Pool {
    const fn empty() -> Self {
        Self { seed: None, bytes: [0; POOL_LEN], used: POOL_LEN }
    }
}

thread_local! {
    static POOL: RefCell<Pool> = const { RefCell::new(Pool::empty()) };
}

/// Returns a new id. Ids are unpredictable, so the text of an erased line cannot be guessed from its leaf
/// hash.
///
/// The random bits come from a per-thread generator that is seeded by the kernel once. A forked child has its
/// parent's seed and would repeat its ids, but it cannot record: the journal rejects its entries.
#[inline]
pub fn new_id(now: Timestamp) -> Uuid {
    // During thread teardown the pool is gone, and each id is seeded by the kernel.
    let bits = POOL.try_with(|pool| pool.borrow_mut().take()).unwrap_or_else(|_| Pool::empty().take());
    Builder::from_unix_timestamp_millis(now.millis(), &bits).into_uuid()
}

impl Pool {
    #[inline]
    fn take(&mut self) -> [u8; BITS_LEN] {
        if let Some(bits) = self.next() {
            return bits;
        }
        self.refill();
        self.next().expect("a refilled pool has the bytes of an id")
    }

    #[inline]
    fn next(&mut self) -> Option<[u8; BITS_LEN]> {
        let bits = *self.bytes.get(self.used..)?.first_chunk()?;
        self.used += BITS_LEN;
        Some(bits)
    }

    /// Each seed is used once and then overwritten, so this memory does not reveal the ids generated before.
    #[cold]
    fn refill(&mut self) {
        let seed = self.seed.unwrap_or_else(|| {
            let mut seed = [0; SEED_LEN];
            fill(&mut seed);
            seed
        });
        let mut generator = ChaCha12Rng::from_seed(seed);
        let mut next_seed = [0; SEED_LEN];
        generator.fill_bytes(&mut next_seed);
        generator.fill_bytes(&mut self.bytes);
        self.seed = Some(next_seed);
        self.used = 0;
    }
}

/// Fills `bytes` with random bytes from the operating system.
pub fn fill(bytes: &mut [u8]) {
    // Does not fail on Linux, macOS and Windows after boot; without randomness no id can be generated.
    getrandom::fill(bytes).expect("the operating system's random number generator failed");
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::time::SystemTime;

    use super::*;

    #[test]
    fn ids_are_version_7_and_never_repeat() {
        let now = Timestamp::of(SystemTime::now());
        let others = std::thread::spawn(move || (0..10_000).map(|_| new_id(now)).collect::<Vec<_>>());
        let mut ids: HashSet<Uuid> = (0..10_000).map(|_| new_id(now)).collect();
        ids.extend(others.join().unwrap());
        assert_eq!(ids.len(), 20_000);
        assert!(ids.iter().all(|id| id.get_version_num() == 7));
    }

    #[test]
    fn a_refill_uses_each_seed_once() {
        let mut pool = Pool::empty();
        let mut seeds = HashSet::new();
        let mut bits = HashSet::new();
        for _ in 0..100 {
            pool.refill();
            assert!(seeds.insert(pool.seed));
            assert!(bits.insert(pool.bytes));
        }
    }
}
