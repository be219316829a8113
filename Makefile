# Targets say what they do in the comment behind them; `make` alone lists them.

.DEFAULT_GOAL := help
GO     ?= go
GOTEST ?= $(GO) test
FUZZ   ?= 20000x
HISTORY ?= 60s
KILLS  ?= 10000
STRIDE ?= 1

CRASH  := ./internal/probe/ ./internal/roster/ ./proc/ ./shm/ ./sync/
STRESS := ./internal/chunk/ ./internal/roster/ ./proc/ ./shm/ ./sync/
LINTER := github.com/golangci/golangci-lint/v2/cmd/golangci-lint

# need PROGRAM PACKAGE: a target that lacks its tool fails and says how to get it.
need = @command -v $(1) >/dev/null || { echo "make $@ needs $(1): apt-get install $(2)" >&2; exit 1; }

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: bin/readings.txt ## build the demo and square ten numbers, then a file of 100,000
	$(GO) build -o bin/squares ./cmd/squares
	bin/squares 2 3 6 7 8 8 9 3 3 3
	bin/squares -type d -in bin/readings.txt -stats

# Made by a small generator of its own, so that the numbers are the same on
# every machine.
bin/readings.txt: Makefile
	@mkdir -p bin
	LC_ALL=C awk 'BEGIN { for (x = i = 1; i <= 100000; i++) { x = x * 16807 % 2147483647; printf "%.2f\n", x % 10000 / 100 - 40 } }' > $@

.PHONY: test
test: ## run all tests (no root, within two minutes)
	$(GOTEST) ./...

.PHONY: race
race: ## run all tests under the race detector, but for examples, which are programs of their own
	$(call need,gcc,gcc)
	CGO_ENABLED=1 $(GOTEST) -race $$($(GO) list ./... | grep -v /examples)

.PHONY: progress
progress: ## test the bars on a terminal, which are a module of their own
	cd progress && $(GO) vet ./... && $(GO) test -count=1 ./...

.PHONY: course
course: ## measure for docs/course, and write the figures into its chapters
	$(GO) run ./internal/course docs/course/*.md

.PHONY: exercises
exercises: ## show which exercises of docs/course pass (CHECK=-check: as handed out they fail, their solutions pass)
	cd docs/course/exercises && $(GO) run . $(CHECK)

.PHONY: crash
crash: ## kill processes at every probe point and see the others go on
	$(GOTEST) -tags crash $(CRASH)

.PHONY: stress
stress: ## kill processes at every machine instruction (STRIDE=3: a third), and KILLS=10000 at random; crowds (15 minutes)
	MULTIPROC_KILLS=$(KILLS) MULTIPROC_STRIDE=$(STRIDE) $(GOTEST) -count=1 -v -timeout 30m -tags stress -run '^TestStress' $(STRESS)

.PHONY: mutate
mutate: ## break the code in hundreds of ways and see the tests notice (an hour; CONTRIBUTING.md)
	$(GO) run ./internal/mutate

.PHONY: history
history: ## check what real processes saw of locks and queues against models (HISTORY=60s)
	cd verify && $(GO) vet ./... && $(GO) test -p 1 -count=1 -v -timeout 1h ./... -for $(HISTORY)

.PHONY: spec
spec: ## check the small models of docs/specs, and their mutants, with spin
	$(call need,spin,spin)
	$(call need,gcc,gcc libc6-dev)
	docs/specs/run small

.PHONY: spec-full
spec-full: ## check the large models (three quarters of an hour, 5 GiB)
	$(call need,spin,spin)
	$(call need,gcc,gcc libc6-dev)
	docs/specs/run full

.PHONY: lint
lint: bin/golangci-lint ## vet, house rules, golangci-lint, go.mod is tidy
	$(GO) vet ./...
	$(GO) vet -tags crash ./...
	$(GOTEST) ./internal/lint
	bin/golangci-lint run
	cd verify && ../bin/golangci-lint run -c ../.golangci.yml
	cd bench && ../bin/golangci-lint run -c ../.golangci.yml
	cd progress && ../bin/golangci-lint run -c ../.golangci.yml
	cd docs/course/exercises && ../../../bin/golangci-lint run -c ../../../.golangci.yml . ./gate ./solutions/...
	$(GO) mod tidy -diff

bin/golangci-lint: tools/go.mod tools/go.sum
	$(GO) build -C tools -o ../$@ $(LINTER)

.PHONY: bench
bench: ## measure beside Go, C and CPython; writes docs/performance.md (6 minutes)
	$(call need,gcc,gcc libc6-dev)
	$(call need,g++,g++ libboost-dev)
	$(GO) build -C bench -o ../bin/bench .
	bin/bench -o docs/performance.md

.PHONY: fuzz
fuzz: ## run every fuzz target for a short time (FUZZ=20000x)
	@set -e; targets=$$(grep -rno --include='*_test.go' '^func Fuzz[A-Za-z0-9_]*' . | sed 's|/[^/]*:func |:|'); \
	test -n "$$targets" || { echo "no fuzz target found" >&2; exit 1; }; \
	for t in $$targets; do \
		echo "fuzz $$t"; \
		$(GO) test -run '^$$' -fuzz "^$${t#*:}\$$" -fuzztime $(FUZZ) "$${t%:*}"; \
		echo "verified: fuzz: $${t#*:} in $${t%:*}: -fuzztime $(FUZZ), nothing found"; \
	done

.PHONY: verification
verification: ## run all tiers of tests, or TIERS="crash fuzz"; writes docs/verification.md (as long as they take)
	$(call need,gcc,gcc libc6-dev)
	$(call need,spin,spin)
	$(GO) run ./internal/verification -o docs $(TIERS)

.PHONY: docs
docs: ## write the generated documents anew
	$(GO) generate ./...

.PHONY: arm64
arm64: ## build and vet for arm64
	GOARCH=arm64 $(GO) build ./...
	GOARCH=arm64 $(GO) vet ./...

.PHONY: cover
cover: ## coverage of the tests (helper processes not counted)
	$(GO) test -coverpkg=./... -coverprofile=cover.out ./...
	$(GO) tool cover -func=cover.out | tail -n 1

.PHONY: clean
clean: ## remove what was built
	rm -rf bin cover.out
