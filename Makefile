# One place to learn how to run, test and measure. `make` alone prints this list.

.DEFAULT_GOAL := help
.PHONY: help demo docs test test-keda test-cluster test-keda-operator faults fuzz check bench bench-cluster bench-keda manifests brokers-up brokers-down

# Each of these must build without the others.
FEATURES := kafka msk rabbitmq redis sqs prometheus kubernetes vault aws-secrets azure-secrets google-secrets otlp tools http aws google azure demo fuzzing
# One broker of each backend.
ONE_EACH := kafka rabbitmq redis sqs prometheus
# Tests on brokers wait more than they work.
BROKER_TESTS := 6
# Programs of our own folder: what cargo installs, and what `.ci/run` takes ready-made.
TOOLS := $(CURDIR)/target/tools/bin:$(CURDIR)/target/tools/ready/bin
# What the pages are and link to.
BOOK := docs deploy README.md CONTRIBUTING.md CHANGELOG.md RELEASING.md SECURITY.md LICENSE tests/*/README.md proto
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
SCRIPTS := tests/brokers/up tests/brokers/down tests/brokers/restart tests/brokers/with tests/compose tests/keda/run tests/collector/build tests/cluster/build tests/cluster/up tests/cluster/down \
	tests/cluster/with tests/chart/run .ci/run .ci/notes deploy/manifests deploy/chart/package deploy/image/check \
	deploy/cross-tools deploy/compose/load-http deploy/compose/load-kafka deploy/compose/load-redis deploy/compose/watch

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# Not optimised: the first picture is there in half the time.
demo: ## a workload goes 0 -> N -> 0 before your eyes; needs only Rust and a C compiler
	cargo run --no-default-features --features demo -- demo

docs: export PATH := $(TOOLS):$(PATH)
docs: ## the book of all pages, into target/book/html: with search, for a web server or to be opened as it is; needs mdbook
	@command -v mdbook >/dev/null || { echo "mdbook is not here: cargo install --locked --root target/tools mdbook" >&2; exit 1; }
	rm -rf target/book
	mkdir -p target/book/src
	cp -R docs/book.toml target/book
	for path in $(BOOK); do mkdir -p target/book/src/$$(dirname $$path) && cp -R $$path target/book/src/$$path || exit 1; done
	sed 's|](|](docs/|; s|](docs/\.\./|](|' docs/SUMMARY.md >target/book/src/SUMMARY.md
	sed -i 's|(docs/SUMMARY.md)|(toc.html)|' target/book/src/README.md
	mdbook build target/book
	@! grep -rlE '<(script|link|img|iframe|source)[^>]*(src|href)="(https?:)?//' --include=*.html target/book/html || { echo "these fetch from elsewhere" >&2; exit 1; }
	@echo "open target/book/html/index.html"

test: ## every test, with real brokers started and stopped around them (SKIP_BROKERS=kafka leaves Kafka's out, SKIP_BROKERS=cluster the API server's)
	@$(if $(KERBEROS),,echo "Kerberos is NOT tested: libkrb5-dev and libclang-dev are not here" >&2)
	cargo test --locked $(KERBEROS) --no-run
	cargo test --locked $(KERBEROS) --lib --bins --test it --test process --test demo
	@if command -v go >/dev/null; then cargo test --locked $(KERBEROS) --test collector; \
	else echo "WHAT A COLLECTOR UNDERSTANDS IS NOT TESTED: Go is not here" >&2; fi
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
fuzz: export PATH := $(TOOLS):$(PATH)
fuzz: export RUSTC_BOOTSTRAP := 1
fuzz: ## whatever reads bytes from outside, a minute of fuzzing each (FUZZED="kafka redis" FUZZ_SECONDS=600)
	command -v cargo-fuzz >/dev/null || cargo install --locked --root target/tools cargo-fuzz
	set -e; for target in $(FUZZED); do \
		mkdir -p fuzz/corpus/$$target; \
		cargo fuzz run --fuzz-dir fuzz $$target fuzz/corpus/$$target fuzz/seeds/$$target -- \
			-max_total_time=$(FUZZ_SECONDS) $(FUZZ_LIMITS); \
	done

check: check-format check-fuzz check-lints check-docs check-features check-licences check-advisories check-scripts check-compose check-monitoring check-chart ## format, lints, docs, each feature alone, licences, advisories, scripts, compose file, alerts, chart, workflows

manifests: ## what is made of the chart (deploy/kubernetes, deploy/locked-down, the table of its values) and for it (rules, dashboard); needs Go and Python
	tests/chart/run --tools
	deploy/manifests

bench: ## the figures of docs/performance.md, into target/bench.json
	cargo bench --locked --bench figures --no-run
	tests/brokers/with $(ONE_EACH) -- cargo bench --locked --bench figures

bench-cluster: ## those with KEDA's objects read from a real API server: needs Go, and a quarter of an hour the first time
	cargo bench --locked --bench figures --no-run
	tests/cluster/build
	tests/brokers/with redis -- tests/cluster/with -- cargo bench --locked --bench figures -- cluster

# What `bench-keda` measures, each on a cluster of its own: BACKEND:HOW:ACTIVE, and how an outage is lived through.
KEDA_SIDES := $(foreach backend,redis kafka,$(foreach how,built-in external external-push,side:$(backend):$(how):250)) \
	side:redis:external-push:400 $(addprefix outage:,built-in plain cached fallback stale)

bench-keda: ## what we cost KEDA beside its own scalers, into target/bench-keda.md; needs Go, and two hours (KEDA_SIDES="side:redis:external:250" for some)
	cargo bench --locked --bench keda --no-run
	tests/cluster/build keda
	rm -f target/bench-keda.md
	tests/brokers/with kafka redis -- sh -ec 'for side in $(KEDA_SIDES); do \
		tests/cluster/with keda -- cargo bench --locked --bench keda -- $$(echo $$side | tr : " "); done'

brokers-up: ## start the real brokers and leave them running: see tests/brokers/README.md
	tests/brokers/up

brokers-down: ## stop them and forget their data
	tests/brokers/down

# The parts of `check`, in the order of their cost.
.PHONY: check-format check-fuzz check-lints check-docs check-features check-licences check-advisories check-scripts check-compose check-monitoring check-chart

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
check-licences: export PATH := $(TOOLS):$(PATH)
check-licences:
	@if command -v cargo-deny >/dev/null; then cargo-deny check bans licenses sources; \
	else echo "licences and bans are NOT checked: cargo-deny is not here (cargo install cargo-deny)" >&2; fi

# Known holes in what we depend on. The list is a repository on GitHub: where that is out of reach, nobody has looked.
check-advisories: export PATH := $(TOOLS):$(PATH)
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

# The alerts where they fire and where they must not, and every query of the dashboard. Debian has promtool in `prometheus`.
check-monitoring:
	@if command -v promtool >/dev/null; then \
		cd deploy/monitoring && promtool check rules rules.yaml && promtool test rules rules_test.yaml && \
		mkdir -p ../../target && ./dashboard --expressions >../../target/dashboard.json && promtool check rules ../../target/dashboard.json; \
	else echo "ALERTS ARE NOT TESTED: promtool is not here (Debian: prometheus)" >&2; fi

# Helm is built from its own sources: minutes the first time, seconds from then on.
check-chart:
	tests/chart/run
