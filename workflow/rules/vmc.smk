# Pretraining, variational optimisation (alone or of a group), evaluation. Each keeps its running state in an undeclared
# `state` folder beside its outputs: Snakemake deletes declared outputs before a retry.


rule pretrain:
    input:
        system="results/{material}/system.h5",
        mean_field=electrons_file,
        start=trained_before,
    output:
        checkpoint="results/{material}/{method}/twist-{twist}/pretrain/checkpoint.h5",
        trace="results/{material}/{method}/twist-{twist}/pretrain/trace.h5",
    log:
        "logs/{material}/{method}/twist-{twist}/pretrain.log",
    benchmark:
        "logs/{material}/{method}/twist-{twist}/pretrain.benchmark.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        **asked("pretrain"),
    params:
        sections=sections("pretrain"),
    message:
        "{wildcards.material} {wildcards.method}: pretraining at twist {wildcards.twist}"
    script:
        "../scripts/pretrain.py"


rule joint:
    input:
        systems=members("results/{material}/system.h5"),
        mean_fields=member_mean_fields,
        starts=members(f"{TWIST}/pretrain/checkpoint.h5"),
    output:
        checkpoint="results/joint/{group}/checkpoint.h5",
        trace="results/joint/{group}/trace.h5",
    log:
        "logs/joint/{group}.log",
    benchmark:
        "logs/joint/{group}.benchmark.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        **asked("joint"),
    params:
        sections=joint_sections,
    message:
        "{wildcards.group}: optimising one wavefunction for all members"
    script:
        "../scripts/joint.py"


rule vmc:
    input:
        system="results/{material}/system.h5",
        mean_field=electrons_file,
        start=vmc_start,
        joint_trace=joint_trace,
    output:
        checkpoint="results/{material}/{method}/twist-{twist}/vmc/checkpoint.h5",
        trace="results/{material}/{method}/twist-{twist}/vmc/trace.h5",
    log:
        "logs/{material}/{method}/twist-{twist}/vmc.log",
    benchmark:
        "logs/{material}/{method}/twist-{twist}/vmc.benchmark.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        **asked("vmc"),
    params:
        sections=sections("vmc"),
    message:
        "{wildcards.material} {wildcards.method}: optimising the wavefunction at twist {wildcards.twist}"
    script:
        "../scripts/vmc.py"


rule evaluate:
    input:
        system="results/{material}/system.h5",
        mean_field=electrons_file,
        checkpoint="results/{material}/{method}/twist-{twist}/vmc/checkpoint.h5",
    output:
        result="results/{material}/{method}/twist-{twist}/evaluate/result.h5",
        blocks="results/{material}/{method}/twist-{twist}/evaluate/blocks.h5",
    log:
        "logs/{material}/{method}/twist-{twist}/evaluate.log",
    benchmark:
        "logs/{material}/{method}/twist-{twist}/evaluate.benchmark.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        **asked("evaluate"),
    params:
        sections=sections("evaluate"),
    message:
        "{wildcards.material} {wildcards.method}: evaluating the energy at twist {wildcards.twist}"
    script:
        "../scripts/evaluate.py"
