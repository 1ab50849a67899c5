"""Rule reference: the integrals of a twist -> energies of established methods."""

from _start import start

start(snakemake)

from engine.stage.fock_reference import fock_reference

fock_reference(
    snakemake.params.sections,
    integrals=snakemake.input.integrals,
    reference=snakemake.output.reference,
)
