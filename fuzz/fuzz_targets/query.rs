//! Questions of the query language, and lines they are asked of.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| auditx_tests::decoders::query(bytes));
