# Every target installs what it needs, can be repeated, and says at its end how it went.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.SILENT:
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# Tests run `python` and `pytest` as a user's checks would; a bare Debian has neither on its path.
export PATH := $(CURDIR)/.venv/bin:$(PATH)
PYTHON := .venv/bin/python
STACK := tests/stack/stack
# What to hand on to pytest: make test ARGS="-k claim -x"
ARGS ?=
# So many processes share the tests of test-all, as tests/support/sharing.py says; 0: one has all. On two cores three take half the time,
# and a handful of tests find the machine too busy.
AT_ONCE ?= 0

.PHONY: compose help setup demo test test-all check lint unit e2e evals kubernetes bench chaos frozen fresh stack-up stack-down lock schema docs images clean

help:  ## this list
	awk -F ':.*## ' '/^[a-z0-9-]+:.*## /{printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup:  ## install what is missing: bubblewrap, slirp4netns, nftables, and .venv with the locked versions
	deploy/setup

demo: setup  ## see a task solved, verified and handed out, in this terminal (no account, no Docker, no internet)
	.venv/bin/codexsys demo

test:  ## every test that needs no cluster, browser or Docker, on real servers started here
	deploy/setup tests
	$(STACK) with $(PYTHON) -m pytest -m 'not browser and not chaos and not docker and not kubernetes and not compose and not engines' $(ARGS)
	echo 'make test: every test passed'

test-all:  ## what CI runs: the checks and every test, browser and Docker too; nothing may be missing
	deploy/setup browser
	$(MAKE) lint
	CODEXSYS_REQUIRE=all $(STACK) with --also docker $(PYTHON) -m pytest -n $(AT_ONCE) $(ARGS)
	echo 'make test-all: every check and every test passed'

check: lint unit  ## seconds, on each commit: format, lint, types, imports, unit tests
	echo 'make check: passed'

lint: setup  ## format, lint, types, imports
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m ruff check .
	$(PYTHON) -m mypy
	.venv/bin/lint-imports --no-logo

unit: setup  ## the unit tests alone
	$(PYTHON) -m pytest -q tests/unit $(ARGS)

e2e:  ## the end-to-end tests alone, on real servers started here
	deploy/setup tests
	$(STACK) with $(PYTHON) -m pytest tests/e2e -m 'not browser and not kubernetes and not compose' $(ARGS)

evals:  ## let a model solve our own small repositories: scripted, or make evals URL=... MODEL=..., the key in CODEXSYS_MODEL_KEY
	$(if $(filter command line,$(origin CODEXSYS_MODEL_KEY) $(origin KEY)),$(error A key on a command line is seen by others: export CODEXSYS_MODEL_KEY))
	deploy/setup evals
	$(PYTHON) -m tests.evals $(if $(URL),--url '$(URL)') $(if $(MODEL),--model '$(MODEL)') $(ARGS)

compose:  ## docker-compose.yml brought up whole, by Compose v2; the first time that is built, for minutes (root)
	deploy/setup tests
	CODEXSYS_REQUIRE=all $(STACK) with --also docker --also compose $(PYTHON) -m pytest -m compose tests/e2e $(ARGS)

kubernetes:  ## the tests that need a cluster, on a real one started here; the first time it is built, for minutes (root)
	deploy/setup tests
	CODEXSYS_REQUIRE=all $(STACK) with --also docker --also kubernetes $(PYTHON) -m pytest -m kubernetes tests/contract tests/e2e tests/chaos $(ARGS)
	echo 'make kubernetes: every test passed, and the cluster has left nothing'

bench: setup  ## measure, on real servers started here, against what one would use instead; prints a report
	$(STACK) with $(PYTHON) -m tests.bench $(ARGS)

chaos: setup  ## break everything by a seed and judge from outside: make chaos SEED=1 MINUTES=5; prints a report
	$(STACK) install mysql redis kafka minio
	$(PYTHON) -m tests.chaos $(if $(SEED),--seed $(SEED)) $(if $(MINUTES),--minutes $(MINUTES)) $(ARGS)

frozen: setup  ## freeze workers for three leases and thaw them, 50 times, and judge from outside: make frozen ARGS="--seed 1"
	$(STACK) with $(PYTHON) -m tests.chaos.frozen $(ARGS)

fresh:  ## both README commands on a bare Debian 12 of its own (root; downloads some 2 GB the first time)
	tests/fresh/run

stack-up:  ## start MariaDB, Redis, Kafka, MinIO and Docker; `eval "$(tests/stack/stack env)"` names them
	$(STACK) up
	$(STACK) env

stack-down:  ## end what stack-up started
	$(STACK) down
	echo 'make stack-down: the servers have ended'

lock: setup  ## write requirements.lock anew from pyproject.toml
	{ echo '# Every version this project is built and tested with, with hashes, for all platforms. Made by `make lock`.'
	  .venv/bin/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
	    --no-emit-index-url --no-emit-find-links --extra dev $(ARGS) pyproject.toml; } > requirements.lock.new
	mv requirements.lock.new requirements.lock
	echo 'make lock: requirements.lock is written'

schema: setup  ## write schema.sql anew from the tables
	$(PYTHON) -m codexsys_adapters.sql.schema > schema.sql.new
	mv schema.sql.new schema.sql
	echo 'make schema: schema.sql is written'

docs: setup  ## write what is made from code: openapi.json; of docs/ settings, end reasons, the attempts in security
	$(PYTHON) -m codexsys_wiring.reference docs
	$(PYTHON) -m tests.probe.page
	$(PYTHON) -m codexsys_api.described > openapi.json.new
	mv openapi.json.new openapi.json
	echo 'make docs: the generated pages are written'

images:  ## take the pictures of docs/images anew: a platform started here, in Chromium
	deploy/setup browser
	$(PYTHON) -m tests.pictures
	echo 'make images: the pictures are taken'

clean:  ## remove .venv and caches of tools
	rm -rf .schemathesis .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
	find libs services tests -name __pycache__ -prune -exec rm -rf {} +
