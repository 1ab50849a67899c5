"""Rule pretrain: network orbitals fitted to the mean field -> checkpoint.h5, trace.h5."""

from _start import run_stage

run_stage(snakemake, "pretrain", dict(snakemake.output.items()))
