//! Archives the sealed segments of audit trails in S3. With Object Lock, a bucket prevents them from being
//! changed or removed during its retention period.
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
//! A segment is one object, `<prefix>/<trail>/<first>-<last>-<sha256>.jsonl.zst`, with a manifest, `….json`,
//! that contains a checkpoint which covers it. Both are created only if no object of that name exists
//! (`If-None-Match: *`), with a SHA-256 that the store checks. The digest in the name is that of the
//! uncompressed lines, so it does not depend on the compression. An existing object is fetched and compared:
//! the same lines are a success, different lines end the archiver. The manifest is stored last, so a segment
//! without one is archived again.
//!
//! Credentials are taken from the address, the environment (`AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, …)
//! or the machine's role. The retention period is the bucket's default rule: create the bucket with Object
//! Lock, and set the rule before the first segment is archived. This crate cannot check it. An object is
//! uploaded from memory with one request, so a compressed segment may have at most 5 GB.
//!
//! Text that is erased from a trail later (`AuditLogger::erase`) stays in segments archived before, until the
//! lock expires. Keep personal data out of lines ([`Redaction`](auditx_format::redact::Redaction)), or choose
//! a retention period that allows for erasure.

mod error;
mod address;
mod store;
mod manifest;
mod archive;
mod copy;

pub use archive::{S3, check};
pub use copy::S3Copy;
pub use error::{Error, Result};
