# One place to learn how to run, test and measure. `make` alone prints this list.

.DEFAULT_GOAL := help
.PHONY: help demo test test-keda test-cluster test-keda-operator faults fuzz check bench manifests brokers-up brokers-down

# Each of these must build without the others.
FEATURES := kafka rabbitmq redis sqs prometheus kubernetes vault aws-secrets azure-secrets google-secrets http aws google azure demo fuzzing
# One broker of each backend.
ONE_EACH := kafka rabbitmq redis sqs prometheus
# Tests on brokers wait more than they work.
BROKER_TESTS := 6
FUZZED = $(basename $(notdir $(wildcard fuzz/targets/*.rs)))
FUZZ_SECONDS := 60
# An allocation that a reply merely claims is a finding, and so is an answer that takes seconds to read.
FUZZ_LIMITS := -timeout=20 -rss_limit_mb=2048 -malloc_limit_mb=256
comma := ,
# Kerberos needs a C library (Debian: libkrb5-dev and libclang-dev). Where it is, it is built, checked and tested too.
KERBEROS := $(if $(and $(wildcard /usr/include/gssapi/gssapi.h),$(wildcard /usr/lib/llvm-*/lib/libclang*.so*)),--features gssapi)
ifeq ($(KERBEROS),)
export SKIP_BROKERS := $(SKIP_BROKERS) kafka-gssapi
endif
SKIPPED := $(patsubst %,--skip %,$(subst $(comma), ,$(SKIP_BROKERS)))
CLUSTER_TESTS := tests/cluster/with -- sh -c "cargo test --locked $(KERBEROS) --test cluster && tests/chart/run --live"
SCRIPTS := tests/brokers/up tests/brokers/down tests/brokers/restart tests/brokers/with tests/compose tests/keda/run tests/cluster/build tests/cluster/up tests/cluster/down \
	tests/cluster/with tests/chart/run .ci/run .ci/notes deploy/manifests deploy/chart/package deploy/image/check \
	deploy/cross-tools deploy/compose/load-http deploy/compose/load-kafka deploy/compose/load-redis deploy/compose/watch

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## a workload goes 0 -> N -> 0 before your eyes; needs only Rust and a C compiler
	cargo run --release --no-default-features --features demo -- demo

test: ## every test, with real brokers started and stopped around them (SKIP_BROKERS=kafka leaves Kafka's out, SKIP_BROKERS=cluster the API server's)
	@$(if $(KERBEROS),,echo "Kerberos is NOT tested: libkrb5-dev and libclang-dev are not here" >&2)
	cargo test --locked $(KERBEROS) --no-run
	cargo test --locked $(KERBEROS) --lib --bins --test it --test process --test demo
	@if command -v chromedriver >/dev/null; then cargo test --locked $(KERBEROS) --test page -- --test-threads 2; \
	else echo "THE PAGE IS NOT TESTED: Debian's chromium and chromium-driver are not here" >&2; fi
	@if [ "$$(id -u)" = 0 ]; then deploy/image/check --debug target/debug/plimsoll; \
	else echo "the image's root is NOT tried: only root may, sudo deploy/image/check --debug target/debug/plimsoll" >&2; fi
	tests/keda/run --build
	tests/cluster/build
	tests/brokers/with -- sh -c 'cargo test --locked $(KERBEROS) --test brokers -- --test-threads $(BROKER_TESTS) $(SKIPPED) && cargo test --locked $(KERBEROS) --test faults && tests/keda/run && $(CLUSTER_TESTS)'

test-keda: ## KEDA's own client against the server, on real brokers: needs Go
	cargo build --locked
	tests/keda/run --build
	tests/brokers/with $(ONE_EACH) -- tests/keda/run

test-cluster: ## a real API server, KEDA's own resolver beside ours: needs Go, and a quarter of an hour the first time
	cargo test --locked $(KERBEROS) --test cluster --no-run
	tests/cluster/build
	tests/brokers/with redis -- $(CLUSTER_TESTS)

test-keda-operator: ## KEDA's real operator and Kubernetes' real autoscaler around the server: needs Go, and half an hour the first time
	cargo test --locked $(KERBEROS) --test operator --no-run
	tests/cluster/build keda
	tests/brokers/with $(ONE_EACH) -- tests/cluster/with keda -- cargo test --locked $(KERBEROS) --test operator -- --nocapture

faults: ## every fault on every broker, into target/faults.md (FAULTS="redis frozen" for some)
	cargo test --locked $(KERBEROS) --test faults --no-run
	FAULTS="$(or $(FAULTS),all)" tests/brokers/with $(ONE_EACH) -- cargo test --locked $(KERBEROS) --test faults -- --nocapture

# `make fuzz` puts cargo-fuzz there; its flags are a nightly's, which the pinned compiler takes when told so.
fuzz: export PATH := $(CURDIR)/target/tools/bin:$(PATH)
fuzz: export RUSTC_BOOTSTRAP := 1
fuzz: ## whatever reads bytes from outside, a minute of fuzzing each (FUZZED="kafka redis" FUZZ_SECONDS=600)
	command -v cargo-fuzz >/dev/null || cargo install --locked --root target/tools cargo-fuzz
	set -e; for target in $(FUZZED); do \
		mkdir -p fuzz/corpus/$$target; \
		cargo fuzz run --fuzz-dir fuzz $$target fuzz/corpus/$$target fuzz/seeds/$$target -- \
			-max_total_time=$(FUZZ_SECONDS) $(FUZZ_LIMITS); \
	done

check: check-format check-fuzz check-lints check-docs check-features check-licences check-advisories check-scripts check-compose check-chart ## format, lints, docs, each feature alone, licences, advisories, scripts, compose file, chart, workflows

manifests: ## what is made of the chart: deploy/kubernetes, deploy/locked-down, the table of its values; needs Go
	tests/chart/run --tools
	deploy/manifests

bench: ## the figures of docs/performance.md, into target/bench.json
	cargo bench --locked --bench figures --no-run
	tests/brokers/with $(ONE_EACH) -- cargo bench --locked --bench figures

brokers-up: ## start the real brokers and leave them running: see tests/brokers/README.md
	tests/brokers/up

brokers-down: ## stop them and forget their data
	tests/brokers/down

# The parts of `check`, in the order of their cost.
.PHONY: check-format check-fuzz check-lints check-docs check-features check-licences check-advisories check-scripts check-compose check-chart

check-format:
	cargo fmt --check

# Nothing else reads this workspace but `make fuzz`: it must be sound, and its lock file must know all that we depend on.
check-fuzz:
	cargo metadata --quiet --locked --format-version 1 --manifest-path fuzz/Cargo.toml >/dev/null

check-lints:
	cargo clippy --locked $(KERBEROS) --all-targets -- -D warnings

check-docs:
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps

check-features:
	cargo clippy --locked --no-default-features -- -D warnings
	set -e; for feature in $(FEATURES); do \
		echo "cargo clippy --no-default-features --features $$feature"; \
		cargo clippy --locked --no-default-features --features $$feature -- -D warnings; \
	done

# `.ci/run` puts cargo-deny into target/tools.
check-licences: export PATH := $(CURDIR)/target/tools/bin:$(PATH)
check-licences:
	@if command -v cargo-deny >/dev/null; then cargo-deny check bans licenses sources; \
	else echo "licences and bans are NOT checked: cargo-deny is not here (cargo install cargo-deny)" >&2; fi

# Known holes in what we depend on. The list is a repository on GitHub: where that is out of reach, nobody has looked.
check-advisories: export PATH := $(CURDIR)/target/tools/bin:$(PATH)
check-advisories:
	@if ! command -v cargo-deny >/dev/null; then \
		echo "ADVISORIES ARE NOT CHECKED: cargo-deny is not here (cargo install cargo-deny)" >&2; \
	elif cargo-deny --log-level off fetch db; then cargo-deny check --disable-fetch advisories; \
	else echo "ADVISORIES ARE NOT CHECKED: https://github.com/RustSec/advisory-db cannot be fetched from here" >&2; fi

check-scripts:
	@if command -v shellcheck >/dev/null; then shellcheck --check-sourced $(SCRIPTS) && echo "scripts: no complaint"; \
	else echo "scripts are NOT checked: shellcheck is not here" >&2; fi

check-compose:
	tests/compose

# Helm is built from its own sources: minutes the first time, seconds from then on.
check-chart:
	tests/chart/run
