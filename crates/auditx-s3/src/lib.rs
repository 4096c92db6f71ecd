//! Archives the sealed segments of audit trails in S3, where a bucket's Object Lock keeps them from being changed or removed for as long as
//! its rule says.
//!
//! ```no_run
//! use auditx_s3::S3;
//! use auditx_ship::{Settings, Shipper};
//!
//! let archive = S3::new("s3://audit-archive/erp?region=eu-central-1")?;
//! let shipper = Shipper::spawn_archive("/var/log/erp", archive, Settings::default())?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A segment is one object, `<prefix>/<trail>/<first>-<last>-<sha256>.jsonl.zst`, and a manifest beside it, `….json`, with what was signed
//! over it. Both are made only if nothing is there (`If-None-Match: *`), with a SHA-256 that the store checks. The digest in the name is that
//! of the lines, so it is the same however they are compressed. What is there already is fetched and compared: the same lines are success,
//! others end the archiver. The manifest comes last, so a segment without one is archived again.
//!
//! Credentials are those of the environment (`AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, …) or of the machine's role, unless the address has
//! them. Retention is the
//! bucket's own default rule: make the bucket with Object Lock, and set the rule before the first segment. This crate cannot see it. An
//! object is uploaded with one request, from memory, so a packed segment may have 5 GB at most.
//!
//! What is erased from a trail later (`AuditLogger::erase`) stays in what was archived before, for as long as the lock holds: let
//! personal data not get into lines ([`Redaction`](auditx_core::Redaction)), or archive with a rule that allows for it.

mod error;
mod address;
mod store;
mod manifest;
mod archive;
mod copy;

pub use archive::{S3, check};
pub use copy::S3Copy;
pub use error::{Error, Result};
