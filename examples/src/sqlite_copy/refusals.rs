//! How often the database has refused a line, and whether that was about the line at all.
//!
//! It is kept in memory: a process that begins anew asks the database anew.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use rusqlite::{Error, ErrorCode};

/// So often a line is refused before it is parked: somebody may be changing a constraint, or adding the row it refers to.
/// The logger pauses in between.
const ENOUGH: u32 = 3;

/// The lines that were refused and are not parked yet.
#[derive(Debug, Default)]
pub(super) struct Refusals(Mutex<HashMap<u64, Refused>>);

#[derive(Debug)]
struct Refused {
    times: u32,
    reason: String,
}

impl Refusals {
    pub(super) fn note(&self, seq: u64, reason: &str) {
        let mut refused = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let refused = refused.entry(seq).or_insert_with(|| Refused { times: 0, reason: String::new() });
        refused.times += 1;
        reason.clone_into(&mut refused.reason);
    }

    /// Why the line was refused last, once that has happened often enough.
    pub(super) fn final_reason(&self, seq: u64) -> Option<String> {
        let refused = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        refused.get(&seq).filter(|refused| refused.times >= ENOUGH).map(|refused| refused.reason.clone())
    }

    pub(super) fn forget(&self, seq: u64) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&seq);
    }
}

/// Whether the database refuses this row, and would take another. Everything else is about the database itself (it is
/// locked, full, broken, away, or has other tables than ours): to wait is right then, and to park would be to lose order.
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
    fn a_refusal_is_about_the_row_only_where_the_database_says_so() {
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
    fn a_line_is_given_up_after_a_few_refusals_of_its_own() {
        let refusals = Refusals::default();
        for time in 0..ENOUGH {
            assert_eq!(refusals.final_reason(7), None, "after {time}");
            refusals.note(7, &format!("reason {time}"));
            refusals.note(100 + u64::from(time), "another line's");
        }
        assert_eq!(refusals.final_reason(7).as_deref(), Some("reason 2"));
        refusals.forget(7);
        assert_eq!(refusals.final_reason(7), None);
    }
}
