# stem4d. `make` lists the targets.

VENV         ?= .venv
BIN          := $(VENV)/bin
DOCKER       ?= docker

IMAGE        ?= stem4d:latest
BASE_IMAGE   ?=
TORCH_INDEX  ?=
IMAGE_PYTHON ?= 3.11
BUILD_ARGS   ?=
PYTEST_ARGS  ?=
PARALLEL     ?= --numprocesses=logical --maxprocesses=4 --dist=loadfile

export VENV DOCKER IMAGE BASE_IMAGE TORCH_INDEX IMAGE_PYTHON

HOST_READY   := $(VENV)/.host-ready
DEV_READY    := $(VENV)/.dev-ready
INSTALL_FROM := pyproject.toml constraints.txt tools/install.sh

.DEFAULT_GOAL := help
.PHONY: help install demo test test-slow lint format docs image wheels clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo "  Variables: PYTHON, IMAGE, BASE_IMAGE, TORCH_INDEX, BUILD_ARGS, PYTEST_ARGS, PARALLEL"

install: $(DEV_READY)  ## make .venv with everything that development needs

$(HOST_READY): $(INSTALL_FROM)
	@tools/install.sh host
	@touch $@

$(DEV_READY): $(INSTALL_FROM)
	@tools/install.sh dev
	@touch $@ $(HOST_READY)

demo: $(HOST_READY)  ## challenge -> container -> result -> score, on the public tier
	@if ! $(DOCKER) version >/dev/null 2>&1; then \
	    echo "stem4d: no container engine answers; the demo runs in this process." >&2; \
	    $(BIN)/stem4d dry-run --no-docker; \
	elif tools/build_image.sh $(BUILD_ARGS) || { \
	    echo "stem4d: once more, from wheels that this machine fetches." >&2; \
	    tools/fill_wheels.sh && tools/build_image.sh $(BUILD_ARGS); }; then \
	    $(BIN)/stem4d dry-run --image $(IMAGE); \
	else \
	    echo "stem4d: the image could not be built, see above; the demo runs in this process." >&2; \
	    $(BIN)/stem4d dry-run --no-docker; \
	fi

# Container tests look at all of the engine's containers: one after the other.
test: $(DEV_READY)  ## the fast suite; container tests where an engine answers
	$(BIN)/python -m pytest $(PARALLEL) -m "not slow and not docker" $(PYTEST_ARGS)
	$(BIN)/python -m pytest -m "docker and not slow" $(PYTEST_ARGS)

test-slow: $(DEV_READY)  ## the rest
	$(BIN)/python -m pytest -m slow $(PYTEST_ARGS) || [ $$? -eq 5 ]  # 5: there are none

lint: $(DEV_READY)  ## style, format, types, walls between the rooms
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(DEV_READY)  ## rewrite in the project's style
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

docs: $(DEV_READY)  ## the documentation as a site, in site/; a broken link is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet

image:  ## build the submission image stem4d:latest (offline when wheels/ is filled)
	@tools/build_image.sh $(BUILD_ARGS)
	@tools/image_size.sh

wheels: $(HOST_READY)  ## fill wheels/ with what the image installs
	@tools/fill_wheels.sh

clean:  ## remove what make made, the environment included
	rm -rf $(VENV) wheels site build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache \
	    .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
