# Every figure as SVG for papers and PNG for slides.


rule training_figure:
    input:
        traces=all_twists("vmc/trace.h5"),
        energy="results/{material}/{method}/energy.csv",
        twists="results/{material}/{method}/twists.csv",
    output:
        svg=report(
            "results/figures/{material}/{method}/training.svg",
            category="Figures",
            labels={"material": "{material}", "method": "{method}", "figure": "training"},
        ),
        png="results/figures/{material}/{method}/training.png",
    log:
        "logs/figures/{material}/{method}/training.log",
    benchmark:
        "logs/figures/{material}/{method}/training.benchmark.tsv"
    conda:
        "../../environment.yml"
    message:
        "{wildcards.material} {wildcards.method}: drawing the training curve"
    script:
        "../scripts/training_figure.py"


rule twist_figure:
    input:
        energy="results/{material}/{method}/energy.csv",
        twists="results/{material}/{method}/twists.csv",
    output:
        svg=report(
            "results/figures/{material}/{method}/twists.svg",
            category="Figures",
            labels={"material": "{material}", "method": "{method}", "figure": "twists"},
        ),
        png="results/figures/{material}/{method}/twists.png",
    log:
        "logs/figures/{material}/{method}/twists.log",
    benchmark:
        "logs/figures/{material}/{method}/twists.benchmark.tsv"
    conda:
        "../../environment.yml"
    message:
        "{wildcards.material} {wildcards.method}: drawing the energy over the twists"
    script:
        "../scripts/twist_figure.py"


rule observables_figure:
    input:
        results=all_twists("evaluate/result.h5"),
        twists="results/{material}/{method}/twists.csv",
    output:
        svg=report(
            "results/figures/{material}/{method}/observables.svg",
            category="Figures",
            labels={"material": "{material}", "method": "{method}", "figure": "observables"},
        ),
        png="results/figures/{material}/{method}/observables.png",
    log:
        "logs/figures/{material}/{method}/observables.log",
    benchmark:
        "logs/figures/{material}/{method}/observables.benchmark.tsv"
    conda:
        "../../environment.yml"
    message:
        "{wildcards.material} {wildcards.method}: drawing the observables"
    script:
        "../scripts/observables_figure.py"


rule literature_figure:
    input:
        energies="results/tables/energies.csv",
    output:
        svg=report(
            "results/figures/literature.svg",
            category="Figures",
            labels={"material": "all", "method": "all", "figure": "literature"},
        ),
        png="results/figures/literature.png",
    log:
        "logs/figures/literature.log",
    benchmark:
        "logs/figures/literature.benchmark.tsv"
    conda:
        "../../environment.yml"
    message:
        "drawing the comparison with the literature"
    script:
        "../scripts/literature_figure.py"
