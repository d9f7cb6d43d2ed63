#!/usr/bin/env bash
# The main job on real servers, to look at. Installs Dovecot if it is missing, builds, and runs the demonstration,
# which starts everything it needs in a temporary directory and leaves nothing running.
# --build-only and --run-only do one half of it.
set -euo pipefail
cd "$(dirname "$0")/.."

only=${1:-}
say() { printf 'demo: %s\n' "$*"; }

built=${CARGO_TARGET_DIR:-target}/release
[ "$only" != --run-only ] || exec "$built/examples/demo" "$built/mailhaul"
for tool in cargo cc; do
    if ! command -v "$tool" >/dev/null; then
        say "$tool is missing: install Rust with rustup (https://rustup.rs) and the packages build-essential and ca-certificates" >&2
        exit 1
    fi
done
if ! scripts/install-test-servers.sh --check --only dovecot >/dev/null 2>&1; then
    say "Dovecot is missing; installing it (it is neither started nor enabled)"
    scripts/install-test-servers.sh --only dovecot
fi
say "building (the first time this takes a few minutes)"
cargo build --release --quiet -p mailhaul -p mailhaul-testing --bin mailhaul --example demo
# What breaks the program on purpose must not be in what is shipped.
if grep -q MAILHAUL_FAILPOINT "$built/mailhaul"; then
    say "the release build holds failpoints: something takes them out of cfg(debug_assertions)" >&2
    exit 1
fi
[ "$only" = --build-only ] || exec "$built/examples/demo" "$built/mailhaul"
