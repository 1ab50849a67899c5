"""Rule training_figure: the traces of a run -> its training curve."""

from _start import start

start(snakemake)

from plots.style import save
from plots.training import training_figure

from engine.io import table
from engine.io.trace import read_trace

figure = training_figure(
    [read_trace(path) for path in snakemake.input.traces],
    table.read(snakemake.input.energy)[0],
    table.read(snakemake.input.twists),
)
save(figure, svg=snakemake.output.svg, png=snakemake.output.png)
