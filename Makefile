# `make serve` and `make test` do all of their set-up themselves.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
PIP = $(BIN)/python -m pip --disable-pip-version-check --quiet
XDIST ?= 2

.PHONY: help serve test test-long check lint types coverage bench packages requirements clean

help:
	@echo 'make serve      set up and run the server in its trial mode, on this machine only'
	@echo 'make test       set up and run the tests (Debian packages too, when root)'
	@echo 'make test-long  the longer versions of the tests'
	@echo 'make check      lint and types'
	@echo 'make coverage   the tests of daemon/wire and daemon/mail must reach every line'
	@echo 'make bench      measure beside Postfix and Dovecot (see bench/README.md)'

$(VENV)/.runtime: requirements/build.txt requirements/runtime.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; name it with make PYTHON=...")'
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --require-hashes -r requirements/build.txt -r requirements/runtime.txt
	$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime requirements/dev.txt
	$(PIP) install --require-hashes -r requirements/dev.txt
	@touch $@

serve: $(VENV)/.runtime
	$(BIN)/mailctl serve --local

packages:
	@sh tests/packages.sh

test: $(VENV)/.dev packages
	$(BIN)/python -m pytest -n $(XDIST) --dist loadfile -m 'not long' $(ARGS)

test-long: $(VENV)/.dev packages
	$(BIN)/python -m pytest -n $(XDIST) --dist loadfile $(ARGS)

check: lint types

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev
	$(BIN)/mypy

coverage: $(VENV)/.dev
	$(BIN)/coverage run --source=daemon/wire,daemon/mail -m pytest -q -m 'not long' tests/wire tests/mail
	$(BIN)/coverage report --show-missing --fail-under=100

bench: $(VENV)/.dev
	$(BIN)/python -m bench $(ARGS)

# Anew from requirements/*.in; needs uv. The files name no registry.
requirements:
	for name in build runtime dev; do \
	  uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
	    $$( [ $$name = build ] || echo --constraint requirements/build.txt ) requirements/$$name.in -o requirements/$$name.txt; \
	done

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .coverage
