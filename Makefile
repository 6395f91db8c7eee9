# The project's words. CI calls these and nothing else.
#
#   make demo      set up everything, run the shop and its dashboard (DEMO_SECONDS=20 stops by itself)
#   make test      set up everything, run every test
#   make check     format, lint, types, generated files
#   make bench     figures, each a ratio or a difference within one run (NAME=http for one part, NAME=peers for what others cost)
#   make generate  write what follows from the shape, the rules and the commands
#   make build     the two wheels, dashboard inside, into dist/
#   make matrix    the SDK's tests on every Python found
#   make faults    every line of the SDK that runs inside an app's calls fails in turn, and the app is unaffected
#   make fuzz      coverage-guided fuzzing of what reads strangers' bytes, ten minutes each
#   make durability  200 kills, 2000 power cuts, 2000 damaged files, 10 million events under a cap, 100 000 steps in any order
#   make versions  the lowest and the latest release of each library that the SDK supports (NAME=fastapi for one)
#   make corpus    labelled apps that really run: precision and recall of each rule, and of the definitions of others
#   make suites    the own tests of the libraries that the SDK patches, with us in their process (NAME=flask for one)
#   make new KIND=rule NAME=slow-thing    a new rule, instrumentation, view, command or resource, with its test

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
WEB := server/src/brakit_server/web/index.html
DASHBOARD := $(shell find dashboard/src dashboard/index.html dashboard/*.ts dashboard/package.json 2>/dev/null)
PYTHON_CODE := sdk server tests demo bench schema

.PHONY: setup demo test check generate bench build matrix faults fuzz durability versions suites corpus new format clean

setup: $(VENV)/.installed $(WEB)

$(VENV)/.installed: requirements-dev.txt constraints.txt sdk/pyproject.toml server/pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "brakit needs Python 3.11 or newer, this is " + sys.version)'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt \
		--editable sdk --editable server --requirement requirements-dev.txt
	@# arq asks for a redis below 6 and runs with newer ones; Celery's transport asks for a newer one.
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --no-deps arq
	@# Drivers that are built against a library of the system, or bring none of their own: without them their tests skip.
	@for driver in mysqlclient pyodbc; do \
		module=$$(echo $$driver | sed s/mysqlclient/MySQLdb/); \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt $$driver 2>/dev/null \
			&& $(BIN)/python -c "import $$module" 2>/dev/null \
			|| { $(BIN)/python -m pip uninstall --quiet --yes $$driver 2>/dev/null; \
				echo "$$driver cannot be used here: its tests will skip"; }; \
	done
	@touch $@

dashboard/node_modules/.installed: dashboard/package.json dashboard/package-lock.json
	cd dashboard && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

$(WEB): dashboard/node_modules/.installed $(DASHBOARD)
	cd dashboard && npm run --silent build
	@touch $@

demo: setup
	@$(BIN)/python -m demo

test: setup
	cd dashboard && npm test --silent
	@# Ten thousand tests on two shared cores: what fails is run once more, alone in a fresh process, and told as unsteady if it passes then.
	$(BIN)/python -m pytest || { test $$? -eq 1 && echo "--- once more, alone: what fails now fails; what passes now is unsteady ---" \
		&& $(BIN)/python -m pytest --last-failed --last-failed-no-failures none; }

check: setup
	$(BIN)/ruff format --check --quiet $(PYTHON_CODE)
	$(BIN)/ruff check --quiet $(PYTHON_CODE)
	$(BIN)/mypy $(PYTHON_CODE)
	$(BIN)/python schema/generate.py --check
	cd dashboard && npm run --silent check && npm run --silent lint

format: setup
	$(BIN)/ruff format --quiet $(PYTHON_CODE)
	$(BIN)/ruff check --quiet --fix $(PYTHON_CODE)
	cd dashboard && npm run --silent format

generate: $(VENV)/.installed
	$(BIN)/python schema/generate.py

bench: setup
	@$(BIN)/python -m bench $(NAME)

build: setup
	rm -rf dist
	$(BIN)/python -m build --wheel --no-isolation --outdir dist sdk
	$(BIN)/python -m build --wheel --no-isolation --outdir dist server

matrix: setup
	$(BIN)/python -m tests.matrix

faults: setup
	BRAKIT_LONG=1 $(BIN)/python -m pytest tests/faults

fuzz: setup
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt atheris \
		|| echo "atheris cannot be installed here: its tests will skip"
	BRAKIT_LONG=1 $(BIN)/python -m pytest tests/fuzz -s

durability: setup
	BRAKIT_LONG=1 $(BIN)/python -m pytest tests/durability

versions: setup
	$(BIN)/python -m tests.versions $(NAME)

suites: setup
	$(BIN)/python -m tests.suites $(NAME)

corpus: setup
	@$(BIN)/python -m tests.corpus

new: $(VENV)/.installed
	@$(BIN)/python schema/new.py $(KIND) $(NAME)

clean:
	rm -rf $(VENV) dist dashboard/node_modules server/src/brakit_server/web .cache
