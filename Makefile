PYTHON ?= python3
TRIALS ?= 200
BIN := .venv/bin
# The examples are checked as a user would: strictly, and without this project's settings. Keras and
# others have no types.
AS_USERS := --strict --config-file= --disable-error-code=import-untyped

.PHONY: search studies test test-long test-all lint format docs clean

# The main job: find a network for the digits, from a fresh clone.
search: .venv/installed
	$(BIN)/nas search --space mlp_depth.yaml --trials $(TRIALS)

# The pages of the published studies; under an hour on two cores.
studies: .venv/developing
	$(BIN)/python studies/reproduce.py

# Two processes, which take a file each, in the order of tests/conftest.py.
PYTEST := $(BIN)/pytest -n 2 --dist loadscope --no-loadscope-reorder

# The quick tests. CI runs test-long, too; test-all adds whole examples and more cases.
test: .venv/developing
	$(PYTEST) -m "not slow and not long"

test-all: .venv/developing
	$(PYTEST)

# What CI runs after `test`: processes that are killed, ensembles, the pages' commands, notebooks.
test-long: .venv/developing
	$(PYTEST) -m long

lint: .venv/developing
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	cd examples && ../$(BIN)/mypy $(AS_USERS) . && ../$(BIN)/basedpyright --project ..

format: .venv/developing
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# docs/api.md, from the docstrings of what `import nas` offers.
docs: .venv/developing
	$(BIN)/python docs/api_page.py

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/installed: .venv/bin/python pyproject.toml constraints.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable .
	touch $@

.venv/developing: .venv/installed
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $@

clean:
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
