"""Rule mean_field: system.h5 -> the mean field at one twist."""

from _start import start

start(snakemake)

from engine.stage.mean_field import mean_field

mean_field(
    snakemake.params.sections,
    system=snakemake.input.system,
    mean_field=snakemake.output.mean_field,
)
