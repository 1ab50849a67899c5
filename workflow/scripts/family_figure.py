"""Rule family_figure: the table of its analysis -> the figure of one family."""

from _start import start

start(snakemake)

from plots.families import FIGURES
from plots.style import save

from engine.io import table
from engine.stage.phases import by_run

family = snakemake.params.family
rows = [row for row in table.read(snakemake.input.table) if row["family"] == family["name"]]
paths = snakemake.input.get("results", [])
files, weights = by_run(snakemake.params.runs, paths) if paths else ({}, {})
results = {run: (found, weights[run]) for run, found in files.items()}
figure = FIGURES[family["analysis"]](family, rows, table.read(snakemake.input.energies), results)
save(figure, svg=snakemake.output.svg, png=snakemake.output.png)
