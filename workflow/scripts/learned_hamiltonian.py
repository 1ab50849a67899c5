"""Rule learned_hamiltonian: system.h5 of a crystal and a model -> its Hamiltonian H(R)."""

from _start import start

start(snakemake)

from engine.stage.crystal_hamiltonian import learned_hamiltonian

learned_hamiltonian(
    snakemake.params.sections,
    system=snakemake.input.system,
    model=snakemake.input.model,
    hamiltonian=snakemake.output.hamiltonian,
)
