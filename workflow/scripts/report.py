"""Rule report: tables and figures of the campaign -> one HTML file that opens offline."""

from _start import start

start(snakemake)

from pathlib import Path

from page import Content, render

from engine.io import table

content = Content(
    title=snakemake.params.title,
    energies=table.read(snakemake.input.energies),
    twists=table.read(snakemake.input.twists),
    runs=snakemake.params.runs,
    figures=list(snakemake.input.figures),
    contrasts=[row for path in snakemake.input.contrasts for row in table.read(path)],
    families={Path(path).stem: table.read(path) for path in snakemake.input.families},
    references=[row for path in snakemake.input.references for row in table.read(path)],
    learned=[row for path in snakemake.input.learned for row in table.read(path)],
)
render(content, template=snakemake.input.template, target=snakemake.output.report)
