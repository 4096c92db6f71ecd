//! Compares each format with golden files, with the published schemas and with independent parsers.
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
