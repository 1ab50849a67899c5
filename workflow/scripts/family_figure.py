"""Rule family_figure: families.csv -> energies of one family along its coordinate."""

from _start import start

start(snakemake)

from plots.references import family_figure
from plots.style import save

from engine.io import table

rows = table.read(snakemake.input.families)
chosen = [row for row in rows if row["family"] == snakemake.wildcards.family]
save(family_figure(chosen), svg=snakemake.output.svg, png=snakemake.output.png)
