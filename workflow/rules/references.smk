# Established methods on the integrals of runs in second quantisation, beside the network.


rule reference:
    input:
        integrals=f"{TWIST}/integrals.h5",
    output:
        reference=f"{TWIST}/reference.h5",
    log:
        "logs/{material}/{method}/twist-{twist}/reference.log",
    benchmark:
        "logs/{material}/{method}/twist-{twist}/reference.benchmark.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        **asked("reference"),
    params:
        sections=sections("reference"),
    message:
        "{wildcards.material} {wildcards.method}: established methods at twist {wildcards.twist}"
    script:
        "../scripts/reference.py"


rule reference_row:
    input:
        references=all_twists("reference.h5"),
        results=all_twists("evaluate/result.h5"),
        energy="results/{material}/{method}/energy.csv",
    output:
        row="results/{material}/{method}/references.csv",
    log:
        "logs/{material}/{method}/reference_row.log",
    benchmark:
        "logs/{material}/{method}/reference_row.benchmark.tsv"
    conda:
        "../../environment.yml"
    params:
        sections=sections("twist_average"),
    message:
        "{wildcards.material} {wildcards.method}: the network beside established methods"
    script:
        "../scripts/reference_row.py"


rule references:
    input:
        rows=reference_rows,
    output:
        references=report(
            "results/tables/references.csv",
            category="Tables",
            labels={"table": "references"},
        ),
        families="results/tables/families.csv",
    log:
        "logs/references.log",
    benchmark:
        "logs/references.benchmark.tsv"
    conda:
        "../../environment.yml"
    params:
        families=family_sections("methods"),
    message:
        "gathering the established methods of all runs"
    script:
        "../scripts/collect_references.py"


rule references_figure:
    input:
        references="results/tables/references.csv",
    output:
        svg=report(
            "results/figures/references.svg",
            category="Figures",
            labels={"material": "all", "method": "all", "figure": "references"},
        ),
        png="results/figures/references.png",
    log:
        "logs/figures/references.log",
    benchmark:
        "logs/figures/references.benchmark.tsv"
    conda:
        "../../environment.yml"
    message:
        "drawing the distances to exact energies"
    script:
        "../scripts/references_figure.py"
