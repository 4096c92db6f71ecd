//! Counts failures per client address in a sliding window, in bounded memory.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use auditx_store::config::RateLimit;
use lru::LruCache;

/// The highest count per address.
const MAX_FAILURES: usize = 1_000;

/// The failures of one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct RateLimitState {
    /// The number of failures within the window, at most 1,000.
    pub count: u32,
    /// The configured limit; see [`RateLimit::limit`].
    pub limit: u32,
}

impl RateLimitState {
    /// Returns `true` if there were more failures than the limit.
    #[must_use]
    pub fn is_exceeded(&self) -> bool {
        self.count > self.limit
    }
}

#[derive(Debug)]
pub(crate) struct RateLimiter {
    settings: RateLimit,
    failures: Mutex<LruCache<IpAddr, VecDeque<SystemTime>>>,
}

impl RateLimiter {
    pub(crate) fn new(settings: RateLimit) -> Self {
        let addresses = NonZeroUsize::new(settings.addresses).unwrap_or(NonZeroUsize::MIN);
        Self { settings, failures: Mutex::new(LruCache::new(addresses)) }
    }

    /// Counts one failure.
    pub(crate) fn count(&self, ip: IpAddr, now: SystemTime) -> RateLimitState {
        let mut failures = self.lock();
        let times = failures.get_or_insert_mut(ip, VecDeque::new);
        self.forget_old(times, now);
        if times.len() == MAX_FAILURES {
            times.pop_front();
        }
        times.push_back(now);
        self.state(times.len())
    }

    pub(crate) fn check(&self, ip: IpAddr, now: SystemTime) -> RateLimitState {
        let mut failures = self.lock();
        let Some(times) = failures.peek_mut(&ip) else { return self.state(0) };
        self.forget_old(times, now);
        self.state(times.len())
    }

    pub(crate) fn reset(&self, ip: IpAddr) {
        self.lock().pop(&ip);
    }

    fn forget_old(&self, times: &mut VecDeque<SystemTime>, now: SystemTime) {
        while times
            .front()
            .is_some_and(|time| now.duration_since(*time).is_ok_and(|age| age >= self.settings.window))
        {
            times.pop_front();
        }
    }

    fn state(&self, count: usize) -> RateLimitState {
        RateLimitState { count: u32::try_from(count).unwrap_or(u32::MAX), limit: self.settings.limit }
    }

    fn lock(&self) -> MutexGuard<'_, LruCache<IpAddr, VecDeque<SystemTime>>> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    fn ip(last: u8) -> IpAddr {
        [192, 168, 1, last].into()
    }

    fn at(second: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(second)
    }

    #[test]
    fn failures_leave_the_window_one_by_one() {
        let limiter = RateLimiter::new(RateLimit::new(2, Duration::from_secs(60)));
        for second in [0, 10, 20] {
            limiter.count(ip(1), at(second));
        }
        assert!(limiter.check(ip(1), at(20)).is_exceeded());
        assert_eq!(limiter.check(ip(1), at(61)).count, 2);
        assert!(!limiter.check(ip(1), at(61)).is_exceeded());
        assert_eq!(limiter.check(ip(2), at(20)).count, 0);
        assert_eq!(limiter.count(ip(1), at(75)).count, 2, "the failures at 20 and at 75");
        limiter.reset(ip(1));
        assert_eq!(limiter.check(ip(1), at(75)).count, 0);
    }

    #[test]
    fn addresses_and_failures_are_bounded() {
        let mut settings = RateLimit::new(5, Duration::from_secs(60));
        settings.addresses = 3;
        let limiter = RateLimiter::new(settings);
        for last in 1..=4 {
            limiter.count(ip(last), at(0));
        }
        assert_eq!(limiter.check(ip(1), at(0)).count, 0, "the least recently used address is evicted");
        for _ in 0..2_000 {
            limiter.count(ip(2), at(1));
        }
        assert_eq!(limiter.check(ip(2), at(1)).count, 1_000);
    }
}
