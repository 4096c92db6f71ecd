//! Proofs of inclusion and of consistency.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| auditx_tests::decoders::proof(bytes));
