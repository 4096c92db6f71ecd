//! What reads bytes that somebody else may have written: notes, proofs, cursors, segments, questions. Each function takes any bytes
//! and panics where something is said of them that is not so. The corpus in `tests/data/corpus` and the fuzz targets in
//! `fuzz/` both call these.

mod cursor;
mod note;
mod proof;
mod query;
mod ring;
mod segment;

pub use cursor::cursor;
pub use note::note;
pub use proof::proof;
pub use query::query;
pub use ring::ring;
pub use segment::segment;
