# `make` lists the targets. Everything that a target needs and that Debian, or the Rust registry, can give is
# installed by the target itself.

SHELL := /bin/bash
CARGO ?= cargo
export CARGO_TERM_COLOR ?= auto

# Both in one build: features are unified over what is built together, and apart everything would be compiled twice.
PROVE_BUILD := --profile prove -p mailhaul -p mailhaul-proving
PROVE_DIR = $${CARGO_TARGET_DIR:-target}/prove

.PHONY: help demo test test-long prove prove-long compare histories fuzz check lint docs deny audit fmt bench servers picture page-pictures clean

help: ## This list
	@awk -F':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## The main job on real servers: fill, copy, kill, resume, verify, prove
	@scripts/demo.sh

test: servers check ## What CI runs: installs what tests need, checks, then all tests on real servers
	$(CARGO) test --workspace --no-fail-fast

test-long: servers ## What takes too long for every day: many more deaths at random moments
	$(CARGO) test -p mailhaul --test it --no-fail-fast -- --ignored

prove: servers ## Break it on purpose, row by row, and count what was lost (PROVE="--row N --seed N --runs N")
	$(CARGO) build --quiet $(PROVE_BUILD)
	$(PROVE_DIR)/mailhaul-proving $(PROVE)

prove-long: ## The same for hours
	$(MAKE) prove PROVE="--long $(PROVE)"

compare: ## mbsync beside mailhaul, under the same troubles and before the same judge
	@scripts/install-test-servers.sh --only dovecot
	@scripts/install-test-servers.sh --only mbsync
	$(CARGO) build --quiet $(PROVE_BUILD)
	$(PROVE_DIR)/compare

FUZZ ?= framing
SECONDS_OF_FUZZ := $(if $(filter command line environment,$(origin SECONDS)),$(SECONDS),60)

fuzz: ## Feed one reader of foreign octets with what a fuzzer thinks of (FUZZ=target, SECONDS=n)
	@command -v cargo-fuzz >/dev/null || $(CARGO) install cargo-fuzz --locked
	@mkdir -p fuzz/found/$(FUZZ)
	$(CARGO) +nightly fuzz run $(FUZZ) fuzz/found/$(FUZZ) fuzz/corpus/$(FUZZ) -- -max_total_time=$(SECONDS_OF_FUZZ)

histories: servers ## Thousands of random histories of both sides, judged by a model (HISTORIES=n, HISTORY_SEED=n)
	$(CARGO) test -p mailhaul --test it thousands_of_histories -- --ignored --nocapture

check: lint docs deny ## Format, clippy without warnings, documentation, licences and bans

lint: ## Format and clippy
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings

docs: ## The documentation builds without a warning
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --document-private-items

deny: ## Licences, bans and sources of every dependency
	@command -v cargo-deny >/dev/null || $(CARGO) install cargo-deny --locked
	$(CARGO) deny check bans licenses sources

audit: ## Security advisories too (needs the network: the advisory database is fetched)
	@command -v cargo-deny >/dev/null || $(CARGO) install cargo-deny --locked
	$(CARGO) deny check advisories

PICTURES ?= target/page-pictures

fmt: ## Format everything
	$(CARGO) fmt --all

servers: ## Install the mail servers that the tests start privately (Dovecot, Cyrus)
	@scripts/install-test-servers.sh

bench: ## Ratios against the servers' own limits, in one run (BENCH=--quick: in a minute)
	@scripts/install-test-servers.sh --only dovecot
	$(CARGO) build --release --quiet -p mailhaul
	$(CARGO) build --release --quiet -p mailhaul-db --example queue_figures
	$(CARGO) run --release --quiet -p mailhaul-testing --example bench -- $(BENCH)

picture: ## Record the demonstration anew as the pictures of the documents
	@scripts/demo.sh --build-only
	@scripts/terminal_picture.py docs/images/copy.svg docs/images/wave.svg -- scripts/demo.sh --run-only

page-pictures: servers ## Draw the pages of `serve` at three widths, light and dark, with Chromium (PICTURES=folder)
	@command -v chromium >/dev/null || { echo "chromium is missing: apt-get install chromium" >&2; exit 1; }
	PAGE_PICTURES=$(abspath $(PICTURES)) $(CARGO) test -p mailhaul --test it drawn_at_three_widths -- --ignored --nocapture

clean: ## Remove what was built
	$(CARGO) clean
