"""Rule twist_figure: the tables of a run -> its energy over the twists."""

from _start import start

start(snakemake)

from plots.style import save
from plots.twists import twist_figure

from engine.io import table

figure = twist_figure(table.read(snakemake.input.energy)[0], table.read(snakemake.input.twists))
save(figure, svg=snakemake.output.svg, png=snakemake.output.png)
