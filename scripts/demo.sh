#!/usr/bin/env bash
# The main job on real servers, to look at. Installs Dovecot if it is missing, builds, and runs the demonstration,
# which starts everything it needs in a temporary directory and leaves nothing running.
set -euo pipefail
cd "$(dirname "$0")/.."

command -v cargo >/dev/null || { echo "demo: Rust is missing; install it from Debian or with rustup" >&2; exit 1; }
if ! scripts/install-test-servers.sh --check --only dovecot >/dev/null 2>&1; then
    echo "demo: Dovecot is missing; installing it"
    scripts/install-test-servers.sh --only dovecot
fi
echo "demo: building (the first time this takes a few minutes)"
cargo build --release --quiet -p mailhaul
cargo build --release --quiet -p mailhaul-testing --example demo
exec target/release/examples/demo target/release/mailhaul
