# A machine with Python >= 3.11 and make is all that is needed: everything else comes into .venv.
PYTHON ?= python3
VENV := .venv
LOCK := requirements.lock
BIN := $(VENV)/bin
UV := $(BIN)/uv
READY := $(VENV)/.ready
LOWEST := .venv-lowest
RESOLVE = $(UV) pip compile -q --upgrade pyproject.toml snakemake_plugin/pyproject.toml airflow_provider/pyproject.toml \
	  --all-extras --group dev --generate-hashes --no-header --no-emit-package ctadata-providers \
	  --no-emit-package snakemake-storage-plugin-cta --no-emit-package airflow-provider-cta

.PHONY: help demo test test-lowest test-real fuzz soak servers-table faults-table lint format bench bench-snakemake docs lock \
  clean
help: ## Tell what there is
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: $(READY) ## Run the example analysis in both engines on a data centre in one process
	$(BIN)/ctadata demo

test: $(READY) ## Run the tests that need no system packages
	$(BIN)/python -m pytest -n 4 --dist loadfile -m "not real and not soak" --ignore tests/conformance
	$(BIN)/python -m pytest -m "not real and not soak" tests/conformance

test-lowest: $(READY) ## Run them with the least versions that each pyproject.toml asks for
	mkdir -p $(LOWEST)
	$(RESOLVE) --python $(BIN)/python --resolution lowest-direct -o $(LOWEST)/requirements.lock
	$(MAKE) VENV=$(LOWEST) LOCK=$(LOWEST)/requirements.lock test

test-real: $(READY) ## Run the tests on real servers and engines (Debian packages)
	sh tests/real/install.sh
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "real and not soak" tests/real tests/filesystem tests/airflow \
	  --ignore tests/real/test_conformance.py --ignore tests/real/test_table.py
	$(BIN)/python -m pytest -m "real and not soak" tests/real/test_conformance.py tests/real/test_table.py

fuzz: $(READY) ## Throw made-up answers at the parsers for a minute
	$(BIN)/python -m tests.fuzz --seconds 60

FUZZ_SECONDS ?= 1800
soak: $(READY) ## Full sizes, minutes to hours: fuzz for FUZZ_SECONDS, and the tests marked soak
	$(BIN)/python -m pytest -m "soak and not real" --timeout 3600
	sh tests/real/install.sh
	sh tests/real/install.sh tests/real/soak-packages.txt
	$(UV) pip install --python $(BIN)/python -q --group soak
	$(BIN)/python -m pytest -m "soak and real" tests/real tests/filesystem --timeout 3600
	$(BIN)/python -m tests.fuzz --seconds $(FUZZ_SECONDS)

servers-table: $(READY) ## Write the table of docs/servers.md from a run on every server
	sh tests/real/install.sh
	CTA_SERVERS_TABLE=write $(BIN)/python -m pytest -q tests/conformance
	CTA_SERVERS_TABLE=write $(BIN)/python -m pytest -q -m real tests/real/test_conformance.py tests/real/test_table.py

faults-table: $(READY) ## Write the table of docs/reliability.md from the cells of tests/faults/matrix
	CTA_FAULTS_TABLE=write $(BIN)/python -m pytest -q tests/faults/test_matrix_page.py

lint: $(READY) ## Check style, types and layers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

format: $(READY) ## Lay out the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

BENCH ?=
bench: $(READY) ## Measure against curl, davix and others; prints tables (BENCH="--only small --write", BENCH=--help)
	-sh tests/real/install.sh benchmarks/packages.txt
	$(BIN)/python -m benchmarks $(BENCH)

bench-snakemake: $(READY) ## Measure whole workflows against the storage plugins of others (BENCH="--shapes run --repeats 1")
	-sh tests/real/install.sh benchmarks/packages.txt
	$(BIN)/python -m benchmarks --only plugins --repeats 1 $(BENCH)

$(LOWEST)/requirements.lock: # made by test-lowest

docs: $(READY) ## Build the documentation into docs/_build
	$(BIN)/sphinx-build -E -W --keep-going -q -b html docs docs/_build

lock: $(READY) ## Resolve the pins of requirements.lock anew
	$(RESOLVE) --group docs --universal --python-version 3.11 -o requirements.lock

clean: ## Remove what was made
	rm -rf .venv .venv-* docs/_build .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .benchmarks
	find . -name __pycache__ -prune -exec rm -rf {} +

$(READY): $(LOCK) pyproject.toml snakemake_plugin/pyproject.toml airflow_provider/pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python >= 3.11 is needed; say make PYTHON=...")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --disable-pip-version-check uv
	$(UV) pip install --python $(BIN)/python -q --compile-bytecode --require-hashes -r $(LOCK)
	$(UV) pip install --python $(BIN)/python -q --no-deps --no-build-isolation -e . -e snakemake_plugin -e airflow_provider
	$(BIN)/python -m compileall -q ctadata_providers snakemake_plugin airflow_provider
	@touch $@
