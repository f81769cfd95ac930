# Two commands are enough to meet the project: `make demo` and `make test`. Both set up what they need.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(shell command -v uv 2>/dev/null)
ARGS ?=
EXAMPLES ?= 20000

# One way to install, whichever tool is there. Every package is checked against its hash.
ifdef UV
install = $(UV) pip install --quiet --python $(BIN)/python --require-hashes -r $(1)
ours = $(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
else
install = { $(BIN)/python -m pip --version || $(BIN)/python -m ensurepip; } >/dev/null 2>&1 && \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(1)
ours = $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
endif

.PHONY: help setup setup-sinks setup-dev demo test test-services test-long fuzz faults faults-long mutants lint types format bench image k8s clean

help: ## Show this list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-13s %s\n", $$1, $$2}'

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Runrelay needs Python 3.11 or newer; say which with: make PYTHON=python3.12 …" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.runtime: $(BIN)/python requirements/build.txt requirements/runtime.txt pyproject.toml
	@echo "Setting up $(VENV) (once) …"
	@$(call install,requirements/build.txt)
	@$(call install,requirements/runtime.txt)
	@$(ours)
	@touch $@

$(VENV)/.sinks: $(VENV)/.runtime requirements/sinks.txt
	@echo "Adding what sinks need (once) …"
	@$(call install,requirements/sinks.txt)
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime requirements/dev.txt
	@echo "Adding what tests need (once) …"
	@$(call install,requirements/dev.txt)
	@touch $@

setup: $(VENV)/.runtime ## Install what the demo needs into .venv

setup-sinks: $(VENV)/.sinks ## Install what every sink needs, too

setup-dev: $(VENV)/.dev ## Install what the tests need, too

# Other sinks need packages and servers that tests need, too.
demo: $(if $(findstring --sinks,$(ARGS)),setup-dev,setup) ## Run the main job and show the receipt (ARGS="--sinks postgres,duckdb")
	@$(BIN)/runrelay demo $(ARGS)

test: setup-dev ## Run every test, with coverage (ARGS="-k name" runs some, without)
ifeq ($(strip $(ARGS)),)
	@rm -f .coverage .coverage.*
	$(BIN)/coverage run -m pytest -q -n 3 --dist loadfile
	@$(BIN)/coverage combine -q
	$(BIN)/coverage report
else
	$(BIN)/pytest -q $(ARGS)
endif

test-services: setup-dev ## Run the tests whose servers are no Python packages; installs what is missing (apt, npm)
	@bash scripts/services.sh
	AZURITE=$(CURDIR)/$(VENV)/services/node_modules/.bin/azurite-blob \
		$(BIN)/pytest -m services -q -n 2 --dist loadfile $$(grep -rl --include='test_*.py' 'mark\.services' tests) $(ARGS)

test-long: setup-dev ## Run the tests that take minutes
	$(BIN)/pytest -q -s -o addopts="-ra -p no:valkey" tests/long $(ARGS)

fuzz: setup-dev ## Try what comes from outside many times over (EXAMPLES=20000 of each)
	FUZZ_EXAMPLES=$(EXAMPLES) $(BIN)/pytest -q -o addopts="-ra -p no:valkey" -o timeout=0 tests/fuzz $(ARGS)

faults: setup-dev ## Kill and break everything inside one loaded run, then judge what is left (SEED=7, ARGS="--only cuts")
	@$(BIN)/python -m tests.faults $(if $(SEED),--seed $(SEED)) $(ARGS)

mutants: setup-dev ## Break every guard in a copy of the project, and expect a test to see it (ARGS="name")
	@$(BIN)/python -m tests.mutants $(ARGS)

faults-long: setup-dev ## The same for a night, with larger numbers
	@$(BIN)/python -m tests.faults --long $(if $(SEED),--seed $(SEED)) $(ARGS)

lint: setup-dev ## Check style and the import order
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: setup-dev ## Check types
	$(BIN)/mypy

format: setup-dev ## Rewrite the code in the house style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: setup-dev ## Measure, as ratios in one run (ARGS="--quick")
	$(BIN)/python -m benchmarks $(ARGS)

k8s: setup-dev ## Render every kustomization and validate it
	@mkdir -p results/k8s
	@set -e; for folder in k8s/base k8s/overlays/*; do \
		out=results/k8s/$$(basename $$folder).yaml; $(BIN)/kubectl kustomize $$folder > $$out; \
		$(BIN)/kubernetes-validate --strict --quiet $$out && echo "$$out is valid"; done

image: ## Build the image and run it once
	@bash scripts/image.sh $(ARGS)

clean: ## Remove what set-up and tests left
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage .coverage.*
