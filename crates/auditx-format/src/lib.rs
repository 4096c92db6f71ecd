//! The line format of audit trails: redacts and encodes entries, and reads lines back.
//!
//! ```
//! use auditx_format::row::{Field, Row};
//!
//! let row = Row::read(br#"{"seq":7,"level":"AUDIT","description":"Invoice posted","user":"thida"}"#)?;
//! assert_eq!(row.text(Field::User), "thida");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Applications use `auditx-core`, which re-exports what they need. Programs that read lines use this crate
//! directly: the modules [`row`], [`line`](mod@line), [`line_head`], [`moment`] and [`control_record`]. The
//! others are what `auditx-store` and `auditx-core` build on. It opens no file.
//!
//! # Errors
//!
//! [`Error`] is the error of this crate, of `auditx-store` and of `auditx-core`. It is opaque; its predicates
//! distinguish the cases that callers handle differently.

mod error;
mod digits;
mod calendar;
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
pub mod encoded;

pub use error::{Error, HookError, Result};

// The code blocks of the README are compiled and run as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
