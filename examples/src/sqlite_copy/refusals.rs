//! Counts how often the database has refused each line, and decides whether an error is about the line.
//!
//! The counts are in memory only; a restarted process begins to count again.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use rusqlite::{Error, ErrorCode};

/// How often a line must be refused before it is parked: a constraint may just be changed, or the row that
/// the line refers to may just be inserted. The logger pauses between attempts.
const MAX_REFUSALS: u32 = 3;

/// The lines that were refused and are not parked yet.
#[derive(Debug, Default)]
pub(super) struct Refusals(Mutex<HashMap<u64, Refused>>);

#[derive(Debug)]
struct Refused {
    times: u32,
    reason: String,
}

impl Refusals {
    pub(super) fn count(&self, seq: u64, reason: &str) {
        let mut refused = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let refused = refused.entry(seq).or_insert_with(|| Refused { times: 0, reason: String::new() });
        refused.times += 1;
        reason.clone_into(&mut refused.reason);
    }

    /// Returns the last reason if the line was refused often enough to be parked.
    pub(super) fn final_reason(&self, seq: u64) -> Option<String> {
        let refused = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        refused
            .get(&seq)
            .filter(|refused| refused.times >= MAX_REFUSALS)
            .map(|refused| refused.reason.clone())
    }

    pub(super) fn forget(&self, seq: u64) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&seq);
    }
}

/// Returns whether the error is about this row. All other errors are about the database (locked, full,
/// damaged, unreachable, or with unexpected tables) and are waited for: parking would lose the order of
/// lines.
pub(super) fn is_about_the_row(error: &Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch | ErrorCode::TooBig)
    )
}

#[cfg(test)]
mod tests {
    use rusqlite::ffi;

    use super::*;

    fn is_about_the_row_with(code: i32) -> bool {
        is_about_the_row(&Error::SqliteFailure(ffi::Error::new(code), None))
    }

    #[test]
    fn only_constraint_type_and_size_errors_are_about_the_row() {
        for code in [
            ffi::SQLITE_CONSTRAINT_CHECK,
            ffi::SQLITE_CONSTRAINT_DATATYPE,
            ffi::SQLITE_CONSTRAINT_FOREIGNKEY,
            ffi::SQLITE_CONSTRAINT_NOTNULL,
            ffi::SQLITE_CONSTRAINT_TRIGGER,
            ffi::SQLITE_CONSTRAINT_UNIQUE,
            ffi::SQLITE_MISMATCH,
            ffi::SQLITE_TOOBIG,
        ] {
            assert!(is_about_the_row_with(code), "{code}");
        }
        for code in [
            ffi::SQLITE_ERROR,
            ffi::SQLITE_BUSY,
            ffi::SQLITE_BUSY_SNAPSHOT,
            ffi::SQLITE_LOCKED,
            ffi::SQLITE_NOMEM,
            ffi::SQLITE_READONLY,
            ffi::SQLITE_IOERR,
            ffi::SQLITE_IOERR_FSYNC,
            ffi::SQLITE_CORRUPT,
            ffi::SQLITE_FULL,
            ffi::SQLITE_CANTOPEN,
            ffi::SQLITE_PROTOCOL,
            ffi::SQLITE_SCHEMA,
            ffi::SQLITE_AUTH,
            ffi::SQLITE_NOTADB,
        ] {
            assert!(!is_about_the_row_with(code), "{code}");
        }
        assert!(!is_about_the_row(&Error::QueryReturnedNoRows));
    }

    #[test]
    fn refusals_are_counted_for_each_line() {
        let refusals = Refusals::default();
        for time in 0..MAX_REFUSALS {
            assert_eq!(refusals.final_reason(7), None, "after {time}");
            refusals.count(7, &format!("reason {time}"));
            refusals.count(100 + u64::from(time), "reason of another line");
        }
        assert_eq!(refusals.final_reason(7).as_deref(), Some("reason 2"));
        refusals.forget(7);
        assert_eq!(refusals.final_reason(7), None);
    }
}
