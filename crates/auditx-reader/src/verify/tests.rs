//! Verifying trails that real loggers wrote, as they are and after each way to tamper with them.

mod answers;
mod bits;
mod erasure;
mod fixture;
mod freshness;
mod lines;
mod live;
mod loss;
mod records;
mod retirement;
mod rotation;
mod segments;
mod signatures;
mod times;

use super::*;
