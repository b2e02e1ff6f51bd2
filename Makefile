# The workshop of Pleiades. `make` alone lists the targets; docs/development.md explains them.
#
# Variables that matter:
#   ROCKSDB=debian|release   which RocksDB to link with (release: see `make rocksdb`)
#   VERSION=1.2.3            what `pleiades version` says it is
#   RACE=1                   tests under the race detector (what `make race` sets)
#   PKG=./keys/...           restrict test, race, cover, fuzz and bench to some packages
#   RUN=TestName             restrict test and race to some tests
#   FUZZTIME=30s FUZZFLAGS=  how long `make fuzz` runs each target, and flags of go test for it ('-parallel 1')
#   STATES=5000 SEED=         how many crash states `make crash` verifies
#   BENCH=. COUNT=6 REF=HEAD which benchmarks, how often, and what `make bench-compare` compares with
#   PEERSFLAGS='-rounds 1'   flags for `make bench-peers`; bin/peers -help lists them
#   RPCFLAGS='-rounds 1'     flags for `make bench-rpc`; bin/rpc -help lists them

SHELL         := bash
.SHELLFLAGS   := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS     += --no-builtin-rules

# Go's official archive unpacks there; a shell that was opened before does not have it on its PATH yet.
export PATH := $(PATH):/usr/local/go/bin

GO        ?= go
PKG       ?= ./...
RUN       ?=
RACE      ?=
VERSION   ?=
FUZZTIME  ?= 30s
FUZZFLAGS ?=
BENCH     ?= .
COUNT     ?= 6
STATES    ?= 5000
SEED      ?=
REF       ?= HEAD
ROCKSDB   ?= debian
TESTFLAGS ?=
PEERSFLAGS ?=
RPCFLAGS   ?=

# How long all tests of one package may take before Go ends them and prints every goroutine.
TESTTIMEOUT ?= 20m

CACHE       := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/pleiades
RELEASE_DIR := $(CACHE)/rocksdb-7.8.3-release

# `export` hands these to every recipe; Go keys its build cache by them, so both libraries can be used in turn.
ifeq ($(ROCKSDB),release)
export CGO_CFLAGS   := -O2 -g -DNDEBUG -I$(RELEASE_DIR)/include
export CGO_CXXFLAGS := -O2 -g -DNDEBUG -I$(RELEASE_DIR)/include
export CGO_LDFLAGS  := -O2 -g -L$(RELEASE_DIR)/lib
export PLEIADES_ROCKSDB := release
else ifneq ($(ROCKSDB),debian)
$(error ROCKSDB is "$(ROCKSDB)"; it can be "debian" (the package librocksdb-dev) or "release" (built by `make rocksdb`))
endif

CLI       := github.com/shieldmaidens/pleiades/cmd/pleiades/internal/cli
TOOLS     := $(CURDIR)/bin/tools
GO_STAMP  := bin/tools/.built
NPM_STAMP := tools/node_modules/.package-lock.json
# npm names buf's packages by machine: x64 or aarch64.
BUF       := $(CURDIR)/tools/node_modules/@bufbuild/buf-linux-$(subst x86_64,x64,$(shell uname -m))/bin/buf
BASELINE  := baseline.json

GOTEST = $(GO) test $(if $(RACE),-race) -timeout $(TESTTIMEOUT) $(if $(RUN),-run '$(RUN)') $(TESTFLAGS)

##@ Everyday

.PHONY: help
help: ## list the targets
	@awk 'BEGIN { FS = ":.*## " } \
	  /^##@ / { printf "\n%s\n", substr($$0, 5) } \
	  /^[a-z-]+:.*## / { printf "  %-16s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

.PHONY: setup
setup: ## install what this machine lacks (Debian packages; asks nothing)
	./scripts/setup

.PHONY: build
build: check-rocksdb ## build bin/pleiades
	$(GO) build $(if $(VERSION),-trimpath -ldflags '-X $(CLI).Version=$(VERSION)') -o bin/pleiades ./cmd/pleiades

.PHONY: quickstart
quickstart: ## load this machine's Debian package index twice and look at it
	./scripts/quickstart

.PHONY: serve-demo
serve-demo: build ## a node from its first start over a load and a restart in the middle of one (STANZAS=)
	./scripts/serve-demo

.PHONY: test
test: check-rocksdb ## run all tests (PKG=, RUN=, RACE=1)
	$(GOTEST) $(PKG)

.PHONY: race
race: ## run all tests under the race detector
	$(MAKE) test RACE=1

.PHONY: lint
lint: $(GO_STAMP) ## gofumpt, go vet, staticcheck, and shellcheck if it is installed
	@out=$$($(TOOLS)/gofumpt -l .); \
	if [ -n "$$out" ]; then echo "gofumpt would change these files; run 'make fmt':"; echo "$$out"; exit 1; fi
	$(GO) vet ./...
	$(TOOLS)/staticcheck ./...
	@if command -v shellcheck >/dev/null; then shellcheck --exclude=SC1091 .ci/run scripts/*; \
	else echo "lint: shellcheck is not installed, shell scripts not checked"; fi

.PHONY: fmt
fmt: $(GO_STAMP) ## format all Go code with gofumpt
	$(TOOLS)/gofumpt -w .

.PHONY: tidy-check
tidy-check: ## fail when go.mod or go.sum is not tidy
	$(GO) mod tidy -diff
	$(GO) -C tools mod tidy -diff

##@ Deeper

.PHONY: fuzz
fuzz: check-rocksdb ## run every fuzz target for FUZZTIME (30s), end with a table (PKG=, FUZZFLAGS=)
	FUZZFLAGS='$(FUZZFLAGS)' ./scripts/fuzz '$(FUZZTIME)' $(PKG)

.PHONY: crash
crash: check-rocksdb ## crash the store at its sync points, verify what is left (STATES=5000, SEED=)
	./scripts/crash '$(STATES)' $(SEED)

.PHONY: crash-canaries
crash-canaries: check-rocksdb ## show that the crash suite finds two planted bugs
	./scripts/crash canaries

.PHONY: cover
cover: check-rocksdb ## test coverage: total, and bin/cover.html to look at
	@mkdir -p bin
	$(GOTEST) -coverprofile=bin/cover.out -coverpkg=./... $(PKG)
	$(GO) tool cover -html=bin/cover.out -o bin/cover.html
	$(GO) tool cover -func=bin/cover.out | tail -1

.PHONY: bench
bench: check-rocksdb ## run the benchmarks once (BENCH=regexp, PKG=, ROCKSDB=release for true figures)
	$(GO) test -run '^$$' -bench '$(BENCH)' -benchmem $(TESTFLAGS) $(PKG)

.PHONY: bench-compare
bench-compare: check-rocksdb $(GO_STAMP) ## compare the benchmarks with those of REF (BENCH=, PKG=, COUNT=)
	./scripts/bench-compare '$(REF)' '$(BENCH)' '$(COUNT)' $(PKG)

# A module of its own, so that who uses Pleiades does not download other databases.
.PHONY: bench-peers
bench-peers: check-rocksdb ## compare with RocksDB, Pebble, Badger and bbolt: a table in bin/bench-peers, 12 minutes (ROCKSDB=release, PEERSFLAGS=)
	@mkdir -p bin
	$(GO) -C bench/peers build -o '$(CURDIR)/bin/peers' .
	bin/peers -out 'bin/bench-peers/$(ROCKSDB)' $(PEERSFLAGS)

# Likewise: who uses Pleiades does not download gRPC.
.PHONY: bench-rpc
bench-rpc: ## compare the wire protocol with gRPC and bare QUIC: a table in bin/bench-rpc, 5 minutes (RPCFLAGS=)
	@mkdir -p bin
	$(GO) -C bench/rpc build -o '$(CURDIR)/bin/rpc' .
	bin/rpc -out bin/bench-rpc $(RPCFLAGS)

.PHONY: vuln
vuln: $(GO_STAMP) ## look for known vulnerabilities (needs the internet; not part of CI)
	$(TOOLS)/govulncheck ./...

.PHONY: ci
ci: ## all that a submission has to pass
	./.ci/run

##@ Protobuf

.PHONY: proto
proto: $(GO_STAMP) $(NPM_STAMP) ## lint api/*.proto and generate the Go code beside them
	cd api && $(BUF) lint && PATH="$(TOOLS):$$PATH" $(BUF) generate

.PHONY: proto-check
proto-check: $(GO_STAMP) $(NPM_STAMP) ## fail when generated code is stale, or a message changed incompatibly
	cd api && $(BUF) lint
	@tmp=$$(mktemp -d); trap 'rm -rf "$$tmp"' EXIT; \
	(cd api && PATH="$(TOOLS):$$PATH" $(BUF) generate -o "$$tmp"); \
	for f in $$(cd "$$tmp" && find . -name '*.pb.go'; cd "$(CURDIR)/api" && find . -name '*.pb.go'); do \
	  diff -u --label "committed/$$f" --label "generated/$$f" "api/$$f" "$$tmp/$$f" || \
	  { echo "api/$$f is not what its .proto says: run 'make proto' and commit the result"; exit 1; }; \
	done
	@if [ -e api/$(BASELINE) ]; then cd api && $(BUF) breaking --against $(BASELINE) || \
	  { echo "an incompatible change: stored records or clients would break. Add fields instead; before the first"; \
	    echo "release the baseline may be renewed with 'make proto-baseline'"; exit 1; }; \
	else echo "proto-check: no api/$(BASELINE) yet, nothing to compare with"; fi

.PHONY: proto-baseline
proto-baseline: $(NPM_STAMP) ## record today's messages as those that later ones must stay compatible with
	cd api && $(BUF) build --exclude-source-info -o -#format=json \
	  | node -e 'console.log(JSON.stringify(JSON.parse(require("fs").readFileSync(0)), null, 1))' >$(BASELINE).new
	mv api/$(BASELINE).new api/$(BASELINE)

##@ RocksDB

.PHONY: rocksdb
rocksdb: ## build the release RocksDB from Debian's source package (once, 6 to 15 minutes)
	./scripts/build-rocksdb '$(RELEASE_DIR)'

.PHONY: check-rocksdb
check-rocksdb: ## say which RocksDB the build uses, or which package is missing
	@./scripts/check-rocksdb

.PHONY: doctor
doctor: ## say what of the workshop is installed, in which version
	@./scripts/setup --check

##@ Housekeeping

.PHONY: tools
tools: $(GO_STAMP) ## build the pinned Go tools into bin/tools

.PHONY: clean
clean: ## remove what was built (not the caches of Go, npm and `make rocksdb`)
	rm -rf bin tools/node_modules

$(GO_STAMP): tools/go.mod tools/go.sum
	@mkdir -p $(TOOLS)
	$(GO) -C tools build -o $(TOOLS)/ $$($(GO) -C tools list tool)
	@touch $@

# The packages carry the binary itself, so no install script has to run.
$(NPM_STAMP): tools/package.json tools/package-lock.json
	@command -v npm >/dev/null || { echo "npm is missing; it brings buf. On Debian: ./scripts/setup --dev"; exit 1; }
	npm --prefix tools ci --ignore-scripts --no-progress
	@[ -x $(BUF) ] || { echo "npm brought no buf for this machine: it has packages for Linux on x86-64 and arm64"; exit 1; }
	@touch $@
