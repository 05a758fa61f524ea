# What one does with this repository; `make help` lists it.

.DEFAULT_GOAL := help
.PHONY: help uv demo test check format benchmark

# uv, or the one that is brought into .tools where there is none.
export UV := $(shell command -v uv || echo $(CURDIR)/.tools/bin/uv)

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

uv: $(UV)

$(CURDIR)/.tools/bin/uv:
	@python3 -m venv .tools || { \
	  echo "python3 cannot make virtual environments. On Debian: apt install python3-venv, or install uv." >&2; \
	  rm -rf .tools; exit 1; }
	@.tools/bin/python -m pip install --quiet uv==0.13.8

demo: $(UV) ## Render a project and serve it (PLATFORM=docker, DEST= a new folder)
	@$(UV) run --quiet python -m scripts.demo

test: $(UV) ## Run all tests that can run on this machine
	@$(UV) run --quiet pytest -m 'not alone' --numprocesses auto --dist worksteal $(ARGS)
	@# What measures time has the machine to itself. Code 5: ARGS chose none of these.
	@$(UV) run --quiet pytest -m alone $(ARGS) || [ $$? -eq 5 ]

check: $(UV) ## See in under a minute what a change broke
	@$(UV) run --quiet ruff check
	@$(UV) run --quiet ruff format --check
	@$(UV) run --quiet mypy
	@$(UV) run --quiet pytest --quiet --numprocesses auto tests/test_rendering.py tests/test_questions.py tests/test_names.py tests/test_slugs.py -k 'not own_tests and not needs'

format: $(UV) ## Format the code
	@$(UV) run --quiet ruff check --fix
	@$(UV) run --quiet ruff format

benchmark: $(UV) ## Measure the way to the first page, and what a request's line in the log costs
	@$(UV) run --quiet python -m benchmarks.first_page
	@$(UV) run --quiet python -m benchmarks.request_line
