"""Rule contrasts: the table of energies -> differences of them."""

from _start import start

start(snakemake)

from engine.stage.contrasts import write

write(snakemake.params.contrasts, snakemake.input.energies, snakemake.output.contrasts)
