"""Rule integrals: a mean field -> the Hamiltonian in orbitals, integrals.h5 and FCIDUMP."""

from _start import start

start(snakemake)

from engine.stage.fock_integrals import fock_integrals

fock_integrals(
    snakemake.params.sections,
    system=snakemake.input.system,
    mean_field=snakemake.input.mean_field,
    integrals=snakemake.output.integrals,
    fcidump=snakemake.output.fcidump,
)
