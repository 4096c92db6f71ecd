//! Packs entries of an audit trail into an archive for an auditor, with everything needed to check them
//! elsewhere.
//!
//! ```
//! use auditx_bundle::Bundle;
//! use auditx_core::{AuditLogger, Config};
//! use auditx_reader::{Moment, Query, Search};
//! use std::time::Duration;
//! # let directory = tempfile::tempdir()?;
//! # let log_dir = directory.path();
//!
//! let logger = AuditLogger::open(Config::new(log_dir))?;
//! logger.log("Invoice 7 posted").record()?;
//! logger.log("Invoice 8 posted").record()?;
//! logger.close(Duration::from_secs(10))?;
//!
//! let period = Search::new(log_dir);
//! let selected = period.clone().query(Query::parse("\"Invoice 8\"", Moment::now())?);
//! let mut file = tempfile::tempfile()?;
//! let outcome = Bundle::open(log_dir)?.query_text("\"Invoice 8\"").write(&selected, &period, &mut file)?;
//! assert_eq!((outcome.summary.found, outcome.unproved), (1, 0));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The archive is a zip file. `README.txt` in it explains to the recipient what the other files are and how
//! to check them with `auditx check` and `sha256sum`; `manifest.json` states the query, how many entries the
//! period has in total, and how many of the selected ones have no proof.

mod error;
mod sink;
mod archive;
mod manifest;
mod time_stamp;
mod bundle;

pub use bundle::{Bundle, Outcome};
pub use error::{Error, Result};
