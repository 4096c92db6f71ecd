//! Tests across crates. The README's code compiles here.

#![doc = include_str!("../../README.md")]
