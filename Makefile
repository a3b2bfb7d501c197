# The vocabulary of this repository: `make help` lists it.
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
ARGS ?=
# Where it is set, each process compiles the server and the tests, whose assertions pytest rewrites, anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup setup-test build run test check lint format types unit browser lab bench bench-boot bench-recovery bench-signaling bench-journal bench-quiet bench-live clean

help:  ## list the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "make %-14s %s\n", $$1, $$2}'

setup: $(VENV)/.run node_modules/.package-lock.json  ## install what `make run` needs
	@.ci/debian-packages coturn

setup-test: setup $(VENV)/.dev node_modules/axe-core/package.json  ## install what `make test` needs
	@.ci/debian-packages coturn chromium firefox-esr iproute2 nftables conntrack tinyproxy-bin tayga procps zbar-tools \
		nginx apache2-bin haproxy caddy systemd

$(PY):
	@.ci/debian-packages python3-venv
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: pyproject.toml constraints.txt | $(PY)
	$(PY) -m pip install --quiet --constraint constraints.txt .
	@touch $@

$(VENV)/.dev: $(VENV)/.run
	$(PY) -m pip install --quiet --constraint constraints.txt '.[dev]'
	@touch $@

node_modules/.package-lock.json: package.json package-lock.json .npmrc
	npm ci --no-progress --omit=dev
	@touch $@

node_modules/axe-core/package.json: package-lock.json | node_modules/.package-lock.json
	npm ci --no-progress
	@touch $@

build: node_modules/.package-lock.json  ## prepare the runtime that the page loads, if its inputs changed
	@node runtime/build/build.mjs

run: setup build  ## serve the console; ARGS="--port 9000" go to server.py
	$(PY) server.py $(ARGS)

test: setup-test build  ## every test: lint, types, unit, browser, lab
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/lint-imports --no-logo --no-cache
	$(VENV)/bin/mypy
	.ci/tests $(PY)

check: $(VENV)/.dev lint types unit  ## lint, types and unit tests

lint: $(VENV)/.dev  ## lint, format, and which package may import which
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/lint-imports --no-logo --no-cache

format: $(VENV)/.dev  ## ruff: format in place
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

types: $(VENV)/.dev  ## mypy --strict
	$(VENV)/bin/mypy

unit: $(VENV)/.dev build  ## the pure core and the server, no browser
	$(PY) -m pytest --numprocesses auto tests/unit

browser: setup-test build  ## real Chromium, real coturn, on a network of their own
	.ci/isolated $(PY) -m pytest tests/browser

lab: setup-test build  ## every NAT kind against every other
	$(PY) -m tests.lab $(ARGS)

bench:  ## every benchmark, one after the other, whatever the first one finds
	@$(MAKE) --no-print-directory --keep-going bench-boot bench-recovery bench-signaling bench-journal bench-quiet bench-live

bench-boot: setup-test build  ## how fast the page starts, against a stock PyScript page; fails if a target is missed
	.ci/isolated $(PY) -m tests.bench.boot $(ARGS)

bench-signaling: setup-test build  ## what carrying signaling costs the server, against peerjs-server
	$(PY) -m tests.bench.signaling $(ARGS)

bench-journal: setup-test build  ## what keeping the record costs the server; fails if it is too much
	$(PY) -m tests.bench.journal $(ARGS)
	.ci/isolated $(PY) -m tests.bench.opening

bench-recovery: setup-test build  ## how long a session is silent when its network changes, against a plain page
	$(PY) -m tests.lab.recovery $(ARGS)

bench-quiet: setup-test build  ## what two connected pages cost while nobody does anything; fails if it is too much
	.ci/isolated $(PY) -m tests.bench.quiet $(ARGS)

bench-live: setup-test build  ## what it costs to show the quality, and the charts; fails if it is too much
	.ci/isolated $(PY) -m tests.bench.live $(ARGS)

clean:  ## remove what setup and tests made
	rm -rf $(VENV) node_modules build .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis test-results
