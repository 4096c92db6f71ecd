//! Shared code of tests across crates; also compiles the README's code.
//!
//! Functions here panic if a precondition of the test is not met. They never skip a test.

#![doc = include_str!("../../README.md")]

pub mod allocations;
pub mod browser;
pub mod child;
pub mod clock;
pub mod deadline;
pub mod decoders;
pub mod events;
pub mod interference;
pub mod kill_loop;
pub mod log;
pub mod nats;
pub mod postgres;
pub mod process_loop;
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
pub mod tsa;
pub mod webdriver;
