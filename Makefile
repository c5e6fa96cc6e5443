# Each target is the only command needed on a fresh machine: it makes .venv and installs what it needs.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: demo test check lint docs clean

demo: $(INSTALLED)
	$(BIN)/sskt-edge train quickstart
	$(BIN)/sskt-edge export
	$(BIN)/sskt-edge eval

test: lint
	$(BIN)/python -m pytest -n 2

# What is worth running after every edit: without kills, installs, builds of engines, repeated trainings and studies.
check: lint
	$(BIN)/python -m pytest -n 2 -m "not slow and not docs"

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The site, in build/docs; a warning is an error. Nothing is downloaded.
docs: $(INSTALLED)
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --quiet -b html -c docs -d build/doctrees . build/docs

$(INSTALLED): pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "sskt-edge needs Python 3.10 or newer: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -e '.[train,cpu,demo,lite2,openvino,rtx,study,copies,table,docs,dev]'
	touch $@

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache
