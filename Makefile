# What one does with this repository; `make help` lists it.

.DEFAULT_GOAL := help
.PHONY: help uv demo test check docs format benchmark release-notes

# uv, or the one that is brought into .tools where there is none.
export UV := $(shell command -v uv || echo $(CURDIR)/.tools/bin/uv)
# Where it is set, each Python that is started compiles its packages anew.
unexport PYTHONDONTWRITEBYTECODE

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

uv: $(UV)

$(CURDIR)/.tools/bin/uv:
	@python3 -m venv .tools || { \
	  echo "python3 cannot make virtual environments. On Debian: apt install python3-venv, or install uv." >&2; \
	  rm -rf .tools; exit 1; }
	@.tools/bin/python -m pip install --quiet uv==0.13.8

demo: $(UV) ## Render a project and serve it (PLATFORM=docker, DEST= a new folder)
	@$(UV) run --quiet python -m scripts.demo

# The levels of tests, which are CI's jobs: what renders, what is asked, and what is installed, updated and
# started; the last of them has what no other has.
LEVELS = rendering questions projects updates platforms sites
rendering = $(addprefix tests/test_, $(addsuffix .py, ci environment git rendering shells))
questions = $(addprefix tests/test_, $(addsuffix .py, copying names questions slugs))
projects = $(addprefix tests/test_, $(addsuffix .py, ci_steps deploy_check hooks make projects))
updates = $(wildcard $(addprefix tests/test_, $(addsuffix .py, adopting conflicts releases switches update_workflow updated_projects updates updating_pages)))
platforms = tests/platforms
sites = $(filter-out $(foreach level, $(filter-out sites, $(LEVELS)), $($(level))), $(wildcard tests/test_*.py))

test: $(UV) ## Run all tests that can run on this machine, or those of a level (LEVEL=rendering)
	@$(if $(filter-out $(LEVELS),$(LEVEL)),echo "LEVEL is one of: $(LEVELS)" >&2; exit 2)
	@# Code 5: what was chosen has none of these.
	@$(UV) run --quiet pytest -m 'not alone' --numprocesses auto --dist worksteal $($(LEVEL)) $(ARGS) || [ $$? -eq 5 ]
	@# What measures time, or would disturb the others, has the machine to itself.
	@$(UV) run --quiet pytest -m alone $($(LEVEL)) $(ARGS) || [ $$? -eq 5 ]

check: $(UV) ## See in under a minute what a change broke
	@$(UV) run --quiet ruff check
	@$(UV) run --quiet ruff format --check
	@$(UV) run --quiet mypy
	@$(UV) run --quiet pytest --quiet --numprocesses auto tests/test_rendering.py tests/test_questions.py tests/test_slugs.py -m 'not thorough' -k 'not needs'

docs: $(UV) ## Build the documentation into site/; a link that leads nowhere is an error
	@$(UV) run --quiet zensical build --strict --clean

release-notes: $(UV) ## Print a release's section of CHANGELOG.md (VERSION=0.1.0)
	@$(UV) run --quiet python -m scripts.release_notes '$(VERSION)'

format: $(UV) ## Format the code
	@$(UV) run --quiet ruff check --fix
	@$(UV) run --quiet ruff format

benchmark: $(UV) ## Measure the way to the first page, and what a request's line in the log costs
	@$(UV) run --quiet python -m benchmarks.first_page
	@$(UV) run --quiet python -m benchmarks.request_line
