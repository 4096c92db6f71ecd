//! Maps the entries of an audit trail to formats that SIEMs read: OCSF, ECS, CEF, RFC 5424 syslog, OTLP logs
//! and CSV.
//!
//! ```
//! use auditx_format::line::RecordedEntry;
//! use auditx_export::{Exporter, Format};
//!
//! let line = br#"{"seq":3,"description":"Login failed","user":"attacker","success":false}"#;
//! let entry = RecordedEntry::from_line(line)?.parse()?;
//!
//! let exporter = Exporter::new(Format::Ecs);
//! let mut out = Vec::new();
//! exporter.header(&mut out);
//! exporter.entry(line, &entry, &mut out);
//! exporter.footer(&mut out);
//! let said: serde_json::Value = serde_json::from_slice(&out)?;
//! assert_eq!((&said["user"]["name"], &said["event"]["outcome"]), (&"attacker".into(), &"failure".into()));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Each entry is one line of output, whatever it holds: control characters and characters that reorder text
//! are escaped in every format, amounts keep their digits, and nothing panics. docs/SIEM.md describes the
//! mapping field by field.
//!
//! An [`Exporter`] is `Sync`: several threads may share one, each with its own buffer. It opens no files and
//! no connections.

mod error;
mod format;
mod framing;
mod column;
mod settings;
mod scale;
mod text;
mod json;
mod view;
mod ocsf;
mod ecs;
mod otlp;
mod cef;
mod syslog;
mod csv;
mod exporter;

pub use column::Column;
pub use csv::{CsvCell, csv_record};
pub use ecs::ECS_VERSION;
pub use error::{Error, Result};
pub use exporter::Exporter;
pub use format::Format;
pub use framing::Framing;
pub use ocsf::OCSF_VERSION;

// Compiles and runs the code in the page.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/SIEM.md")]
mod siem {}
