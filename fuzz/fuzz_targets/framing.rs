//! Where a response ends, and what kind it is.

#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| mailhaul_imap::fuzzing::framing(octets));
