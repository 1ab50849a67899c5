"""Rule references: the rows of all runs -> references.csv, families.csv of the campaign."""

from _start import start

start(snakemake)

from engine.stage.aggregate import collect
from engine.stage.references import COLUMNS, write_families

collect(snakemake.input.rows, snakemake.output.references, COLUMNS)
write_families(snakemake.params.families, snakemake.output.references, snakemake.output.families)
