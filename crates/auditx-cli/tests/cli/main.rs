//! The command as people and programs call it: the real binary, on real trails, in pipes and on a terminal.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod bundle;
mod custody;
mod demo;
mod doctor;
mod export;
mod history;
mod interference;
mod key;
mod manual;
mod program;
mod proof;
mod query;
mod readings;
mod recover;
mod ship;
mod shop;
mod stats;
mod tail;
mod trail;
mod unreachable;
mod verify;
