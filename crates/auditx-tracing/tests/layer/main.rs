//! The layer in real subscribers; each test has its own trail.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod entries;
mod fixture;
mod levels;
mod lines;
