//! Fuzzes the readers of segments, plain and compressed.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| auditx_tests::decoders::segment(bytes));
