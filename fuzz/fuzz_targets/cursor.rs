//! Fuzzes the decoder of followers' cursors.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| auditx_tests::decoders::cursor(bytes));
