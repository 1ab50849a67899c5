# Families of materials: extrapolations in size, equations of state, phases of the electron gas.


rule sizes:
    input:
        energies="results/tables/energies.csv",
    output:
        sizes=report(
            "results/tables/sizes.csv",
            category="Tables",
            labels={"table": "sizes"},
        ),
    log:
        "logs/sizes.log",
    benchmark:
        "logs/sizes.benchmark.tsv"
    conda:
        "../../environment.yml"
    params:
        families=family_sections("size"),
    message:
        "extrapolating to infinite size"
    script:
        "../scripts/sizes.py"


rule equations_of_state:
    input:
        energies="results/tables/energies.csv",
    output:
        equations=report(
            "results/tables/equations_of_state.csv",
            category="Tables",
            labels={"table": "equations of state"},
        ),
    log:
        "logs/equations_of_state.log",
    benchmark:
        "logs/equations_of_state.benchmark.tsv"
    conda:
        "../../environment.yml"
    params:
        families=family_sections("equation-of-state"),
    message:
        "fitting equations of state"
    script:
        "../scripts/equations_of_state.py"


rule phases:
    input:
        energies="results/tables/energies.csv",
        results=phase_results,
    output:
        phases=report(
            "results/tables/phases.csv",
            category="Tables",
            labels={"table": "phases"},
        ),
    log:
        "logs/phases.log",
    benchmark:
        "logs/phases.benchmark.tsv"
    conda:
        "../../environment.yml"
    params:
        families=family_sections("phases"),
        runs=phase_runs,
    message:
        "comparing the electron gas with its determinants"
    script:
        "../scripts/phases.py"


rule family_figure:
    input:
        table=family_table,
        energies="results/tables/energies.csv",
        results=family_results,
    output:
        svg=report(
            "results/figures/families/{family}.svg",
            category="Figures",
            labels={"material": "{family}", "method": "all", "figure": "family"},
        ),
        png="results/figures/families/{family}.png",
    log:
        "logs/figures/families/{family}.log",
    benchmark:
        "logs/figures/families/{family}.benchmark.tsv"
    conda:
        "../../environment.yml"
    params:
        family=family_section,
        runs=phase_runs,
    message:
        "{wildcards.family}: drawing the family"
    script:
        "../scripts/family_figure.py"
