# Farebox: the verbs. `make` alone prints them.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.installed
PACKAGES := config proxy billing tenants enforcement metering simulators
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help setup run test month mutate clients client browser check fmt lint types contracts cov bench lock ci clean

help: ## print these verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(READY): requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Farebox needs Python 3.11 or later; set PYTHON=")'
	@echo "Installing $$(grep -c '==' requirements.lock) locked packages into $(VENV) (once; about half a minute) …"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --require-hashes --no-deps -r requirements.lock 2>&1 \
	  | awk '/^Collecting|^Processing/ {printf "\r  %d packages", ++n; fflush()} /^ERROR|error:/ {print} END {print ""}'; \
	  exit $${PIPESTATUS[0]}
	@touch $@

setup: $(READY) ## make .venv and install the locked packages

run: $(READY) ## start everything on http://127.0.0.1:8000 (PORT, FAREBOX_HOME)
	@exec $(BIN)/python -m config.run

test: $(READY) ## run the tests against a real PostgreSQL and a real Valkey
	@$(BIN)/python -m tests.run

browser: $(READY) ## the portal in a real Chromium (skips aloud where there is none)
	@$(BIN)/python -m tests.browser.run || [ $$? -eq 77 ]

clients: $(READY) ## run unmodified official clients, installed into a folder that is thrown away
	@$(BIN)/python -m tests.clients.run

client: $(READY) ## write our Python client's resources anew from the API's schema
	@set -o pipefail; $(BIN)/python -m tests.env $(BIN)/python manage.py spectacular --format openapi-json \
	  | $(BIN)/python clients/python/generate.py /dev/stdin

chaos-long: $(READY) ## the failure tests with a Valkey restored to a copy a minute old
	@FAREBOX_COPY_AGE_SECONDS=60 $(BIN)/python -m tests.run --suite chaos -k restored

month: $(READY) ## a month of 500,000 calls billed, judged by Stripe's stand-in, into docs/proof.md
	@$(BIN)/python -m tests.month

check: $(READY) lint types contracts ## format, lint, types, import contracts

fmt: $(READY) ## format the code
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix .

lint: $(READY)
	@$(BIN)/ruff format --check . && $(BIN)/ruff check .

types: $(READY)
	@$(BIN)/python -m tests.env $(BIN)/mypy $(PACKAGES)

contracts: $(READY)
	@$(BIN)/lint-imports

cov: $(READY) ## branch coverage of metering and enforcement must be 100 %
	@$(BIN)/python -m tests.run --cov

mutate: $(READY) ## break the pricing engine in small ways; its tests must notice nine in ten
	@$(BIN)/python -m tests.metering.mutate

bench: $(READY) ## the benchmarks, JSON out (see benchmarks/README.md)
	@$(BIN)/python -m benchmarks

lock: ## resolve the dependencies again (needs uv)
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
	  pyproject.toml --group dev --group servers -o requirements.lock

ci: ## exactly what CI runs
	@bash .ci/run

clean: ## remove what make made (not .farebox, your data)
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .coverage* static-collected
