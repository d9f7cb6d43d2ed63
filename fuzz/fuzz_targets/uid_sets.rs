//! Sets of UIDs, and APPENDUID.

#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| mailhaul_imap::fuzzing::uid_sets(octets));
