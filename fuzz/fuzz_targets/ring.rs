//! The journal's ring and the segment behind it, through recovery.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| auditx_tests::decoders::ring(bytes));
