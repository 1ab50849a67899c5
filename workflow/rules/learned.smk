# Learned Hamiltonians: labelled sets, training, a table of errors, and mean fields made by a model.


rule labels:
    input:
        system="results/{material}/system.h5",
    output:
        labels="results/learned/{model}/labels/{material}.h5",
    log:
        "logs/learned/{model}/labels/{material}.log",
    benchmark:
        "logs/learned/{model}/labels/{material}.benchmark.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        **asked("mean_field"),
    params:
        sections=learned_sections("labels"),
    message:
        "{wildcards.material}: labels for the learned Hamiltonian {wildcards.model}"
    script:
        "../scripts/labels.py"


rule learn:
    input:
        labels=label_files,
    output:
        model="results/learned/{model}/model.h5",
        trace="results/learned/{model}/trace.h5",
    log:
        "logs/learned/{model}/learn.log",
    benchmark:
        "logs/learned/{model}/learn.benchmark.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        **asked("learn"),
    params:
        sections=learned_sections("learn"),
    message:
        "{wildcards.model}: training the learned Hamiltonian"
    script:
        "../scripts/learn.py"


rule learned_errors:
    input:
        model="results/learned/{model}/model.h5",
        labels=label_files,
    output:
        errors="results/learned/{model}/errors.csv",
        parity="results/learned/{model}/parity.h5",
    log:
        "logs/learned/{model}/errors.log",
    benchmark:
        "logs/learned/{model}/errors.benchmark.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        **asked("learned_errors"),
    params:
        sections=learned_sections("learned_errors"),
    message:
        "{wildcards.model}: errors of the learned Hamiltonian"
    script:
        "../scripts/learned_errors.py"


rule learned_hamiltonian:
    input:
        system="results/{material}/system.h5",
        model="results/learned/{model}/model.h5",
    output:
        hamiltonian="results/{material}/mean_field/learned-{model}/hamiltonian.h5",
    log:
        "logs/{material}/mean_field/learned-{model}/hamiltonian.log",
    benchmark:
        "logs/{material}/mean_field/learned-{model}/hamiltonian.benchmark.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        **asked("mean_field"),
    params:
        sections=learned_sections("learned_hamiltonian"),
    message:
        "{wildcards.material}: real-space blocks by learned Hamiltonian {wildcards.model}"
    script:
        "../scripts/learned_hamiltonian.py"


rule learned_mean_field:
    input:
        system="results/{material}/system.h5",
        model="results/learned/{model}/model.h5",
        hamiltonian=hamiltonian_file,
    output:
        mean_field="results/{material}/mean_field/learned-{model}/twist-{twist}.h5",
    log:
        "logs/{material}/mean_field/learned-{model}/twist-{twist}.log",
    benchmark:
        "logs/{material}/mean_field/learned-{model}/twist-{twist}.benchmark.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        **asked("mean_field"),
    params:
        sections=learned_sections("learned_mean_field"),
    message:
        "{wildcards.material}: mean field at twist {wildcards.twist} by learned Hamiltonian {wildcards.model}"
    script:
        "../scripts/learned_mean_field.py"


rule learned_cards:
    input:
        models=of_every_model("model.h5"),
        errors=of_every_model("errors.csv"),
    output:
        cards=report(
            "results/tables/learned.csv",
            category="Tables",
            labels={"table": "learned Hamiltonians"},
        ),
    log:
        "logs/learned_cards.log",
    benchmark:
        "logs/learned_cards.benchmark.tsv"
    conda:
        "../../environment.yml"
    message:
        "gathering the cards of the learned Hamiltonians"
    script:
        "../scripts/learned_cards.py"


rule learned_figures:
    input:
        trace="results/learned/{model}/trace.h5",
        parity="results/learned/{model}/parity.h5",
        cards="results/tables/learned.csv",
    output:
        learning=report(
            "results/figures/learned/{model}/learning.svg",
            category="Figures",
            labels={"material": "learned", "method": "{model}", "figure": "learning"},
        ),
        learning_png="results/figures/learned/{model}/learning.png",
        parity=report(
            "results/figures/learned/{model}/parity.svg",
            category="Figures",
            labels={"material": "learned", "method": "{model}", "figure": "parity"},
        ),
        parity_png="results/figures/learned/{model}/parity.png",
    log:
        "logs/figures/learned/{model}.log",
    benchmark:
        "logs/figures/learned/{model}.benchmark.tsv"
    conda:
        "../../environment.yml"
    message:
        "{wildcards.model}: drawing training and parity of the learned Hamiltonian"
    script:
        "../scripts/learned_figures.py"


rule learned_sizes_figure:
    input:
        cards="results/tables/learned.csv",
    output:
        svg=report(
            "results/figures/learned/sizes.svg",
            category="Figures",
            labels={"material": "learned", "method": "all", "figure": "sizes"},
        ),
        png="results/figures/learned/sizes.png",
    log:
        "logs/figures/learned/sizes.log",
    benchmark:
        "logs/figures/learned/sizes.benchmark.tsv"
    conda:
        "../../environment.yml"
    message:
        "drawing the errors of learned Hamiltonians over their sizes"
    script:
        "../scripts/learned_sizes_figure.py"
