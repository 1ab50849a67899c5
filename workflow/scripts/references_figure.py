"""Rule references_figure: references.csv -> distances of all methods to the exact energy."""

from _start import start

start(snakemake)

from plots.references import references_figure
from plots.style import save

from engine.io import table

figure = references_figure(table.read(snakemake.input.references))
save(figure, svg=snakemake.output.svg, png=snakemake.output.png)
