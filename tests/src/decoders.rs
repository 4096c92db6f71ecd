//! Checks of everything that decodes untrusted bytes: notes, proofs, cursors, rings, segments, queries
//! and time stamps.
//!
//! Each function takes arbitrary bytes and panics if a decoder violates its contract. The corpus tests over
//! `tests/data/corpus` and the fuzz targets in `fuzz/` call these functions.

mod cursor;
mod note;
mod proof;
mod query;
mod ring;
mod segment;
mod stamp;

pub use cursor::cursor;
pub use note::note;
pub use proof::proof;
pub use query::query;
pub use ring::ring;
pub use segment::segment;
pub use stamp::stamp;
