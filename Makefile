# `make demo` and `make test` set up a fresh machine by themselves; both do nothing twice.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: test demo tables clean

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev]"
	touch $@

test: $(INSTALLED)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/codespell
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses=auto

# Each target is the results.json of one run, so a finished run is not done again. The runs use one
# thread each and go two at a time.
DEMO_RUNS := $(foreach run,pde operator mri,runs/demo/$(run)_fft runs/demo/$(run)_monarch)
DEMO_RESULTS := $(addsuffix /results.json,$(DEMO_RUNS))

demo: $(INSTALLED)
	$(MAKE) --no-print-directory --jobs=2 $(DEMO_RESULTS)
	$(BIN)/monarch-report runs/demo --out report
	@echo "The report: $(CURDIR)/report/index.html"

runs/demo/pde_%/results.json:
	$(BIN)/python pde/train.py experiment=demo_pde transform=$* hydra.run.dir=$(@D)

runs/demo/operator_%/results.json:
	$(BIN)/python pde/train.py experiment=demo_pde model=monarch_no transform=$* hydra.run.dir=$(@D)

runs/demo/mri_%/results.json:
	$(BIN)/python mri/train.py experiment=demo_mri transform=$* hydra.run.dir=$(@D)

tables: $(INSTALLED)
	PATH="$(abspath $(BIN)):$$PATH" sh docs/tables.sh

clean:
	rm -rf $(VENV) runs/demo report
