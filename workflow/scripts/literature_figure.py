"""Rule literature_figure: the table of energies -> the comparison with the literature."""

from _start import start

start(snakemake)

from plots.literature import literature_figure
from plots.style import save

from engine.io import table

figure = literature_figure(table.read(snakemake.input.energies))
save(figure, svg=snakemake.output.svg, png=snakemake.output.png)
