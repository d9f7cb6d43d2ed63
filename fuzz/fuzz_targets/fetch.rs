//! The items of FETCH responses.

#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| mailhaul_imap::fuzzing::fetch(octets));
