# Talos. `make help` lists the targets.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

GO ?= go
# Packages tested at once; each test binary runs in parallel within itself.
PARALLEL ?= 2
TIMEOUT ?= 20m
# A part of the tests: make test-go PKG=./storage/... ARGS='-run Recover -v'
PKG ?= ./...
EXPLORE ?= short
FUZZSECONDS ?= 30
# make sets no SECONDS, but bash does.
SECONDS := $(if $(filter command line,$(origin SECONDS)),$(SECONDS),60)
SEED ?= 1
ARGS ?=
# make chaos: histories for each store.
HISTORIES ?= 3
# make chaos, make cluster-figures: which stores, with commas between them. make cluster: the store's URL.
STORE ?=

BIN := .bin
LINT := $(BIN)/golangci-lint
BUF := $(BIN)/buf
PLUGINS := $(BIN)/protoc-gen-go $(BIN)/protoc-gen-go-grpc
MINIO := $(BIN)/minio
ETCD := $(BIN)/etcd
NATS := $(BIN)/nats-server
MODULES := . test/bench tools/buf tools/etcd tools/gen tools/lint tools/minio
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
PREFIX ?= /usr/local
DESTDIR ?=
PLATFORMS ?= linux/amd64 linux/arm64
LDFLAGS := -X main.version=$(VERSION)

# Every target below with a description is a command, not a file.
.PHONY: $(shell sed -nE 's/^([a-z-]+):.*\#\# .*/\1/p' $(firstword $(MAKEFILE_LIST)))

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 14

build: ## Build bin/talos
	CGO_ENABLED=0 $(GO) build -ldflags '$(LDFLAGS)' -o bin/talos ./cmd/talos

release: ## Build dist/talos-<system>-<machine> for PLATFORMS, static and stripped, with their checksums
	@rm -rf dist && mkdir dist
	@for p in $(PLATFORMS); do \
		echo "dist/talos-$${p/\//-}"; \
		CGO_ENABLED=0 GOOS=$${p%/*} GOARCH=$${p#*/} \
			$(GO) build -trimpath -ldflags '-s -w $(LDFLAGS)' -o "dist/talos-$${p/\//-}" ./cmd/talos; \
	done
	@cd dist && sha256sum talos-* >SHA256SUMS

install: build ## Install the binary, shell completions and the systemd unit below DESTDIR, for PREFIX (/usr/local)
	install -D -m 0755 bin/talos '$(DESTDIR)$(PREFIX)/bin/talos'
	install -d '$(DESTDIR)$(PREFIX)/share/bash-completion/completions' '$(DESTDIR)$(PREFIX)/share/zsh/site-functions' \
		'$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d' '$(DESTDIR)$(PREFIX)/lib/systemd/system'
	bin/talos completion bash >'$(DESTDIR)$(PREFIX)/share/bash-completion/completions/talos'
	bin/talos completion zsh >'$(DESTDIR)$(PREFIX)/share/zsh/site-functions/_talos'
	bin/talos completion fish >'$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/talos.fish'
	sed 's|@PREFIX@|$(PREFIX)|' packaging/talos.service >'$(DESTDIR)$(PREFIX)/lib/systemd/system/talos.service'

dev: build ## Build and run one node with everything in it (ARGS='--memory' keeps nothing)
	@exec bin/talos dev $(ARGS)

cluster: build $(ETCD) ## Run three nodes, etcd and a store on this machine; STORE=URL for another store; ARGS='--nodes N --etcd N --port PORT'
	@$(GO) build -o bin/cluster ./test/cluster
	@exec bin/cluster $(if $(STORE),--store '$(STORE)') $(ARGS)

hdfs: ## Run an HDFS on this machine, data in ./talos-data/hdfs; ARGS='--data DIR --port PORT --datanodes N --ha'
	@tools/hadoop/install.sh
	@$(GO) build -o bin/hdfs ./test/hadoop/run
	@exec bin/hdfs $(ARGS)

hdfs-figures: ## Compare the HDFS store with Hadoop's own client, in turns; ARGS='-o json -rounds N -only NAMES'
	@tools/hadoop/install.sh
	@$(GO) build -o bin/hdfs-figures ./test/hdfsbench/run
	@exec bin/hdfs-figures $(ARGS)

cluster-figures: build $(ETCD) ## Measure moves, drains, kills, restarts, many partitions and takeovers of three nodes; STORE=local,s3,hdfs; ARGS='-o json -only NAMES'
	@case '$(STORE)' in *s3*) $(MAKE) $(MINIO) ;; esac
	@case '$(STORE)' in *hdfs*) tools/hadoop/install.sh ;; esac
	@$(GO) build -o bin/cluster-figures ./test/clusterbench/run
	@exec bin/cluster-figures $(if $(STORE),-store '$(STORE)') $(ARGS)

bench: bench-peers ## Compare Talos with NATS, Kafka, Hadoop's client and the bare machine, in turns; ARGS='-rows 1,3 -full -out FOLDER'
	@cd test/bench && $(GO) build -o ../../bin/bench ./run
	@exec bin/bench $(ARGS)

bench-smoke: bench-peers ## Whether make bench works: all of it, with next to no load
	cd test/bench && $(GO) test -count=1 -timeout 10m ./...

bench-peers: build $(NATS) $(MINIO)
	@tools/hadoop/install.sh
	@tools/kafka/install.sh

hdfs-soak: ## Ten minutes at 24 MiB/s on HDFS while a DataNode dies every 30 s; fails where a promise is not kept
	@tools/hadoop/install.sh
	TALOS_ENDURANCE=long $(GO) test -v -count=1 -timeout 30m -run TestASoak $(ARGS) ./test/endurance

hdfs-many: ## What 1,000 partitions with an append a minute cost on HDFS; 20 minutes
	@tools/hadoop/install.sh
	TALOS_ENDURANCE=long $(GO) test -v -count=1 -timeout 60m -run TestManyPartitions $(ARGS) ./test/endurance

minio: $(MINIO) ## Run an S3 server on loopback, and print the --store for it; data in talos-data/minio
	@exec tools/minio/run.sh $(MINIO) talos-data/minio

compose-trial: ## Play README's chapter on docker compose: COMPOSE_PROFILES=hdfs (or minio), SECONDS_LOAD=n (40)
	@tools/compose/trial.sh

idle: ## Measure what 2,000 idle partitions cost; fails above 2 % of a core, 200 MB, 3 s to start
	@tools/measure/idle.sh

test: tidy generated breaking lint vet test-go bench-smoke explore fuzz ## Everything that must hold; installs what it needs
	@echo 'make test: everything passed'

# Without go test's own part of go vet, since the target vet has all of it.
test-go: $(MINIO) $(ETCD) ## The Go tests, with the race detector
	@tools/check/compiler.sh
	@tools/hadoop/install.sh
	CGO_ENABLED=1 $(GO) test -race -vet=off -p $(PARALLEL) -timeout $(TIMEOUT) $(ARGS) $(PKG)

hdfs-long: ## Many rounds of what can befall DataNodes, nodes and a pair of NameNodes (TALOS_HDFS_LONG); 40 minutes
	@tools/hadoop/install.sh
	TALOS_HDFS_LONG=1 CGO_ENABLED=1 $(GO) test -race -v -p 1 -timeout 3h $(ARGS) ./test/hdfs ./test/hdfsha

explore: ## All interleavings of a few owners of one partition, and orders around a session's end; prints how many (EXPLORE=long goes farther)
	EXPLORE=$(EXPLORE) $(GO) test -v -timeout 6h ./test/explore/...

chaos: $(MINIO) $(ETCD) ## Several nodes, etcd, a store, and faults: HISTORIES=n STORE=local,s3,hdfs; TALOS_SEED repeats the choice
	@case '$(or $(STORE),hdfs)' in *hdfs*) tools/hadoop/install.sh ;; esac
	TALOS_CHAOS_HISTORIES=$(HISTORIES) TALOS_CHAOS_STORE=$(STORE) $(GO) test -count=1 -v -timeout 24h $(ARGS) -run '^TestHistories$$' ./test/chaos

mutants: $(MINIO) $(ETCD) ## All broken rules that tests must notice, those in real nodes too, of which make test has one
	TALOS_MUTANTS=all $(GO) test -count=1 -v -timeout 3h $(ARGS) ./test/mutants

simulate: ## Simulated clusters for SECONDS (60) on virtual time, beyond the few in make test; SEED=N begins elsewhere
	SIMULATE_SECONDS=$(SECONDS) SIMULATE_SEED=$(SEED) $(GO) test -v -timeout 24h -run Sound ./test/simulate

fuzz: ## Every fuzz target, FUZZSECONDS in all
	tools/check/fuzz.sh $(FUZZSECONDS)

lint: $(LINT) ## golangci-lint, format included
	$(LINT) run $(PKG)
	cd test/bench && $(abspath $(LINT)) run ./...

vet: ## go vet
	$(GO) vet $(PKG)

fmt: $(LINT) $(BUF) ## Format Go and protobuf sources
	$(LINT) fmt
	$(BUF) format -w
	cd hdfs/internal/wire && $(abspath $(BUF)) format -w

generate: $(BUF) $(PLUGINS) ## Write the generated files: protobuf code and reference pages
	$(BUF) generate
	cd hdfs/internal/wire && $(abspath $(BUF)) generate
	$(GO) run ./cmd/talos docs docs

generated: $(BUF) $(PLUGINS) ## Check the protobuf sources, and that generated files are current
	$(BUF) lint
	$(BUF) format --diff --exit-code
	cd hdfs/internal/wire && $(abspath $(BUF)) lint && $(abspath $(BUF)) format --diff --exit-code
	tools/check/generated.sh $(abspath $(BUF))

breaking: $(BUF) ## Check that the protobuf API still serves the clients of the last commit
	tools/check/breaking.sh $(BUF)

tidy: ## Check that every go.mod is tidy
	@for m in $(MODULES); do echo "go mod tidy -diff ($$m)"; (cd $$m && $(GO) mod tidy -diff); done

tools: $(LINT) $(BUF) $(PLUGINS) $(MINIO) $(ETCD) $(NATS) ## Build the pinned tools into .bin, once per version

clean: ## Remove what was built; data stays
	rm -rf bin dist $(BIN)

# The pinned tools. Each is rebuilt when its module's versions change.
$(LINT): PKGPATH := github.com/golangci/golangci-lint/v2/cmd/golangci-lint
$(LINT): tools/lint/go.mod tools/lint/go.sum
$(BUF): PKGPATH := github.com/bufbuild/buf/cmd/buf
$(BUF): tools/buf/go.mod tools/buf/go.sum
$(BIN)/protoc-gen-go: PKGPATH := google.golang.org/protobuf/cmd/protoc-gen-go
$(BIN)/protoc-gen-go-grpc: PKGPATH := google.golang.org/grpc/cmd/protoc-gen-go-grpc
$(PLUGINS): tools/gen/go.mod tools/gen/go.sum
$(ETCD): PKGPATH := go.etcd.io/etcd/server/v3
$(ETCD): tools/etcd/go.mod tools/etcd/go.sum
$(NATS): PKGPATH := github.com/nats-io/nats-server/v2
$(NATS): test/bench/go.mod test/bench/go.sum

$(LINT) $(BUF) $(PLUGINS) $(ETCD) $(NATS):
	@mkdir -p $(BIN)
	@echo "building $@ (pinned in $(<D))"
	@cd $(<D) && $(GO) build -o $(CURDIR)/$@ $(PKGPATH)
	@touch $@

$(MINIO): tools/minio/go.mod tools/minio/go.sum tools/minio/install.sh
	@echo "building $@ (pinned in $(<D)), which takes a few minutes"
	@GO='$(GO)' tools/minio/install.sh $@
