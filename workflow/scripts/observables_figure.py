"""Rule observables_figure: the evaluations of all twists -> what they measured."""

from _start import start

start(snakemake)

from plots.observables import observables_figure
from plots.style import save

from engine.io import table
from engine.stage.observables import read

weights = [row["weight"] for row in table.read(snakemake.input.twists)]
title = f"{snakemake.wildcards.material}, {snakemake.wildcards.method}"
figure = observables_figure(read(snakemake.input.results, weights), title)
save(figure, svg=snakemake.output.svg, png=snakemake.output.png)
