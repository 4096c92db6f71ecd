//! Tests of the command `auditx`: the binary, on real trails, in pipes and on a terminal.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod alerts;
mod bundle;
#[cfg(feature = "ship")]
mod capture;
mod custody;
mod demo;
mod discover;
mod doctor;
mod export;
mod family;
mod help;
mod history;
mod history_at;
mod interference;
mod key;
mod manual;
mod narrow;
#[cfg(feature = "ship")]
mod parent;
mod program;
mod proof;
mod query;
mod readers;
mod readings;
mod record;
mod recover;
#[cfg(feature = "ship")]
mod ship;
#[cfg(not(feature = "ship"))]
mod without_ship;
mod shop;
mod stats;
mod tail;
mod times;
#[cfg(feature = "ship")]
mod timestamp;
mod trail;
mod ui;
#[cfg(feature = "ship")]
mod ui_copy;
#[cfg(feature = "ship")]
mod unreachable;
mod verify;
#[cfg(feature = "ship")]
mod witness;
