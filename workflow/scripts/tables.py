"""Rule tables: the tables of all runs -> energies.csv, twists.csv of the campaign."""

from _start import start

start(snakemake)

from engine.stage.aggregate import ENERGY_COLUMNS, TWIST_COLUMNS, collect

collect(snakemake.input.energies, snakemake.output.energies, ENERGY_COLUMNS)
collect(snakemake.input.twists, snakemake.output.twists, TWIST_COLUMNS)
