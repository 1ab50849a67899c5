"""Rule learned_mean_field: system.h5 and a model -> the mean field of a molecule or crystal."""

from _start import start

start(snakemake)

from engine.stage.learned_mean_field import learned_mean_field

learned_mean_field(
    snakemake.params.sections,
    system=snakemake.input.system,
    model=snakemake.input.model,
    mean_field=snakemake.output.mean_field,
    hamiltonian=snakemake.input.hamiltonian or None,
)
