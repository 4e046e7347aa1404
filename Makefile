# medctx3d: every command a developer or a first visitor needs. `make help` lists them.

VENV ?= .venv
# The first interpreter that starts; the version guard of the package judges it later.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.10 python3; do $$p -c '' 2>/dev/null && echo $$p && break; done)
RUN = $(VENV)/bin/python
READY = $(VENV)/.ready
SOURCES = medctx3d tools tests configs projects docs setup.py
DEMO_ARGS ?=
TEST_ARGS ?=
LOCKED ?=
AUDIT = .venv-audit/bin
AUDIT_SERVICE ?= pypi

# Idle OpenMP threads must sleep: spinning, two busy processes slow each other down twentyfold.
export OMP_WAIT_POLICY = PASSIVE

.DEFAULT_GOAL := help
.PHONY: help setup demo test browser lint format types coverage check docs audit lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## make the environment in .venv from the pinned requirements (PYTHON=..., VENV=..., LOCKED=1: by hash)

$(READY): requirements/runtime.txt requirements/tests.txt requirements/dev.txt requirements/mmcv.txt \
		requirements/constraints.txt requirements/lock.txt setup.py
	@test -n "$(PYTHON)" || { echo 'no python3 found: install Python 3.11 or give PYTHON=/path/to/python'; exit 1; }
	test -x $(RUN) || $(PYTHON) -m venv $(VENV)
	$(if $(LOCKED),$(RUN) -m pip install --disable-pip-version-check --quiet --no-deps --require-hashes -r requirements/lock.txt)
	$(RUN) -m pip install --disable-pip-version-check --quiet -c requirements/constraints.txt -r requirements/dev.txt
	$(RUN) -m pip install --disable-pip-version-check --quiet --no-deps -r requirements/mmcv.txt
	$(RUN) -m pip install --disable-pip-version-check --quiet --no-deps $(if $(LOCKED),--no-build-isolation) -e .
	$(RUN) -m medctx3d.utils.collect_env --check
	@touch $@

demo: $(READY) ## phantom volumes, a MedContext training on the CPU, test, pictures (DEMO_ARGS="--iterations 40")
	$(RUN) tools/demo.py $(DEMO_ARGS)

test: $(READY) ## the test suite on two processes, long runs left out (TEST_ARGS="-k mask" or "-m slow")
	OMP_NUM_THREADS=1 $(RUN) -m pytest -n 2 --dist loadfile -m 'not slow' $(TEST_ARGS)

browser: $(READY) ## the page of tools/report.py in the distribution's chromium
	$(RUN) -m pip install --disable-pip-version-check --quiet -c requirements/constraints.txt -r requirements/browser.txt
	OMP_NUM_THREADS=1 $(RUN) -m pytest -m browser tests/reporting $(TEST_ARGS)

lint: $(READY) ## ruff (rules and format) and spelling
	$(RUN) -m ruff check $(SOURCES)
	$(RUN) -m ruff format --check $(SOURCES)
	$(RUN) -m codespell_lib $(SOURCES) requirements README.md CONTRIBUTING.md CHANGELOG.md SECURITY.md

format: $(READY) ## rewrite the files the way ruff wants them
	$(RUN) -m ruff check --fix $(SOURCES)
	$(RUN) -m ruff format $(SOURCES)

types: $(READY) ## mypy
	$(RUN) -m mypy medctx3d tools

coverage: $(READY) ## the test suite with line coverage; fails below the floor in pyproject.toml
	OMP_NUM_THREADS=1 $(RUN) -m pytest -n 2 --dist loadfile -m 'not slow' --cov=medctx3d --cov-report=term:skip-covered $(TEST_ARGS)

check: lint types test ## everything a change must pass

docs: $(READY) ## the documentation as HTML in docs/_build/html, warnings are errors
	$(RUN) -m pip install --disable-pip-version-check --quiet -r requirements/docs.txt
	$(RUN) -m sphinx -W --keep-going -b html docs docs/_build/html

# Without --strict pip-audit calls a package that it could not look up a success.
audit: $(AUDIT)/.ready ## known advisories of the pinned packages, from the network (AUDIT_SERVICE=osv)
	@$(AUDIT)/pip-audit --strict --progress-spinner off --vulnerability-service $(AUDIT_SERVICE) --disable-pip --no-deps \
		-r requirements/constraints.txt || { \
		echo 'make audit: FAILED. Either an advisory is listed above, or the service ($(AUDIT_SERVICE)) did not answer for'; \
		echo 'a package: then nothing is known about any of them. Try again with network, or AUDIT_SERVICE=osv.'; exit 1; }

lock: $(AUDIT)/.ready ## hashes of the pinned packages, written to requirements/lock.txt after a pin has changed
	$(AUDIT)/uv pip compile --quiet --universal --no-deps --generate-hashes --no-annotate --python-version 3.10 \
		--custom-compile-command 'make lock' --no-emit-package torch --output-file requirements/lock.txt \
		requirements/constraints.txt requirements/mmcv.txt

$(AUDIT)/.ready: requirements/audit.txt
	test -x $(AUDIT)/python || $(PYTHON) -m venv .venv-audit
	$(AUDIT)/python -m pip install --disable-pip-version-check --quiet -r requirements/audit.txt
	@touch $@

clean: ## remove what the targets made, .venv left out
	rm -rf build dist *.egg-info docs/_build htmlcov .coverage .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find medctx3d tools tests -name __pycache__ -type d -prune -exec rm -rf {} +
