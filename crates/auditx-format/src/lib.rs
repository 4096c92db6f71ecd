//! The lines of an audit trail: entries with their fields, encoded and redacted, and lines read again.
//!
//! ```
//! use auditx_format::row::{Field, Row};
//!
//! let row = Row::read(br#"{"seq":7,"level":"AUDIT","description":"Invoice posted","user":"thida"}"#)?;
//! assert_eq!(row.text(Field::User), "thida");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Applications use `auditx-core`, which re-exports what they need; this crate is for programs that read the
//! lines of a trail. It opens no file.
//!
//! # Errors
//!
//! [`Error`] is the error of all crates that record or keep a trail. It is opaque; its predicates distinguish
//! the cases that callers handle differently.

mod error;
pub mod digits;
pub mod calendar;
pub mod clock;
pub mod moment;
pub mod id;
pub mod vocabulary;
pub mod amount;
pub mod snapshot;
pub mod entry;
pub mod context;
pub mod redact;
pub mod encode;
pub mod control_record;
pub mod line_head;
pub mod line;
pub mod row;

pub use error::{Error, HookError, Result};

// The code blocks of the README are compiled and run as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
