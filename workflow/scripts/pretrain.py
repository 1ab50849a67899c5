"""Rule pretrain: network orbitals fitted to the mean field -> checkpoint.h5, trace.h5."""

from pathlib import Path

from _start import start

start(snakemake)

from engine.stage.spaces import stage_function

stage_function("pretrain", snakemake.params.sections)(
    snakemake.params.sections,
    system=snakemake.input.system,
    mean_field=snakemake.input.mean_field,
    checkpoint=snakemake.output.checkpoint,
    trace=snakemake.output.trace,
    state_dir=Path(snakemake.output.checkpoint).parent / "state",
)
