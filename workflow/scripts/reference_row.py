"""Rule reference_row: all twists of a run -> its row beside established methods."""

from _start import start

start(snakemake)

from engine.stage.references import write_row

write_row(
    snakemake.params.sections,
    references=snakemake.input.references,
    results=snakemake.input.results,
    energy=snakemake.input.energy,
    target=snakemake.output.row,
)
