//! The id of an entry: UUIDv7 (RFC 9562), made on the caller's thread.

use std::cell::RefCell;

use uuid::{Builder, Uuid};

use crate::clock::Timestamp;

/// Random bits of one id.
const BITS_LEN: usize = 10;

/// Enough for some four hundred ids, so that asking the kernel does not show.
const POOL_LEN: usize = 4_090;

struct Pool {
    bytes: [u8; POOL_LEN],
    used: usize,
}

thread_local! {
    static POOL: RefCell<Pool> = const { RefCell::new(Pool { bytes: [0; POOL_LEN], used: POOL_LEN }) };
}

/// The random bits come from the kernel: nobody can guess an id, nor hence an erased line from its leaf hash.
pub(crate) fn new_id(now: Timestamp) -> Uuid {
    // A thread being torn down has no pool left and asks the kernel each time.
    let bits = POOL.try_with(|pool| pool.borrow_mut().take()).unwrap_or_else(|_| {
        let mut bits = [0; BITS_LEN];
        fill(&mut bits);
        bits
    });
    Builder::from_unix_timestamp_millis(now.millis(), &bits).into_uuid()
}

impl Pool {
    fn take(&mut self) -> [u8; BITS_LEN] {
        if self.used + BITS_LEN > POOL_LEN {
            fill(&mut self.bytes);
            self.used = 0;
        }
        let mut bits = [0; BITS_LEN];
        bits.copy_from_slice(&self.bytes[self.used..self.used + BITS_LEN]);
        self.used += BITS_LEN;
        bits
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
        let ids: HashSet<Uuid> = (0..10_000).map(|_| new_id(now)).collect();
        assert_eq!(ids.len(), 10_000);
        assert!(ids.iter().all(|id| id.get_version_num() == 7));
    }
}
