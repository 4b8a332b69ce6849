# `make demo` and `make test` set up a fresh machine by themselves; both do nothing twice.
# Another torch than that of constraints.txt: `make test TORCH=2.11.0`.
PYTHON ?= python3
TORCH ?= $(shell sed -n 's/^torch==//p' constraints.txt)
VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed-$(TORCH)
HOSTS := $(VENV)/hosts
DOCS := $(VENV)/docs
PURELIB := -c 'import sysconfig; print(sysconfig.get_path("purelib"))'

ifeq ($(MAKELEVEL),0)
MAKEFLAGS += --jobs=2
endif

.PHONY: test tests tests-of-hosts check hosts demo tables docs clean

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	rm -f $(VENV)/.installed*
	sed 's/^torch==.*/torch==$(TORCH)/' constraints.txt > $(VENV)/constraints.txt
	$(BIN)/python -m pip install --quiet --constraint $(VENV)/constraints.txt --editable ".[dev]"
	touch $@

# mrpro and deepinv need torchvision. Its wheels are for torch with CUDA; beside one without, they break
# the import of transformers. So these have an environment of their own, which sees the other one too,
# with Triton, whose interpreter runs the kernels for a GPU: every import of torch's compiler loads it.
hosts: $(HOSTS)/.installed-$(TORCH)

$(HOSTS)/.installed-$(TORCH): $(INSTALLED)
	$(BIN)/python -m venv $(HOSTS)
	rm -f $(HOSTS)/.installed*
	echo "import site; site.addsitedir('$$($(BIN)/python $(PURELIB))')" \
		> "$$($(HOSTS)/bin/python $(PURELIB))/other.pth"
	$(HOSTS)/bin/python -m pip install --quiet --constraint $(VENV)/constraints.txt \
		"monarch-science[mrpro,deepinv]" "triton>=3.7; sys_platform == 'linux'"
	touch $@

test: check hosts
	$(MAKE) --no-print-directory tests tests-of-hosts

tests: $(INSTALLED)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses=auto --dist=worksteal

# Beside the others, so what it says comes at its end.
tests-of-hosts: hosts
	@OMP_NUM_THREADS=1 $(HOSTS)/bin/python -m pytest \
		tests/monarch_core/adapters/test_mrpro.py tests/monarch_core/adapters/test_deepinv.py \
		tests/monarch_core/layers/kernel/test_triton.py > $(HOSTS)/tests.txt 2>&1; \
		status=$$?; cat $(HOSTS)/tests.txt; exit $$status

check: $(INSTALLED)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/codespell

# Each target is the results.json of one run, so a finished run is not done again. The runs use one
# thread each and go two at a time, as the checks do beside the environment of `hosts`.
DEMO_RUNS := $(foreach run,medium pde operator mri,runs/demo/$(run)_fft runs/demo/$(run)_monarch)
DEMO_RESULTS := $(addsuffix /results.json,$(DEMO_RUNS))

demo: $(INSTALLED)
	$(MAKE) --no-print-directory $(DEMO_RESULTS)
	$(BIN)/monarch-report runs/demo --out report
	@echo "The report: $(CURDIR)/report/index.html"

runs/demo/medium_%/results.json:
	$(BIN)/python pde/train.py experiment=wave_layered transform=$* hydra.run.dir=$(@D)

runs/demo/pde_%/results.json:
	$(BIN)/python pde/train.py experiment=demo transform=$* hydra.run.dir=$(@D)

runs/demo/operator_%/results.json:
	$(BIN)/python pde/train.py experiment=demo model=monarch_no transform=$* hydra.run.dir=$(@D)

runs/demo/mri_%/results.json:
	$(BIN)/python mri/train.py experiment=demo transform=$* hydra.run.dir=$(@D)

tables: $(INSTALLED)
	PATH="$(abspath $(BIN)):$$PATH" sh docs/tables.sh

# The site in docs/_build/html, its tools beside the main environment; the tutorials run on the way.
docs: $(DOCS)/.installed-$(TORCH)
	rm -rf docs/generated/api
	OMP_NUM_THREADS=1 $(DOCS)/bin/python -m sphinx --builder html --fail-on-warning --keep-going \
		--conf-dir docs . docs/_build/html
	@echo "The site: $(CURDIR)/docs/_build/html/index.html"

$(DOCS)/.installed-$(TORCH): $(INSTALLED)
	$(BIN)/python -m venv $(DOCS)
	rm -f $(DOCS)/.installed*
	echo "import site; site.addsitedir('$$($(BIN)/python $(PURELIB))')" \
		> "$$($(DOCS)/bin/python $(PURELIB))/other.pth"
	$(DOCS)/bin/python -m pip install --quiet --constraint $(VENV)/constraints.txt \
		"monarch-science[docs]"
	touch $@

clean:
	rm -rf $(VENV) runs/demo report docs/_build docs/generated
