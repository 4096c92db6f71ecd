//! Verifies trails written by a real logger, unchanged and after each way of tampering.

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
mod stamps;
mod times;
mod witnesses;

use super::*;
