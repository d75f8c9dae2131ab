PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
JOBS ?= 4
SOAK_HISTORIES ?= 1000
SOAK_SEED ?=
FUZZ_CASES ?= 1_000_000
FUZZ_SEED ?=
# Chooses between containers and native servers once for all processes of a run, and says why.
ON_SERVERS := $(BIN)/python -m devtools.servers
VERSION = $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
# The time of the last commit, so that the same source gives the same files.
EPOCH = $(shell git log -1 --format=%ct 2>/dev/null || echo 0)
BASE ?= python:3.11-slim
SOURCE ?=
PIP_AUDIT := 2.10.1
# For all systems and Pythons at once, with the hash of every file that may be installed.
LOCK = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
  --no-emit-index-url $(if $(INDEX),--index-url $(INDEX))
BENCH_VENV := .venv-bench
BENCH_STAMP := $(BENCH_VENV)/.installed
PEERS := 'faststream[rabbit]' taskiq taskiq-aio-pika 'dramatiq[rabbitmq]' celery \
  aio-pika aiohttp urllib3 uvloop

.PHONY: help install demo console test test-failed mutants soak chaos fuzz bench bench-full lint types imports check build image release lock audit format clean
help: ## Say what each target does
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or later is needed; set PYTHON=..."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

install: $(STAMP) ## Create .venv with everything that is needed

demo: $(STAMP) ## Show the main job end to end on a private broker and the emulator
	$(BIN)/python -m devtools.demo

console: $(STAMP) ## Keep broker, emulator, worker, traffic with faults and the console up, to look
	$(BIN)/python -m devtools.live_console

test: $(STAMP) ## Run all tests (COVERAGE=1 measures, and asks for 95 %)
	@$(BIN)/python -m compileall -q worker devtools # once, not in each of a thousand processes
ifdef COVERAGE
	$(BIN)/coverage erase
	@$(ON_SERVERS) $(BIN)/coverage run -m pytest -n $(JOBS) --maxschedchunk 1
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report
else
	@$(ON_SERVERS) $(BIN)/python -m pytest -n $(JOBS) --maxschedchunk 1
endif

test-failed: $(STAMP) ## Run what failed in the last `make test`, one test after the other
	@$(ON_SERVERS) $(BIN)/python -m pytest --last-failed --last-failed-no-failures none

soak: $(STAMP) ## Play thousands of random histories through failing fleets (SOAK_HISTORIES=5000 SOAK_SEED=7)
	@SOAK_HISTORIES=$(SOAK_HISTORIES) SOAK_SEED=$(SOAK_SEED) \
	  $(ON_SERVERS) $(BIN)/python -m pytest -n $(JOBS) --maxschedchunk 1 tests/truth

fuzz: $(STAMP) ## Feed all that reads from outside what nobody would write (FUZZ_CASES=10_000_000 FUZZ_SEED=7)
	$(BIN)/python -m devtools.fuzz --cases $(FUZZ_CASES) $(if $(FUZZ_SEED),--seed $(FUZZ_SEED))

chaos: $(STAMP) ## Kill and stall a cluster, Redis, workers and a ledger (CHAOS_SEED, _SECONDS, _EVENTS, _QUEUES, _REDIS)
	@$(BIN)/python -m devtools.chaos

$(BENCH_STAMP): constraints-bench.txt
	$(PYTHON) -m venv $(BENCH_VENV)
	$(BENCH_VENV)/bin/pip install --quiet --constraint constraints-bench.txt $(PEERS)
	@touch $@

bench: $(STAMP) $(BENCH_STAMP) ## Compare cost and speed with peers, in some fifty minutes
	$(BIN)/python -m bench $(BENCH_OPTIONS)

bench-full: $(STAMP) $(BENCH_STAMP) ## The same with longer runs and a million messages waiting
	$(BIN)/python -m bench --full $(BENCH_OPTIONS)

lint: $(STAMP) ## Check style
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP) ## Check types
	$(BIN)/mypy --explicit-package-bases worker devtools bench tests

mutants: $(STAMP) ## Change the rules one by one; a test must fail for each change
	HYPOTHESIS_PROFILE=mutants $(BIN)/mutmut run --max-children 2
	$(BIN)/mutmut results

imports: $(STAMP) ## Check that dependencies point one way
	$(BIN)/lint-imports

check: ## Run what CI runs: style, types, import contracts, all tests
	.ci/run

build: $(STAMP) ## Make wheel and sdist in dist/
	@rm -rf dist
	SOURCE_DATE_EPOCH=$(EPOCH) $(BIN)/hatchling build --target wheel --target sdist --directory dist

image: ## Build the image (BASE=python:3.11-slim@sha256:... for a release)
	docker build --build-arg BASE=$(BASE) --build-arg VERSION=$(VERSION) \
	  --build-arg REVISION=$$(git rev-parse HEAD) --build-arg SOURCE=$(SOURCE) \
	  --build-arg CREATED=$$(git log -1 --format=%cI) --build-arg SOURCE_DATE_EPOCH=$(EPOCH) \
	  --tag consent-worker:$(VERSION) .

release: build image ## Make what the workflow publishes: wheel, sdist, image, its SBOM, their checksums
	docker run --rm --entrypoint cat consent-worker:$(VERSION) \
	  /app/share/consent-worker/sbom.cdx.json > dist/consent-worker-$(VERSION).cdx.json
	cd dist && sha256sum * > SHA256SUMS

lock: $(STAMP) ## Write the lock files of the image anew (INDEX=... where packages come from a mirror)
	$(LOCK) --constraints constraints.txt --output-file requirements.lock pyproject.toml
	$(LOCK) --constraints constraints.txt --output-file requirements-build.lock --group image

audit: ## Look the locked packages up among known weaknesses; needs the network
	pipx run pip-audit==$(PIP_AUDIT) --require-hashes --disable-pip --requirement requirements.lock
	pipx run pip-audit==$(PIP_AUDIT) --require-hashes --disable-pip --requirement requirements-build.lock

format: $(STAMP) ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean: ## Remove what was installed and cached
	rm -rf $(VENV) $(BENCH_VENV) .coverage* .mypy_cache .pytest_cache .ruff_cache .hypothesis .chaos mutants
