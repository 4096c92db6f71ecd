//! Tests across crates: what they share. The README's code compiles here.
//!
//! Everything here panics where something is not as a test needs it; nothing here is skipped or tried in hope.

#![doc = include_str!("../../README.md")]

pub mod child;
pub mod clock;
pub mod deadline;
pub mod decoders;
pub mod interference;
pub mod kill_loop;
pub mod log;
pub mod nats;
pub mod postgres;
pub mod proxy;
pub mod random;
pub mod readings;
pub mod report;
pub mod s3;
pub mod served;
pub mod shipping;
pub mod snapshot;
pub mod stop;
pub mod tmpfs;
pub mod tool;
pub mod trail;
