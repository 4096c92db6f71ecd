//! Time stamps from a real authority, for real trails.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod stamper;
mod trail;
mod verification;
