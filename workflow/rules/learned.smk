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
