//! The tokenizer.

#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| mailhaul_imap::fuzzing::tokens(octets));
