# Everything a developer or CI does, a target each; `make help` lists them.

SHELL       := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

BIN     := bin
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
# Without the parser's own manual pages, whose reader of Markdown is part of every start.
GOTAGS  := urfave_cli_no_docs
LDFLAGS := -s -w -X github.com/wreg-project/wreg/internal/version.version=$(VERSION)
TOOL    := go tool -modfile=tools/go.mod
comma   := ,

# How long each fuzz target runs, how often the crash test kills, and flags for
# it and the power loss (-all: every point; -seed N: the same again).
FUZZTIME   ?= 10s
KILLS      ?= 100
CRASHFLAGS ?=

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*?## ' $(MAKEFILE_LIST) | awk -F ':.*?## ' '{printf "  %-12s %s\n", $$1, $$2}'

# The engine is a library in C. Linked statically, its program starts 0.4 ms
# sooner and runs on any Linux. The linker warns of what glibc would load for
# names of users and hosts, which no guest comes to. --wrap is for its
# main_linux.go; go build, which tries flags on a program without it, then takes
# it that there is no -no-pie.
SILENT := $(if $(shell ld --help 2>/dev/null | grep -e --no-warnings),-Wl$(comma)--no-warnings)
STATIC := -linkmode external -extldflags "-static -no-pie -Wl,--wrap=main $(SILENT)"

.PHONY: cc
cc: # the engine is linked by a C compiler, which a new machine may lack
	@command -v "$${CC:-cc}" >/dev/null || ./test/setup.sh gcc libc6-dev

.PHONY: build
build: cc ## build bin/wreg, bin/wpkg and, which takes a C compiler, bin/wpkg-engine
	@CGO_ENABLED=0 go build -trimpath -tags $(GOTAGS) -ldflags '$(LDFLAGS)' -o $(BIN)/ ./cmd/wreg ./cmd/wpkg
	@CGO_ENABLED=1 go build -trimpath -ldflags '$(LDFLAGS) $(if $(filter linux,$(shell go env GOOS)),$(STATIC))' -o $(BIN)/ ./cmd/wpkg-engine

.PHONY: engine-arm64
engine-arm64: ## build bin/wpkg-engine-arm64, which runs on arm64 and under qemu
	./test/setup.sh gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user-static
	CGO_ENABLED=1 GOOS=linux GOARCH=arm64 CC=aarch64-linux-gnu-gcc \
		go build -trimpath -ldflags '$(LDFLAGS) $(STATIC)' -o $(BIN)/wpkg-engine-arm64 ./cmd/wpkg-engine

.PHONY: setup
setup: ## install what the tests need and this machine lacks (Debian packages, as root)
	./test/setup.sh

.PHONY: demo
demo: build ## build a package, push it to a running wreg, inspect, pull and verify it
	@./test/demo.sh $(BIN)

.PHONY: corpus
corpus: setup ## fetch the real binaries that the inspector is tested on (350 MB, with npm)
	go run ./test/corpus/fetch

.PHONY: test
test: setup build corpus ## set up and pass all tests
	go vet -tags corpus ./...
	go test -tags corpus -timeout 20m ./...

.PHONY: race
race: ## the tests under the race detector
	@# SQLite is C that was translated to Go. Instrumented it takes most of the time, and its memory is its own.
	@# The detector has each process wait a second at its end, and scripts start a thousand of them.
	GORACE=atexit_sleep_ms=10 go test -race -short -gcflags='modernc.org/...=-race=false' -timeout 20m ./...

.PHONY: lint
lint: ## golangci-lint, and a tidy go.mod
	go mod tidy -diff
	$(TOOL) golangci-lint run ./...

.PHONY: vuln
vuln: ## known vulnerabilities in what the binaries call (VULNDB=folder or zip of advisories)
	go run ./test/vuln

.PHONY: conformance
conformance: ## the OCI conformance tests on every database and blob driver
	go test -count=1 -run 'Conformance' ./registry/ociapi/...

.PHONY: api
api: setup ## the catalog API against its OpenAPI document, by generated requests
	go test -count=1 -tags api -timeout 15m ./test/api

CLIENTS  := .cache/clients
SIGSTORE := github.com/sigstore
.PHONY: clients
clients: ## build the real clients and peers that tests and benchmarks run
	@mkdir -p $(CLIENTS)
	cd tools/clients && go build -o ../../$(CLIENTS)/ ./ctrpull $$(sed -n '/^tool (/,/^)/p' go.mod | grep /)
	cd tools/notation && go build -o ../../$(CLIENTS)/ github.com/notaryproject/notation/cmd/notation
	cd tools/scanner && go build -o ../../$(CLIENTS)/ .
	cd tools/sigstore && go build -o ../../$(CLIENTS)/ $(SIGSTORE)/fulcio $(SIGSTORE)/timestamp-authority/v2/cmd/timestamp-server
	cd tools/sigstore && go build -o ../../$(CLIENTS)/rekor-server $(SIGSTORE)/rekor-tiles/v2/cmd/rekor-server/posix
	cd tools/sigstore && go build -o ../../$(CLIENTS)/cosign-v3 $(SIGSTORE)/cosign/v3/cmd/cosign

.PHONY: interop
interop: setup build clients corpus ## real clients against wreg, and wpkg against another registry
	go test -count=1 -tags interop -timeout 20m ./test/interop/...

.PHONY: keys
keys: setup ## keys in tokens (SoftHSM) and services, and wpkg with all kinds of keys
	CGO_ENABLED=1 go vet -tags kms,pkcs11key ./cmd/wpkg ./signing/keyref
	CGO_ENABLED=1 go test -count=1 -tags kms,pkcs11key ./signing/keyref

.PHONY: aot
aot: setup build engine-arm64 ## native code: burdened compilers, other CPUs by qemu, workers of a registry
	go vet -tags aot ./artifact/aot/wasmtime ./test/aot
	go test -count=1 -tags aot -timeout 10m -run Burdens ./artifact/aot/wasmtime
	go test -count=1 -tags aot -timeout 15m ./test/aot

COMPILERS := .cache/compilers
WASMTIME_CLI := wasmtime-cli@39.0.1
WASMTIME_HAS := run,compile,all-arch,winch,pulley,threads,gc,gc-drc,gc-null,stack-switching,component-model,component-model-async
.PHONY: compilers
compilers: setup build engine-arm64 ## native code by the real command line of wasmtime, which cargo builds first
	CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_OPT_LEVEL=1 cargo install $(WASMTIME_CLI) --locked --quiet \
		--root $(COMPILERS) --no-default-features --features $(WASMTIME_HAS)
	go vet -tags aot,soak ./test/aot
	go test -count=1 -tags aot,soak -timeout 10m -run RealWasmtime ./test/aot

.PHONY: crash
crash: build ## kill -9 under load, full disks and failing reads, with a checker (KILLS=100)
	go test -count=1 -tags crash -timeout 30m ./test/crash -run 'TestKill|TestFault' -kills $(KILLS) $(CRASHFLAGS)

.PHONY: powerloss
powerloss: setup build ## replay every prefix of the recorded writes with only what was synced
	go test -count=1 -tags crash -timeout 30m ./test/crash -run PowerLoss $(CRASHFLAGS)

.PHONY: fuzz
fuzz: ## every fuzz target for FUZZTIME (10s)
	./test/fuzz.sh $(FUZZTIME)

RUNTIMES      := .cache/runtimes
COMPONENTIZE  := @bytecodealliance/componentize-js@0.23.0
.PHONY: runtimes
runtimes: ## what native code is measured with: wazero, and large programs in Go and JavaScript
	@mkdir -p $(RUNTIMES)/npm
	cd tools/runtimes && go build -o ../../$(RUNTIMES)/ github.com/tetratelabs/wazero/cmd/wazero
	cd tools/runtimes && GOOS=wasip1 GOARCH=wasm go build -o ../../$(RUNTIMES)/esbuild.wasm github.com/evanw/esbuild/cmd/esbuild
	@if [ ! -e $(RUNTIMES)/js.wasm ]; then \
		npm install --silent --no-save --no-audit --no-fund --prefix $(RUNTIMES)/npm $(COMPONENTIZE) && \
		cp tools/runtimes/js.mjs $(RUNTIMES)/npm/ && node $(RUNTIMES)/npm/js.mjs $(RUNTIMES)/js.wasm; fi

BENCHFLAGS ?=
.PHONY: bench
bench: setup build clients corpus runtimes ## the servers and the inspector, beside peers; results in docs/bench
	CGO_ENABLED=1 go build -o $(CLIENTS)/ ./test/bench/wasmtime
	go run ./test/bench -bin $(BIN) -out docs/bench $(BENCHFLAGS)

CRATES := .cache/crates
.PHONY: crates-db
crates-db: ## renew what is known of the dependencies of crates (sbom/crates, needs cargo)
	@mkdir -p $(CRATES)/roots
	cp -r sbom/crates/cratesdb/roots/* $(CRATES)/roots/
	for roots in today earlier; do CARGO_HOME=$(abspath $(CRATES)) cargo fetch --manifest-path $(CRATES)/roots/$$roots/Cargo.toml \
		--target wasm32-unknown-unknown --target wasm32-wasip1 || exit; done
	go run ./sbom/crates/cratesdb -home $(CRATES) -o sbom/crates/crates.db

.PHONY: golden
golden: corpus ## rewrite golden files and generated documents
	UPDATE=1 go test -tags corpus ./... -run 'Golden|Generated'

.PHONY: generate
generate: golden ## regenerate and show what changed
	git diff --exit-code -- '*.golden' docs

.PHONY: check
check: test lint race vuln fuzz api aot crash powerloss interop keys ## what CI runs

.PHONY: soak
soak: setup build ## the long runs: 1,000 kills, 10 minutes of fuzzing a target, 100,000 operations, a real compiler
	$(MAKE) compilers
	$(MAKE) crash powerloss KILLS=1000 CRASHFLAGS=-all
	$(MAKE) fuzz FUZZTIME=10m
	go test -count=1 -tags soak -timeout 60m ./test/soak/...

.PHONY: clean
clean: ## remove what the targets made
	rm -rf $(BIN) .cache
