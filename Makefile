# Every target works on a fresh clone with Python 3.11 or 3.12 and pip; `make help` lists them.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules

# The first interpreter of a supported version; `make setup PYTHON=/path/to/python` overrides it.
SUPPORTED := import sys; sys.exit(not ((3, 11) <= sys.version_info < (3, 13)))
PYTHON ?= $(shell for one in python3 python3.12 python3.11 python; do \
	"$$one" -c '$(SUPPORTED)' >/dev/null 2>&1 && echo "$$one" && break; done)

# cpu: torch without CUDA, from PyTorch's own index (Linux; macOS has no CUDA build anyway).
# A .venv that was made so stays so.
TORCH ?= $(if $(wildcard .venv/.ready-cpu),cpu,default)
# uv, in a folder of its own: `uv pip sync` removes from .venv what the lock does not name.
UV_VERSION := 0.13.9
UV := .tools/bin/uv
UV_STAMP := .tools/uv-$(UV_VERSION)
BIN := .venv/bin
READY := .venv/.ready-$(TORCH)
# What only the CUDA build of torch needs, and torch itself; nvidia-ml-py is BentoML's.
CUDA_ONLY := ^(torch|torchvision|triton|cuda-[a-z-]+|nvidia-[a-z0-9-]+)==
KEEP := ^nvidia-ml-py==

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z%-]+:.*## / { sub("%", "NAME", $$1); printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo; echo "PYTHON=python3.12, TORCH=cpu (torch without CUDA) and ARGS='…' (more arguments) may follow."

.PHONY: setup
setup: $(READY) ## Create .venv with the locked dependencies and this project

$(UV_STAMP):
	@if [ -z "$(PYTHON)" ]; then \
		echo "make setup: no Python 3.11 or 3.12 found; install one, or name it: make setup PYTHON=/path/to/python3.12" >&2; exit 2; fi
	@if ! "$(PYTHON)" -c '$(SUPPORTED)'; then \
		echo "make setup: $(PYTHON) is $$("$(PYTHON)" --version 2>&1); this project needs Python 3.11 or 3.12" >&2; exit 2; fi
	rm -rf .tools
	"$(PYTHON)" -m venv .tools
	.tools/bin/python -m pip install --quiet --disable-pip-version-check "uv==$(UV_VERSION)"
	touch $@

$(READY): requirements.txt pyproject.toml $(UV_STAMP)
	@rm -f .venv/.ready-*
	@[ -x $(BIN)/python ] || "$(PYTHON)" -m venv --without-pip .venv
ifeq ($(TORCH),cpu)
	awk '/^[^ ]/ { wanted = $$0 !~ /$(CUDA_ONLY)/ || $$0 ~ /$(KEEP)/ } wanted' requirements.txt > .tools/requirements-cpu.txt
	$(UV) pip install --python $(BIN)/python --torch-backend cpu --no-deps $$(sed -nE 's/^((torch|torchvision)==[^ ;]+).*/\1/p' requirements.txt)
	$(UV) pip install --python $(BIN)/python --require-hashes --no-deps -r .tools/requirements-cpu.txt
else
	$(UV) pip sync --python $(BIN)/python --require-hashes requirements.txt
endif
	$(UV) pip install --python $(BIN)/python --quiet --no-deps --no-build-isolation -e .
	touch $@

.PHONY: format
format: $(READY) ## Format and fix what can be fixed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.PHONY: lint
lint: $(READY) ## Check style, spelling, which package imports which, and known holes of dependencies
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	git ls-files -z --cached --others --exclude-standard | xargs -0 $(BIN)/codespell
	$(BIN)/lint-imports
	$(BIN)/python -m audit.dependencies requirements.txt

.PHONY: types
types: $(READY) ## Check the types
	$(BIN)/mypy

.PHONY: test
test: $(READY) ## Run the tests, a file to a core (ARGS='tests/validation -k gate' narrows them)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --maxprocesses 8 --dist loadfile $(ARGS)

# Spark is half a gigabyte that only its own tests need, so the lock leaves it out.
.PHONY: test-spark
test-spark: $(READY) ## Install Spark (Java 17 must be there) and run the tests of its stores (ARGS='-k spark-processes': on two executors)
	$(UV) pip install --python $(BIN)/python --quiet "$$($(BIN)/python -c 'import tomllib; \
		print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["spark"])')"
	$(BIN)/python -m pytest -m slow tests/feature_repo/contract $(ARGS)

.PHONY: test-slow
test-slow: $(READY) ## Run the tests that take longer than half a minute
	$(BIN)/python -m pytest -m slow $(ARGS)

.PHONY: demo
demo: $(READY) ## Run everything on the generated marketplace, from photos to a served answer
	$(BIN)/coldstart demo $(ARGS)

.PHONY: pretrain
pretrain: $(READY) ## Learn the general model across shops (ARGS='SOURCE… --out DIR'; by default what needs no download)
	$(BIN)/coldstart pretrain $(ARGS)

.PHONY: serve
serve: $(READY) ## Serve recommendations from the state in COLDSTART_HOME
	$(BIN)/coldstart serve $(ARGS)

# bench-ablation, bench-adaptation, bench-adapted_ranking, bench-event_weights, bench-kinds, bench-quality, bench-shots,
# bench-starting_weights, bench-text_adaptation and bench-transfer take long and data sets of yours (ARGS='--data DIR'),
# bench-attainable and bench-exploration take long, bench-bento_size, bench-costs, bench-extraction_memory and bench-feeding
# measure one thing apart, bench-targets reads what the others wrote: they are run by themselves.
.PHONY: bench
bench: bench-extraction bench-aggregation bench-ranking bench-gate bench-guards bench-languages bench-materialize bench-serving bench-streaming bench-training ## Run the benchmarks of speed, of the gate and of languages

bench-%: $(READY) benchmarks/%.py ## Run one (ablation, adaptation, adapted_ranking, aggregation, attainable, bento_size, costs, event_weights, exploration, extraction, extraction_memory, feeding, gate, guards, kinds, languages, materialize, quality, ranking, serving, shots, starting_weights, streaming, targets, text_adaptation, training, transfer); writes benchmarks/results/NAME*
	$(BIN)/python -m benchmarks.$* $(ARGS)

.PHONY: lock
lock: $(UV_STAMP) ## Write requirements.txt anew from pyproject.toml
	$(UV) pip compile --universal --generate-hashes --no-header --no-annotate --python-version 3.11 \
		--extra complete-journey --extra dev --extra multilingual --extra peers \
		--extra postgres --extra ray pyproject.toml -o requirements.txt

.PHONY: clean
clean: ## Remove the environment, caches and what the demo and the benchmarks wrote
	rm -rf .venv .tools build dist demo benchmarks/results *.egg-info .pytest_cache .mypy_cache \
		.ruff_cache .import_linter_cache .hypothesis spark-warehouse
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
