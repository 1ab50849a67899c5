"""Rule structure: a material's YAML -> system.h5, structure.extxyz."""

from _start import start

start(snakemake)

from engine.stage.structure import structure

structure(
    snakemake.params.sections,
    system=snakemake.output.system,
    structure=snakemake.output.structure,
)
