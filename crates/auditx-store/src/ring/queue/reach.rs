//! How far the trail is written and durable, for the processes that only record.
//!
//! Written by the process that writes the trail, one pair at a time: first the position, then the lines. Read
//! in the opposite order, so that the lines are never ahead of the position.

use std::sync::atomic::Ordering::{Acquire, Release, SeqCst};

use super::super::layout::{
    DURABLE, DURABLE_LINES, FLAGS, HEAD, LINES, SETTINGS, TAIL, WANTED, WRITTEN, WRITTEN_LINES,
};
use super::super::word::{Memory, Word};
use super::Queue;
use crate::reach::Reach;

impl<M: Memory> Queue<M> {
    /// Publishes how far the trail is written.
    pub(crate) fn publish_written(&self, reach: Reach) {
        self.publish(WRITTEN, WRITTEN_LINES, reach);
    }

    /// Publishes how far the trail is durable.
    pub(crate) fn publish_durable(&self, reach: Reach) {
        self.publish(DURABLE, DURABLE_LINES, reach);
    }

    fn publish(&self, position: usize, lines: usize, reach: Reach) {
        // ORDERING: Release pairs with the Acquire loads in `pair`. SeqCst for `tell`: stored before it loads
        // whether a producer waits.
        self.control(position).store(reach.position, SeqCst);
        self.control(lines).store(reach.lines, Release);
    }

    pub(crate) fn written(&self) -> Reach {
        self.pair(WRITTEN, WRITTEN_LINES)
    }

    pub(crate) fn durable(&self) -> Reach {
        self.pair(DURABLE, DURABLE_LINES)
    }

    /// Returns up to where room was released, and how many lines the trail had then, or fewer.
    pub(crate) fn released(&self) -> Reach {
        self.pair(HEAD, LINES)
    }

    fn pair(&self, position: usize, lines: usize) -> Reach {
        // ORDERING: Acquire keeps the two loads in order, and pairs with `publish` and `release`.
        let lines = self.control(lines).load(Acquire);
        Reach { lines, position: self.control(position).load(SeqCst) }
    }

    /// Asks the writer to make every entry before a position durable.
    pub(crate) fn want_durable(&self, position: u64) {
        // ORDERING: stored before the call that follows; see `calls`. Of several producers the highest counts.
        let mut known = self.control(WANTED).load(SeqCst);
        while known < position {
            match self.control(WANTED).compare_exchange(known, position, SeqCst, SeqCst) {
                Ok(_) => return,
                Err(now) => known = now,
            }
        }
    }

    pub(crate) fn wanted(&self) -> u64 {
        // ORDERING: loaded after the call was noticed; see `calls`.
        self.control(WANTED).load(SeqCst)
    }

    /// Stores a fingerprint of the writer's settings.
    pub(crate) fn set_settings(&self, fingerprint: u64) {
        self.control(SETTINGS).store(fingerprint, Release);
    }

    pub(crate) fn settings(&self) -> u64 {
        self.control(SETTINGS).load(Acquire)
    }

    /// Takes entries again, although the last writer could not write them, died while it restored the ring's
    /// file, or could not end in time.
    pub(crate) fn heal(&self) {
        // ORDERING: as for every change of TAIL.
        self.control(TAIL).fetch_and(!FLAGS, SeqCst);
    }
}
