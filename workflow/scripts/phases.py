"""Rule phases: energies and order of electron gases -> phases.csv."""

from _start import start

start(snakemake)

from engine.stage.phases import by_run, write

results, weights = by_run(snakemake.params.runs, snakemake.input.results)
write(
    snakemake.params.families,
    results,
    weights,
    snakemake.input.energies,
    snakemake.output.phases,
)
