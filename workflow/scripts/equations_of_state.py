"""Rule equations_of_state: the table of energies -> lattice constants and bulk moduli."""

from _start import start

start(snakemake)

from engine.stage.equation_of_state import write

write(snakemake.params.families, snakemake.input.energies, snakemake.output.equations)
