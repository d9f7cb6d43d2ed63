//! The plain crates stay plain: nothing that they are built from knows of a runtime, a socket or a database.

use std::process::Command;

const PLAIN: [&str; 4] = ["mailhaul-types", "mailhaul-plan", "mailhaul-accounts", "mailhaul-report"];
const FORBIDDEN: [&str; 7] = ["tokio", "async-imap", "sqlx", "rustls", "mio", "socket2", "futures-util"];

/// The names of all crates that `package` is built from, itself included.
fn dependencies_of(package: &str) -> Vec<String> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--package", package, "--edges", "normal,build", "--prefix", "none"])
        .args(["--format", "{p}", "--target", "all"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs, since it runs this test");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("crate names are text");
    text.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

#[test]
fn plain_crates_are_built_without_a_runtime() {
    for package in PLAIN {
        let dependencies = dependencies_of(package);
        assert!(dependencies.iter().any(|name| name == package), "{package} is not in its own tree");
        for forbidden in FORBIDDEN {
            let found = dependencies.iter().any(|name| name == forbidden || name.starts_with(&format!("{forbidden}-")));
            assert!(!found, "{package} depends on {forbidden}");
        }
    }
}

#[test]
fn a_runtime_would_be_noticed() {
    assert!(dependencies_of("mailhaul-imap").iter().any(|name| name == "tokio"));
}
