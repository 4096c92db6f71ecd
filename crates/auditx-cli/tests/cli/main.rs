//! The command as people and programs call it: the real binary, on real trails, in pipes and on a terminal.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod custody;
mod demo;
mod doctor;
mod key;
mod program;
mod proof;
mod recover;
mod tail;
mod trail;
mod verify;
