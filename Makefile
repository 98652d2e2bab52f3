# Inside GLM. Everything happens in .venv; Python 3.11 (or later) and Debian's packages are all that is needed.
.DEFAULT_GOAL := help
.PHONY: help env book site test live bench notebooks check-notebooks picture lint clean
SHELL := /bin/bash

VENV := .venv/bin
# one thread for each process: sums keep their order, so stored outputs agree to the last digit, and tests share the cores
export OMP_NUM_THREADS := 1
export PYTHONHASHSEED := 0
BENCHMARKS := speed load memory quantization quantization_error
LOCK := mkdir -p .cache && flock .cache/build.lock
STAMP := .venv/stamp-$(shell cat requirements.txt pyproject.toml tools/environment.sh | sha256sum | cut -c1-16)

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | while IFS=$$'\t' read -r name what; do printf '  make %-16s %s\n' "$$name" "$$what"; done

env: $(STAMP)  ## the environment in .venv, pinned by requirements.txt (the others call it)
$(STAMP):
	@tools/environment.sh $(STAMP)

book: env  ## check that every official output is still matched, then build the site
	@echo "Parity: every official output against this code"
	@$(VENV)/python -m glm_edu.parity
	@$(MAKE) --no-print-directory site
	@echo "The book is built. Open _build/html/index.html, or: $(VENV)/python -m http.server -d _build/html"

site: env  ## the site alone, from the stored outputs; a warning is an error
	@$(LOCK) tools/build_site.sh

test: env  ## everything: style, types, unit, parity, notebooks, site in a real browser
	@tools/debian.sh chromium=chromium fonts-noto-cjk
	@$(MAKE) --no-print-directory lint site  # parity is among the tests
	@$(VENV)/python -m pytest -n 2 --dist loadfile --nbval tests book --cov=glm_edu --cov-report=term --cov-fail-under=95

lint: env  ## style and types
	@$(VENV)/ruff check .
	@$(VENV)/mypy

live: env  ## the notebooks in JupyterLab, with a live kernel
	@tools/open_lab.sh

notebooks: env  ## run every notebook and store its outputs
	@$(VENV)/python tools/run_notebooks.py

check-notebooks: env  ## run every notebook; fail if a stored output would change
	@$(VENV)/python tools/run_notebooks.py --check

bench: export OMP_NUM_THREADS := $(shell nproc)
bench: env  ## measure speed, loading, memory and quantization beside the peers on this machine, and store the results
	@for what in $(BENCHMARKS); do echo "benchmarks.$$what"; $(VENV)/python -m benchmarks.$$what --write || exit 1; done
	@echo "Stored in benchmarks/results"

picture: site  ## take the README's pictures of the site
	@$(VENV)/python tools/take_picture.py

clean:  ## remove what was built (not .venv)
	rm -rf _build .coverage .coverage.* .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find . -path ./.venv -prune -o -name __pycache__ -type d -exec rm -rf {} +
