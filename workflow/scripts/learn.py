"""Rule learn: labelled sets -> a trained Hamiltonian, and the trace of its training."""

from _start import start_resumable

folder = start_resumable(snakemake)

from engine.stage.learn import learn

learn(
    snakemake.params.sections,
    labels=snakemake.input.labels,
    model=snakemake.output.model,
    trace=snakemake.output.trace,
    state_dir=folder,
)
