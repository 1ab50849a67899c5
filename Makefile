# make demo        install, run the demo campaign, print its table (minutes on two cores)
# make test        install, run the test suite
# make campaign    install, run all of campaign.yaml, print what there is of its table
# make table       print the table of the last complete campaign again
# make test-slow   the long tests, hours
# make test-slurm  accidents on a real SLURM, which must be on the PATH (docs/cluster.md)
# make bench       seconds of a VMC iteration, of the Fock-space engine, of learned Hamiltonians
# make bench-gpu   on a GPU, whose peak in single precision is PEAK_TFLOPS (67: H200): iterations
#                  of 32 and 108 electrons, FLOP/s, largest costs
# make gpu         add JAX for NVIDIA GPUs (CUDA 13) to the environment
# make lint        style of the code and of the workflow
# make clean       delete the virtual environment and caches, never results

PYTHON ?= python3.11
VENV := .venv
STAMP := $(VENV)/.installed
BIN := $(VENV)/bin
SNAKEMAKE := $(BIN)/snakemake --profile profiles/local
LARGE := h32 lih-222 lih-333
WALKERS := 1024
PEAK_TFLOPS := 67
ENERGIES := results/tables/energies.csv
REPORT := results/report.html

export PYTHONPATH :=
export PATH := $(abspath $(BIN)):$(PATH)

.PHONY: demo test test-slow test-slurm campaign table bench bench-gpu lint gpu clean

# The table of what there is, whatever became of the jobs; then their exit status.
define run_campaign
@$(SNAKEMAKE) --config campaign=$(1); status=$$?; echo; \
$(BIN)/python -m engine.stage.show --campaign $(1) --report $(REPORT); \
[ $$status -eq 0 ] || echo "Not everything ran (see above): rows may be those of an earlier run."; \
exit $$status
endef

demo: $(STAMP)
	$(call run_campaign,demo.yaml)

campaign: $(STAMP)
	$(call run_campaign,campaign.yaml)

table: $(STAMP)
	@$(BIN)/python -m engine.stage.show $(ENERGIES) --report $(REPORT)

test: $(STAMP)
	$(BIN)/python -m pytest -n 2 --dist loadfile

test-slow: $(STAMP)
	$(BIN)/python -m pytest -m slow

test-slurm: $(STAMP)
	$(BIN)/python -m pytest -n 2 --maxschedchunk 1 -m slurm tests/slurm

bench: $(STAMP)
	@mkdir -p results/benchmarks
	$(BIN)/python benchmarks/iteration.py --systems h2 lih bh3 lih-cell h4-chain h10-chain h16-chain \
	  h10 h16 diamond gas-14 gas-38 --walkers 64 --json results/benchmarks/iteration-64.json
	$(BIN)/python benchmarks/iteration.py --systems h2 lih bh3 lih-cell h4-chain h10 \
	  --walkers 256 1024 4096 --repeat 4 --json results/benchmarks/iteration.json
	$(BIN)/python benchmarks/fock_scaling.py run --atoms 20 --core 2048 \
	  --json results/benchmarks/fock.json
	$(BIN)/python benchmarks/learned.py --json results/benchmarks/learned.json

bench-gpu: $(STAMP)
	@mkdir -p results/benchmarks
	$(BIN)/python benchmarks/iteration.py --systems $(LARGE) --walkers $(WALKERS) --repeat 5 \
	  --json results/benchmarks/gpu.json
	for system in $(LARGE); do $(BIN)/python benchmarks/costs.py $$system --walkers $(WALKERS) \
	  --peak-tflops $(PEAK_TFLOPS) || exit; done

gpu: $(STAMP)
	$(BIN)/python -m pip install --disable-pip-version-check -c requirements.lock "jax[cuda13]"

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/snakemake --lint

# Installed again only when a pin or the project file changes.
$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or later is needed: make PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -c 'import ensurepip' || { echo "Debian: apt install python3-venv"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache build *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
