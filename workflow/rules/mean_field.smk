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
