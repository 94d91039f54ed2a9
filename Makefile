# Two commands: `make demo` to see it, `make test` to check it. Both install what is missing first.

SHELL := /bin/bash
.DEFAULT_GOAL := demo
TARGET := $(or $(CARGO_TARGET_DIR),target)
SKIPPED := $(TARGET)/tmp/skipped

.PHONY: demo build install-server install-test test matrix lint bench clean help

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-15s %s\n", $$1, $$2}'

demo: install-server build ## Build, start a local estate of real PostgreSQL, open the console on it
	@$(TARGET)/demo/tierdeck demo $(ARGS)

build: ## Build quickly, fast enough to run
	@cargo build --locked --profile demo --bin tierdeck

install-server: ## Install PostgreSQL by the system's package manager, unless it is there
	@./.ci/install server

install-test: ## Install what the tests need: PostgreSQL, and tools around it
	@./.ci/install test

test: install-test ## Run every test; what could not be tried here is counted at the end
	@rm -f $(SKIPPED)
	cargo test --locked --all-targets --no-fail-fast
	cargo test --locked --doc
	@if [ -s $(SKIPPED) ]; then echo "SKIPPED: $$(wc -l <$(SKIPPED)), of what could not be had here:" && sort -u $(SKIPPED); \
	 else echo "SKIPPED: 0"; fi

matrix: install-test ## Kill, cut off and stall every operation at every point; interrupted, it goes on where it stopped; CI takes a sample
	TIERDECK_MATRIX=all cargo test --locked --test ops -- matrix:: --nocapture --test-threads 4
	TIERDECK_MATRIX=all cargo test --locked --test ops -- faults:: takeover:: crowd:: --nocapture --test-threads 1

lint: ## Format, lints and documentation, as CI has them
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --document-private-items

bench: ## Measure what watching costs the server (beside pg_activity; with 10,000 schemas and 1,000 sessions), and the console with 10,000 tenants and with 500 dedicated instances
	@./.ci/install bench
	@./benches/database-cost
	@./benches/crowded-server
	cargo bench --locked --profile measured --bench scale
	cargo bench --locked --profile measured --bench fleet

clean: ## Remove what was built
	cargo clean
