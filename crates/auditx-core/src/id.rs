//! The id of an entry: UUIDv7 (RFC 9562), made on the caller's thread.

use std::cell::RefCell;

use chacha20::ChaCha12Rng;
use chacha20::rand_core::{Rng, SeedableRng};
use uuid::{Builder, Uuid};

use crate::clock::Timestamp;

/// Random bits of one id.
const BITS_LEN: usize = 10;

const SEED_LEN: usize = 32;

/// The next seed and the bits of 22 ids are what the generator makes at a time (256 bytes): a refill takes about as long as
/// a dozen ids, and no call stalls.
const POOL_LEN: usize = 22 * BITS_LEN;

struct Pool {
    /// Of the next refill; none before the first.
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

/// Nobody can guess an id, nor hence an erased line from its leaf hash.
///
/// The random bits come from a generator of the thread's own, seeded by the kernel once. A child that was forked off has its
/// parent's seed and would give its parent's ids, but cannot record: the journal refuses it.
#[inline]
pub(crate) fn new_id(now: Timestamp) -> Uuid {
    // A thread being torn down has no pool left and asks the kernel each time.
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
        self.next().expect("a pool that was filled has bits for an id")
    }

    #[inline]
    fn next(&mut self) -> Option<[u8; BITS_LEN]> {
        let bits = *self.bytes.get(self.used..)?.first_chunk()?;
        self.used += BITS_LEN;
        Some(bits)
    }

    /// Each seed is used once and overwritten: who reads this memory learns no id that was given before.
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

/// Fills with random bytes from the operating system.
pub(crate) fn fill(bytes: &mut [u8]) {
    // Linux, macOS and Windows cannot refuse this once booted; without randomness there are no ids to give.
    getrandom::fill(bytes).expect("the operating system gives random bytes");
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
