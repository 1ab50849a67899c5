rule structure:
    input:
        structure_file,
    output:
        system="results/{material}/system.h5",
        structure="results/{material}/structure.extxyz",
    log:
        "logs/{material}/structure.log",
    benchmark:
        "logs/{material}/structure.benchmark.tsv"
    conda:
        "../../environment.yml"
    params:
        sections=sections("structure"),
    message:
        "{wildcards.material}: building the simulation cell"
    script:
        "../scripts/structure.py"
