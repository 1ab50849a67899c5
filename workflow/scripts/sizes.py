"""Rule sizes: the table of energies -> energies extrapolated to infinite size."""

from _start import start

start(snakemake)

from engine.stage.sizes import write

write(snakemake.params.families, snakemake.input.energies, snakemake.output.sizes)
