//! What each format says, held against golden files, against the published schemas and against parsers of our own.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod cef;
mod csv;
mod ecs;
mod golden;
mod ocsf;
mod otlp;
mod page;
mod random;
mod roundtrip;
mod syslog;
mod trail;
