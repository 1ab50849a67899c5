# The Hamiltonian of methods in second quantisation, for the engine and (FCIDUMP) for other programs.


rule integrals:
    input:
        system="results/{material}/system.h5",
        mean_field=mean_field_file,
    output:
        integrals="results/{material}/{method}/twist-{twist}/integrals.h5",
        fcidump="results/{material}/{method}/twist-{twist}/FCIDUMP",
    log:
        "logs/{material}/{method}/twist-{twist}/integrals.log",
    benchmark:
        "logs/{material}/{method}/twist-{twist}/integrals.benchmark.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        **asked("integrals"),
    params:
        sections=sections("integrals"),
    message:
        "{wildcards.material} {wildcards.method}: integrals at twist {wildcards.twist}"
    script:
        "../scripts/integrals.py"
