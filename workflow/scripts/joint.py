"""Rule joint: one network for all members of a group -> checkpoint.h5, trace.h5."""

from _start import run_stage

run_stage(snakemake, "joint", dict(snakemake.output.items()))
