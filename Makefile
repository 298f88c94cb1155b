# Everything from one place; `make help` lists it. Needs Python 3.11+, make and a C library, and fetches the rest.
.DEFAULT_GOAL := help
.PHONY: help setup setup-dev demo test test-cluster test-daemon lint bench up down lock clean
SHELL := /bin/sh
# The Python that .venv is made with: 3.11 is the version the tests run on.
PYTHON ?= $(firstword $(foreach name,python3.11 python3.12 python3.13 python3,$(shell $(name) -c '' 2>/dev/null && command -v $(name))))
SETUP = @$(if $(PYTHON),,$(error No python3 was found. Install Python 3.11 or newer, or name it: make $@ PYTHON=/path/to/python3.11))"$(PYTHON)" scripts/setup.py
BIN := .venv/bin
DAEMON := tests/integration/test_backfills.py tests/integration/test_daemon.py
SMALL_CLUSTER := tests/cluster/test_faults_on_a_cluster.py
# A file's tests stay together, with its lake and engine; in the order given, so that the longest files come first.
PARALLEL := -n 2 --dist loadfile --no-loadscope-reorder

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## */  make \1|/' | awk -F'|' '{printf "%-18s %s\n", $$1, $$2}'

setup:  ## make .venv, install the locked packages, fetch the jars; make the AOT cache in the background
	$(SETUP) --warm

setup-dev:  ## the same with what the tests need
	$(SETUP) --dev

demo:  ## set up, build the example lakehouse from nothing, show what is there
	$(SETUP)
	@$(BIN)/lakehouse demo
	@$(BIN)/lakehouse engine warm --background

test: setup-dev  ## set up, run every check, and all tests but test-daemon's and the greater of test-cluster's
	@$(MAKE) --no-print-directory lint
	$(BIN)/python -m pytest $(PARALLEL) tests/unit
	$(BIN)/python -m pytest $(PARALLEL) $(DAEMON:%=--ignore %) $(SMALL_CLUSTER) tests/integration tests/spark

test-daemon: setup-dev  ## backfills beside a stream, and killed processes, under `lakehouse up`; many minutes
	$(BIN)/python -m pytest $(DAEMON)

test-cluster: setup-dev  ## the example on a Spark cluster, an S3 server and Kafka, as processes here; some minutes, 6 GB of memory
	$(BIN)/python -m pytest tests/cluster

lint:  ## style, types, layers, SQL style
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/sqlfluff lint dbt_project/models

bench:  ## measure against the hand-written pipeline (minutes)
	$(BIN)/python -m benchmarks

up:  ## engine, Dagster's web page and daemon with sensors on
	$(BIN)/lakehouse up

down:  ## stop them
	$(BIN)/lakehouse down

lock:  ## write requirements/*.txt anew from pyproject.toml
	sh scripts/lock.sh

clean:  ## stop the engine; remove .venv and caches, but no data (.lakehouse)
	-@[ ! -x $(BIN)/lakehouse ] || $(BIN)/lakehouse engine stop
	rm -rf .venv .setup.lock .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build *.egg-info dbt_project/target dbt_project/logs
