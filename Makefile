# Two commands do everything: `make lab` and `make test`.
PYTHON ?= python3
BIN := .venv/bin
# JupyterLab refuses to run as root (in a container, say) unless it is told to.
ROOT_FLAG := $(if $(filter 0,$(shell id -u)),--allow-root)

.PHONY: lab test build site lint

lab: .venv/.ready
	PATH="$(CURDIR)/$(BIN):$$PATH" jupyter lab --notebook-dir=. $(ROOT_FLAG) $(LAB_FLAGS) notebooks/00_start_here.ipynb

test: .venv/.ready
	$(BIN)/python -m pytest $(TEST_FLAGS)

build: .venv/.ready  # stubs, notebooks and recorded cases from solutions/
	$(BIN)/autograde build

site: .venv/.ready  # the course as static HTML, in site/
	$(BIN)/autograde site site

lint: .venv/.ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

.venv/.ready: pyproject.toml requirements.lock bootstrap.py
	$(PYTHON) bootstrap.py
