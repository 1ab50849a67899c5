"""Rule twist_average: the evaluations of all twists -> energy.csv, twists.csv."""

from _start import start

start(snakemake)

from engine.stage.aggregate import twist_average

twist_average(
    snakemake.params.sections,
    results=snakemake.input.results,
    training=list(zip(snakemake.input.pretrain, snakemake.input.vmc, strict=True)),
    zone=snakemake.input.zone,
    energy=snakemake.output.energy,
    twists=snakemake.output.twists,
)
