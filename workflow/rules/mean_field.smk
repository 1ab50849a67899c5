rule mean_field:
    input:
        system="results/{material}/system.h5",
    output:
        mean_field="results/{material}/mean_field/scf/twist-{twist}.h5",
    log:
        "logs/{material}/mean_field/scf/twist-{twist}.log",
    benchmark:
        "logs/{material}/mean_field/scf/twist-{twist}.benchmark.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        **asked("mean_field"),
    params:
        sections=sections("mean_field"),
    message:
        "{wildcards.material}: mean field at twist {wildcards.twist}"
    script:
        "../scripts/mean_field.py"


# The mean field alone, at the twists of a finer grid: the twist correction of a crystal.
use rule mean_field as zone with:
    output:
        mean_field="results/{material}/mean_field/zone/twist-{twist}.h5",
    log:
        "logs/{material}/mean_field/zone/twist-{twist}.log",
    benchmark:
        "logs/{material}/mean_field/zone/twist-{twist}.benchmark.tsv"
    params:
        sections=sections("zone"),
    message:
        "{wildcards.material}: zone of the mean field, twist {wildcards.twist}"


# The crystal of an electron gas: what a method with `reference: localised` starts from.
rule localised:
    input:
        system="results/{material}/system.h5",
    output:
        mean_field="results/{material}/mean_field/localised/twist-{twist}.h5",
    log:
        "logs/{material}/mean_field/localised/twist-{twist}.log",
    benchmark:
        "logs/{material}/mean_field/localised/twist-{twist}.benchmark.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        **asked("mean_field"),
    params:
        sections=sections("localised"),
    message:
        "{wildcards.material}: Gaussians on the sites at twist {wildcards.twist}"
    script:
        "../scripts/mean_field.py"
