//! Fuzzes the parsers of signed checkpoints and verifier keys.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| auditx_tests::decoders::note(bytes));
