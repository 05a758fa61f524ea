# Common tasks; `make help` lists them.

.DEFAULT_GOAL := help
.PHONY: help uv demo test times check docs examples pictures format screenshots sizes translations style-sheet benchmark release tags release-notes

# The machine's uv, or one that is installed into .tools.
export UV := $(shell command -v uv || echo $(CURDIR)/.tools/bin/uv)
# The Pythons of scripts/debians-python, if they are there.
export PATH := /var/lib/copier-django/bin:$(PATH)
# If this is set, each new Python process compiles its packages again.
unexport PYTHONDONTWRITEBYTECODE

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

uv: $(UV)

$(CURDIR)/.tools/bin/uv:
	@echo "Installing uv into .tools ..."
	@python3 -m venv .tools || { \
	  echo "python3 cannot make virtual environments. On Debian: apt install python3-venv, or install uv." >&2; \
	  rm -rf .tools; exit 1; }
	@.tools/bin/python -m pip install --quiet uv==0.13.8

demo: $(UV) ## Render a project and serve it (PLATFORM=docker, DEST= a new folder, DEMO_OPEN=0, RUN=real)
	@echo "Installing Copier ..."
	@$(UV) venv --quiet --allow-existing --python 3.13 .cache/demo
	@$(UV) pip install --quiet --python .cache/demo --group demo
	@.cache/demo/bin/python -m scripts.demo

test: $(UV) ## Run the tests of each change, or of a level (LEVEL=rendering), or what you changed (CHANGED=1); nightly tests too (ALL=1)
	@$(UV) run --quiet python -m scripts.run_tests $(if $(LEVEL),--level $(LEVEL)) $(if $(CHANGED),--changed) $(if $(ALL),--all) $(ARGS)

times: $(UV) ## Run the same tests, and write docs/test-times.md: where the time went
	@mkdir -p .cache
	@TEST_TIMES=$(CURDIR)/.cache/test-times $(MAKE) --no-print-directory test
	@$(UV) run --quiet python -m scripts.test_times .cache/test-times

check: $(UV) ## Check format, lint, types and rendering in under a minute
	@$(UV) run --quiet ruff check
	@$(UV) run --quiet ruff format --check
	@$(UV) run --quiet mypy
	@$(UV) run --quiet pytest --quiet --numprocesses auto tests/rendering/test_rendering.py tests/rendering/test_house.py tests/questions/test_questions.py tests/questions/test_slugs.py -m 'not thorough' -k 'not needs'

docs: $(UV) ## Build the documentation into site/; a broken link is an error (SERVE=1 to serve it)
	@$(UV) run --quiet python -W ignore -m scripts.docs

examples: $(UV) ## Render the two newest versions for each platform into build/examples, and compare them
	@$(UV) run --quiet python -W ignore -m scripts.examples

release: $(UV) ## Test all updates, then make a release's commits and its tag (VERSION=0.7.0)
	@$(UV) run --quiet python -m scripts.release --check '$(VERSION)'
	@$(MAKE) --no-print-directory test LEVEL=updates ALL=1
	@$(UV) run --quiet python -m scripts.release '$(VERSION)'

tags: $(UV) ## Make the tags of all releases that this clone lacks
	@$(UV) run --quiet python -m scripts.release --tags

release-notes: $(UV) ## Print a release's section of CHANGELOG.md (VERSION=0.1.0)
	@$(UV) run --quiet python -m scripts.release_notes '$(VERSION)'

pictures: $(UV) ## Update the pictures of README.md and of the documentation, from real output
	@$(UV) run --quiet python -W ignore -m scripts.pictures

format: $(UV) ## Format the code
	@$(UV) run --quiet ruff check --fix
	@$(UV) run --quiet ruff format

screenshots: $(UV) ## Take screenshots of all pages, in light, dark and on a phone, into .cache/screenshots (EXTRAS="tailwind ai")
	@$(UV) run --quiet python -m scripts.screenshots $(EXTRAS)

sizes: $(UV) ## Count files, lines and conditions into docs/sizes.md
	@$(UV) run --quiet python -m scripts.sizes

translations: $(UV) ## Collect the texts of projects in the catalogues of the extra i18n, and compile them; needs gettext
	@$(UV) run --quiet python -m scripts.translations

style-sheet: $(UV) ## Compile the style sheet with which projects with Tailwind start
	@$(UV) run --quiet python -W ignore -m scripts.style_sheet

benchmark: $(UV) ## Measure copies, commands, sites and their growth, and write docs/benchmarks.md (eleven minutes, on an idle machine)
	@$(UV) run --quiet python -m benchmarks.copying
	@$(UV) run --quiet python -m benchmarks.first_page
	@$(UV) run --quiet python -m benchmarks.commands
	@$(UV) run --quiet python -m benchmarks.growth
