"""Rule learned_figures: trace, card and parity of one model -> two figures."""

from _start import start

start(snakemake)

from plots.learned import learning_figure, parity_figure
from plots.style import save

from engine.io import hdf5, table
from engine.io.parity import read_parity

model = snakemake.wildcards.model
card = next(row for row in table.read(snakemake.input.cards) if row["model"] == model)
trace = hdf5.read(snakemake.input.trace, "trace").data
out = snakemake.output
save(learning_figure(trace, card), svg=out.learning, png=out.learning_png)
save(parity_figure(read_parity(snakemake.input.parity), model), svg=out.parity, png=out.parity_png)
