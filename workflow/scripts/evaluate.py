"""Rule evaluate: energy of the frozen wavefunction -> result.h5, blocks.h5."""

from pathlib import Path

from _start import start

start(snakemake)

from engine.stage.spaces import stage_function

stage_function("evaluate", snakemake.params.sections)(
    snakemake.params.sections,
    system=snakemake.input.system,
    mean_field=snakemake.input.mean_field,
    checkpoint=snakemake.input.checkpoint,
    result=snakemake.output.result,
    blocks=snakemake.output.blocks,
    state_dir=Path(snakemake.output.result).parent / "state",
)
