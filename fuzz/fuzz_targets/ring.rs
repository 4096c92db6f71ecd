//! Fuzzes recovery from the ring and the active segment.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| auditx_tests::decoders::ring(bytes));
