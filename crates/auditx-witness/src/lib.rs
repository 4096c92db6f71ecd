//! Witnesses of audit trails: independent servers that keep the newest checkpoint of a log and cosign only
//! what extends it (C2SP tlog-witness). With their public keys, an auditor needs no saved checkpoint.
//!
//! [`Witnesses`] obtains cosignatures for a trail, in the background:
//!
//! ```no_run
//! use auditx_core::{AuditLogger, Config};
//! use auditx_tlog::Policy;
//! use auditx_witness::Witnesses;
//!
//! let logger = AuditLogger::open(Config::new("/var/log/erp"))?;
//! let policy = Policy::parse(&std::fs::read("/etc/erp/witnesses.policy")?)?;
//! let submitter = Witnesses::of(&policy)?.spawn(&logger)?;
//! // … and in the end:
//! logger.close(std::time::Duration::from_secs(10))?;
//! let progress = submitter.close();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`Witness`] cosigns the checkpoints of other logs; with the feature `server`, `router` serves it over
//! HTTP, as `auditx witness` does.

mod error;
mod step;
mod answer;
mod journal;
mod witness;
#[cfg(feature = "client")]
mod target;
#[cfg(feature = "client")]
mod cosigned;
#[cfg(feature = "client")]
mod progress;
#[cfg(feature = "client")]
mod rounds;
#[cfg(feature = "client")]
mod witnesses;
#[cfg(feature = "client")]
mod recorder;
#[cfg(feature = "server")]
mod server;

pub use answer::Answer;
pub use error::{Error, Result};
#[cfg(feature = "client")]
pub use progress::Progress;
#[cfg(feature = "client")]
pub use recorder::Recorder;
#[cfg(feature = "server")]
pub use server::router;
pub use witness::Witness;
#[cfg(feature = "client")]
pub use witnesses::{Submitter, VARIABLE, Witnesses};
