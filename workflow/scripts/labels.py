"""Rule labels: geometries around a molecule and their matrices -> a labelled set."""

from _start import start_resumable

folder = start_resumable(snakemake)

from engine.stage.labels import labels

labels(
    snakemake.params.sections,
    system=snakemake.input.system,
    labels=snakemake.output.labels,
    state_dir=folder,
)
