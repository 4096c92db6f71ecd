//! Maps the entries of an audit trail to the schemas that SIEMs read: OCSF, ECS, CEF, RFC 5424 syslog, OTLP logs and CSV.
//!
//! ```
//! use auditx_core::RecordedEntry;
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
//! One entry is one line of output, whatever it says: control characters and those that reorder text are escaped in every
//! format, amounts keep their digits, and nothing panics. docs/SIEM.md has the mapping field by field.
//!
//! An [`Exporter`] is `Sync`: any number of threads may map with one of it, each into its own buffer. It opens no file and no
//! connection.

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

// The page's code compiles, and runs.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/SIEM.md")]
mod siem {}
