"""Rule learned_sizes_figure: learned.csv -> errors over data size and model size."""

from _start import start

start(snakemake)

from plots.learned import sizes_figure
from plots.style import save

from engine.io import table

rows = table.read(snakemake.input.cards)
save(sizes_figure(rows), svg=snakemake.output.svg, png=snakemake.output.png)
