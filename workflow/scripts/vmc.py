"""Rule vmc: variational optimisation -> checkpoint.h5, trace.h5."""

from _start import run_stage

run_stage(snakemake, "vmc", dict(snakemake.output.items()))
