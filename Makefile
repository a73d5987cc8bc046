# Everything a developer does. `make help` lists it.
SHELL := /bin/bash
.DEFAULT_GOAL := help

MODULES := proto pkg services
BIN := $(CURDIR)/.bin
TRUNKLINE := $(BIN)/trunkline

# Pinned, so that everybody formats, lints and generates alike.
BUF := v1.69.0
PROTOC_GEN_GO := v1.36.12
PROTOC_GEN_CONNECT := v1.21.1
GOLANGCI := v2.15.0

CALLS ?= 300
PEOPLE ?= 200
FORMAT ?= table

export PATH := $(BIN):$(PATH)

.PHONY: help
help: ## list what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

.PHONY: build
build: ## build the one binary, .bin/trunkline
	go build -o $(TRUNKLINE) ./services/trunkline

.PHONY: demo
demo: build ## play a few calls and show what became of them
	$(TRUNKLINE) demo

.PHONY: dev
dev: build ## run everything until Ctrl-C, with the simulator
	$(TRUNKLINE) dev

# The tests of the whole, one package at a time: each wants the machine for itself. Most of those of the second kind wait.
WHOLE := -E '/trunkline/(compose|containers|storm)$$'
WAITING := -E '/trunkline/(kill|stack)$$'

.PHONY: test
test: ## run all tests with the race detector
	@docker compose version >/dev/null 2>&1 && docker info >/dev/null 2>&1 || echo "left out: the tests with containers (no Docker engine with compose here)"
	@test -n "$$TRUNKLINE_COMPOSE" || echo "left out: the faults of containers and of a cluster; make containers runs them, and CI does"
	@echo "left out: Pipecat's bots; make python runs them, and CI does"
	go vet work
	go test -race -p 2 -timeout 20m $$(go list work | grep -v $(WHOLE) | grep -v $(WAITING))
	go test -race -p 1 -timeout 20m $$(go list work | grep $(WHOLE))
	go test -race -p 1 -parallel 4 -timeout 20m $$(go list work | grep $(WAITING))

.PHONY: lint
lint: $(BIN)/golangci-lint-$(GOLANGCI) $(BIN)/buf-$(BUF) ## check style and the contract
	buf lint
	buf format --diff --exit-code
	if git rev-parse -q --verify origin/main >/dev/null; then buf breaking --against '.git#ref=refs/remotes/origin/main'; else echo "left out: buf breaking (no origin/main here)"; fi
	for m in $(MODULES); do (cd $$m && golangci-lint run --timeout 10m ./...) || exit 1; done

.PHONY: gen
gen: $(BIN)/buf-$(BUF) $(BIN)/protoc-gen-go-$(PROTOC_GEN_GO) $(BIN)/protoc-gen-connect-go-$(PROTOC_GEN_CONNECT) ## generate code and tables
	buf format -w
	buf generate
	go generate ./pkg/config
	go test ./services/internal/doctable -update
	go test ./services/trunkline/stack -run UsersOfNATS -update

.PHONY: tidy
tidy: ## bring go.work and every go.mod up to date
	go work sync
	for m in $(MODULES); do (cd $$m && GOWORK=off go mod tidy) || exit 1; done

.PHONY: modules
modules: ## check that each module builds and is tidy by itself
	for m in $(MODULES); do (cd $$m && GOWORK=off go build ./... && GOWORK=off go mod tidy -diff) || exit 1; done

.PHONY: kill
kill: ## kill every part, again and again, while people call; CALLS=10000 for a long run
	go test -count=1 -v -timeout 6h ./services/trunkline/kill -run NobodyIsLetDown -callers $(CALLS) -lasts $(shell echo $$(( ($(CALLS) + 4) / 5 )))s -rounds $(shell echo $$(( $(CALLS) / 30 > 10 ? $(CALLS) / 30 : 10 )))

# Fuzz targets, as folder:name.
FUZZ := pkg/daily:FuzzParseDialin pkg/daily:FuzzParseEvent pkg/daily:FuzzVerify pkg/config:FuzzParse services/ingress/webhooks:FuzzDialin
FUZZTIME ?= 60s

.PHONY: fuzz
fuzz: ## fuzz what strangers send us and what people configure; FUZZTIME=60s each
	for f in $(FUZZ); do go test -run '^$$' -fuzz "^$${f#*:}$$" -fuzztime $(FUZZTIME) ./$${f%:*} || exit 1; done

# The virtual environment is made anew when what it holds changes.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := $(CURDIR)/.venv
PIP := $(VENV)/bin/pip install --quiet --disable-pip-version-check --no-deps --no-compile

$(VENV)/.installed: bots/requirements.txt bots/trunkline/pyproject.toml bots/daily-standin/pyproject.toml
	$(PYTHON) -m venv --clear $(VENV)
	$(PIP) -r bots/requirements.txt
	$(PIP) --no-build-isolation -e bots/trunkline -e bots/daily-standin
	touch $@

.PHONY: python
python: $(VENV)/.installed ## check what is in Python, and run Pipecat bots on a whole Trunkline; wants Python 3.11
	cd bots && $(VENV)/bin/ruff check . && $(VENV)/bin/ruff format --check . && $(VENV)/bin/mypy trunkline/src daily-standin/src
	cd bots && $(VENV)/bin/pytest

.PHONY: demo-pipecat
demo-pipecat: build $(VENV)/.installed ## have Pipecat bots take and make a few calls, in the simulator, and show what is said
	$(VENV)/bin/python bots/examples/demo.py $(TRUNKLINE)

.PHONY: bench
bench: build ## measure calls a second and delays; FORMAT=json, or PROFILE=dir for pprof files of whole calls alone
	$(TRUNKLINE) bench -o $(FORMAT) $(if $(PROFILE),--profiles $(PROFILE))

.PHONY: compose-test
compose-test: ## place a call on what docker compose starts; fails without a Docker engine
	TRUNKLINE_COMPOSE=required go test -count=1 -timeout 15m -run Compose -v ./services/trunkline/compose

.PHONY: containers
containers: ## kill, freeze, cut off and roll the containers of all parts while people call; PEOPLE=1000 for more; fails without a Docker engine
	TRUNKLINE_COMPOSE=required go test -count=1 -v -timeout 2h ./services/trunkline/containers -callers $(PEOPLE)

.PHONY: clean
clean: ## delete what was built
	rm -rf $(BIN) .trunkline $(VENV)

# Tools are installed once for each pinned version; the version is in the name of a marker.
$(BIN)/buf-$(BUF):
	GOWORK=off GOBIN=$(BIN) go install github.com/bufbuild/buf/cmd/buf@$(BUF) && touch $@
$(BIN)/protoc-gen-go-$(PROTOC_GEN_GO):
	GOWORK=off GOBIN=$(BIN) go install google.golang.org/protobuf/cmd/protoc-gen-go@$(PROTOC_GEN_GO) && touch $@
$(BIN)/protoc-gen-connect-go-$(PROTOC_GEN_CONNECT):
	GOWORK=off GOBIN=$(BIN) go install connectrpc.com/connect/cmd/protoc-gen-connect-go@$(PROTOC_GEN_CONNECT) && touch $@
$(BIN)/golangci-lint-$(GOLANGCI):
	GOWORK=off GOBIN=$(BIN) go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI) && touch $@
