//! Tests of the dashboard: served on a real port, read by plain requests and by a real browser.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod access;
mod accessibility;
mod alerts;
mod api;
mod browsing;
mod counting;
mod forward_auth;
mod limits;
mod receiver;
mod saved;
mod screenshots;
mod server;
