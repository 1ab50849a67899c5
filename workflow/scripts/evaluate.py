"""Rule evaluate: energy of the frozen wavefunction -> result.h5, blocks.h5."""

from _start import run_stage

run_stage(snakemake, "evaluate", dict(snakemake.output.items()))
