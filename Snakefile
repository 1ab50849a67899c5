# From materials/*.yaml and methods/*.yaml to a table of twist-averaged energies.
#
#   snakemake --profile profiles/local                        all of campaign.yaml
#   snakemake --profile profiles/local h4-chain               one material
#   snakemake --profile profiles/local --config campaign=demo.yaml
#   snakemake --profile profiles/local structures             one stage; see targets.smk

from snakemake.utils import min_version

min_version("9.0")


wildcard_constraints:
    material="[a-z0-9-]+",
    method="[a-z0-9-]+",
    twist="[0-9]{3}",
    model="[a-z0-9-]+",
    family="[a-z0-9-]+",
    group="[a-z0-9-]+",


# Seconds each, and their inputs are small: they run where Snakemake does, also on a cluster.
localrules:
    structure,
    twist_average,
    tables,
    training_figure,
    twist_figure,
    literature_figure,
    reference_row,
    references,
    references_figure,
    family_figure,
    learned_cards,
    learned_figures,
    learned_sizes_figure,
    report,


include: "workflow/rules/common.smk"
include: "workflow/rules/cluster.smk"
include: "workflow/rules/targets.smk"
include: "workflow/rules/structure.smk"
include: "workflow/rules/mean_field.smk"
include: "workflow/rules/learned.smk"
include: "workflow/rules/integrals.smk"
include: "workflow/rules/vmc.smk"
include: "workflow/rules/aggregate.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/references.smk"
include: "workflow/rules/families.smk"


rule all:
    default_target: True
    input:
        "results/tables/energies.csv",
        "results/tables/twists.csv",
        reference_tables,
        "results/report.html",
