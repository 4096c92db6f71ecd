//! One word of shared memory, as a trait, so that the same protocol runs on mapped memory, on the heap and in
//! loom.

use std::sync::atomic::{AtomicU64, Ordering};

pub(crate) trait Word: Send + Sync {
    fn load(&self, order: Ordering) -> u64;
    fn store(&self, value: u64, order: Ordering);
    fn fetch_or(&self, value: u64, order: Ordering) -> u64;
    fn fetch_and(&self, value: u64, order: Ordering) -> u64;
    fn fetch_add(&self, value: u64, order: Ordering) -> u64;
    fn compare_exchange(&self, old: u64, new: u64, success: Ordering, failure: Ordering) -> Result<u64, u64>;
}

macro_rules! word {
    ($atomic:ty) => {
        impl Word for $atomic {
            #[inline]
            fn load(&self, order: Ordering) -> u64 {
                <$atomic>::load(self, order)
            }

            #[inline]
            fn store(&self, value: u64, order: Ordering) {
                <$atomic>::store(self, value, order);
            }

            #[inline]
            fn fetch_or(&self, value: u64, order: Ordering) -> u64 {
                <$atomic>::fetch_or(self, value, order)
            }

            #[inline]
            fn fetch_and(&self, value: u64, order: Ordering) -> u64 {
                <$atomic>::fetch_and(self, value, order)
            }

            #[inline]
            fn fetch_add(&self, value: u64, order: Ordering) -> u64 {
                <$atomic>::fetch_add(self, value, order)
            }

            #[inline]
            fn compare_exchange(
                &self,
                old: u64,
                new: u64,
                success: Ordering,
                failure: Ordering,
            ) -> Result<u64, u64> {
                <$atomic>::compare_exchange(self, old, new, success, failure)
            }
        }
    };
}

word!(AtomicU64);
#[cfg(test)]
word!(loom::sync::atomic::AtomicU64);

/// Words that several threads share: the control page, followed by the records.
pub(crate) trait Memory: Send + Sync {
    type Word: Word;
    /// Returns all words, those of the control page first.
    fn words(&self) -> &[Self::Word];
    /// Returns the lane that this thread tries first.
    fn preferred_lane(&self) -> usize {
        0
    }
}

#[cfg(test)]
impl Memory for Box<[AtomicU64]> {
    type Word = AtomicU64;

    fn words(&self) -> &[AtomicU64] {
        self
    }
}
