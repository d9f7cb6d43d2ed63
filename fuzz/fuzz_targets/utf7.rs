//! Names in modified UTF-7: what was decoded must be sent back as it came, and any text must come back as it was.

#![no_main]

use mailhaul_types::utf7;

libfuzzer_sys::fuzz_target!(|octets: &[u8]| {
    if let Some(text) = utf7::decode(octets) {
        assert_eq!(utf7::encode(&text).as_bytes(), octets);
    }
    if let Ok(text) = std::str::from_utf8(octets) {
        assert_eq!(utf7::decode(utf7::encode(text).as_bytes()).as_deref(), Some(text));
    }
});
