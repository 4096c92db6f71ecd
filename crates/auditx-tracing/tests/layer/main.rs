//! The layer in real subscribers, with a trail of its own for each test.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod entries;
mod fixture;
mod levels;
mod lines;
