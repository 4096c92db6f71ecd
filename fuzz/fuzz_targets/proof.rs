//! Fuzzes the parsers of inclusion and consistency proofs.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| auditx_tests::decoders::proof(bytes));
