"""Rule learned_errors: a model and labelled sets -> its errors on geometries it never saw."""

from _start import start

start(snakemake)

from engine.stage.learned_errors import learned_errors

learned_errors(
    snakemake.params.sections,
    model=snakemake.input.model,
    labels=snakemake.input.labels,
    errors=snakemake.output.errors,
    parity=snakemake.output.parity,
)
