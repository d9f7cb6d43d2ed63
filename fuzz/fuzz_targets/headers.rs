//! The header scan: whole, and cut in two anywhere, it must make the same key and the same print, and a print has nothing
//! that contradicts itself.

#![no_main]

use mailhaul_plan::keys::KeyMaker;

libfuzzer_sys::fuzz_target!(|octets: &[u8]| {
    let keys = KeyMaker::new([7; 16]);
    let _ = keys.key_of_headers(octets);
    let whole = keys.key_of_message(octets);
    let cut = octets.first().map_or(0, |first| usize::from(*first) % octets.len());
    let mut stream = keys.stream();
    stream.push(&octets[..cut]);
    stream.push(&octets[cut..]);
    assert_eq!(whole, stream.finish());
    let _ = keys.likeness_of_headers(octets);
    let mut printer = keys.printer();
    printer.push(octets);
    let whole = printer.finish();
    let mut printer = keys.printer();
    printer.push(&octets[..cut]);
    printer.push(&octets[cut..]);
    assert_eq!(whole, printer.finish());
    if let Some(fields) = &whole.fields {
        let changes = fields.changes_in(fields);
        assert_eq!((changes.added, changes.dropped, changes.changed), (0, 0, 0));
    }
});
