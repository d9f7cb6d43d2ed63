//! Where the built command is.

use std::path::PathBuf;
use std::process::Command;

/// The built command: the one that `MAILHAUL_BIN` names, else the one that was built beside the running program.
///
/// # Panics
/// When there is none: build it first, with `cargo build -p mailhaul`.
#[must_use]
pub fn mailhaul() -> Command {
    let path = std::env::var_os("MAILHAUL_BIN").map_or_else(beside_us, PathBuf::from);
    assert!(path.is_file(), "there is no {}; build it first: cargo build -p mailhaul", path.display());
    Command::new(path)
}

fn beside_us() -> PathBuf {
    let us = std::env::current_exe().expect("a running program has a path");
    let folder = us.parent().expect("it lies in a folder");
    // Tests lie one folder deeper.
    let folder = if folder.ends_with("deps") { folder.parent().expect("deps has a parent") } else { folder };
    folder.join("mailhaul")
}
