# Keyline: everything a developer types. `make help` lists it.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help setup lint test test-long demo run contracts contracts-released bench revision up down clean

help: ## list the commands
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 20

$(READY): requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Keyline needs Python 3.11 or newer")'
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	touch $@

setup: $(READY) ## make the virtual environment from the lock file

lint: $(READY) ## ruff, mypy --strict, import boundaries, sizes, numbers, generated files
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy services deploy bench tests
	$(VENV)/bin/lint-imports
	$(RUN) -m tests.architecture.sizes
	$(RUN) -m tests.architecture.numbers
	$(RUN) -m services.contracts.generate --check
	$(RUN) -m deploy.reference --check

test: $(READY) ## all tests on an embedded Postgres 18 and a real broker
	$(RUN) -m pytest -q -m "not long" -n 2 --dist loadfile --no-loadscope-reorder

test-long: $(READY) ## the long runs
	$(RUN) -m pytest -q -m long -n 2 --dist loadfile

demo: $(READY) ## the whole loop on measured data, told as it happens; ends with one line of JSON
	$(RUN) -m deploy.demo

run: $(READY) ## the same, staying up with its addresses; Ctrl-C stops it, a second start keeps the data; SERVICE=outage: one more
	@$(if $(SERVICE),exec $(RUN) -m deploy.local.service $(SERVICE),exec $(RUN) -m deploy.demo --stay --folder var/run)

contracts: $(READY) ## write JSON Schemas, AsyncAPI, OpenAPI, the list of events and the READMEs' tables anew
	$(RUN) -m services.contracts.generate
	$(RUN) -m deploy.reference

contracts-released: $(READY) ## when a release is cut: today's schemas become those that later ones are held to
	$(RUN) -m services.contracts.compatibility --release

bench: $(READY) ## measured comparisons with baselines; NAME=store- runs those whose name begins so, QUICK=1 small ones
	$(RUN) -m bench $(NAME) $(if $(QUICK),--quick)

revision: $(READY) ## write the next migration: make revision SERVICE=outage MESSAGE="Plans carry a window"; TABLES="a b": of these alone
	$(RUN) -m deploy.local.revision $(SERVICE) "$(MESSAGE)" $(TABLES)

up: $(READY) ## start Postgres and a broker under var/ and stay up until Ctrl-C
	$(RUN) -m deploy.local up

down: $(READY) ## stop what `make up` started
	$(RUN) -m deploy.local down

clean: ## remove the environment, local data and caches
	rm -rf $(VENV) var .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache deploy/kafka/target
	find services deploy bench tests -name __pycache__ -prune -exec rm -rf {} +
