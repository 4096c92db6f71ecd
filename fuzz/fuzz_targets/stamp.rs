//! Fuzzes the parser of time stamps.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| auditx_tests::decoders::stamp(bytes));
