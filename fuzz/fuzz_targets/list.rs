//! LIST, LSUB and STATUS responses.

#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| mailhaul_imap::fuzzing::list(octets));
