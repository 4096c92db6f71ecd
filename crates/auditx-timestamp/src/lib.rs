//! Time stamps of audit trails (RFC 3161): a time-stamping authority signs that a checkpoint existed at a
//! time. To verify the trail later, an auditor needs only the root certificate of that authority.
//!
//! [`TimeStamps`] obtains them in the background:
//!
//! ```no_run
//! # #[cfg(feature = "client")] {
//! use auditx_core::{AuditLogger, Config};
//! use auditx_timestamp::TimeStamps;
//!
//! let logger = AuditLogger::open(Config::new("/var/log/erp"))?;
//! let stamper = TimeStamps::of("https://tsa.example.org/")?.spawn(&logger)?;
//! // … and in the end:
//! logger.close(std::time::Duration::from_secs(10))?;
//! let progress = stamper.close();
//! # }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`verified`] verifies those of a trail offline, for [`auditx_reader::VerifyOptions::time_stamps`].
//! [`Request`], [`Stamp`] and [`Roots`] are for single checkpoints.

mod error;
mod der;
mod digest;
mod certificate;
mod request;
mod info;
mod token;
mod roots;
mod stamp;
mod verified;
#[cfg(feature = "client")]
mod kept;
#[cfg(feature = "client")]
mod authority;
#[cfg(feature = "client")]
mod progress;
#[cfg(feature = "client")]
mod work;
#[cfg(feature = "client")]
mod time_stamps;

pub use error::{Error, Result};
#[cfg(feature = "client")]
pub use progress::Progress;
pub use request::Request;
pub use roots::Roots;
pub use stamp::{Stamp, Stamped};
#[cfg(feature = "client")]
pub use time_stamps::{Stamper, TimeStamps, VARIABLE};
pub use verified::verified;
