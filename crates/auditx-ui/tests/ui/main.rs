//! Tests of the dashboard: served on a real port, read by plain requests and by a real browser.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod access;
mod accessibility;
mod alerts;
mod api;
mod browsing;
mod bundle;
mod counting;
#[cfg(feature = "postgres")]
mod database;
mod description;
mod family;
mod forward_auth;
mod limits;
mod live;
mod proof;
mod proof_vectors;
mod receiver;
mod related;
mod saved;
mod schemathesis;
mod screenshots;
mod scripts;
mod server;
mod streaming;
