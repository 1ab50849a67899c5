rule twist_average:
    input:
        results=all_twists("evaluate/result.h5"),
        pretrain=all_twists("pretrain/trace.h5"),
        vmc=all_twists("vmc/trace.h5"),
        zone=zone_files,
    output:
        energy="results/{material}/{method}/energy.csv",
        twists="results/{material}/{method}/twists.csv",
    log:
        "logs/{material}/{method}/twist_average.log",
    benchmark:
        "logs/{material}/{method}/twist_average.benchmark.tsv"
    conda:
        "../../environment.yml"
    params:
        sections=sections("twist_average"),
    message:
        "{wildcards.material} {wildcards.method}: averaging over twists"
    script:
        "../scripts/twist_average.py"


rule tables:
    input:
        energies=per_run("results/{material}/{method}/energy.csv"),
        twists=per_run("results/{material}/{method}/twists.csv"),
    output:
        energies=report(
            "results/tables/energies.csv",
            category="Tables",
            labels={"table": "energies"},
        ),
        twists=report(
            "results/tables/twists.csv",
            category="Tables",
            labels={"table": "twists"},
        ),
    log:
        "logs/tables.log",
    benchmark:
        "logs/tables.benchmark.tsv"
    conda:
        "../../environment.yml"
    message:
        "collecting the tables of the campaign"
    script:
        "../scripts/tables.py"


rule contrasts:
    input:
        energies="results/tables/energies.csv",
    output:
        contrasts=report(
            "results/tables/contrasts.csv",
            category="Tables",
            labels={"table": "contrasts"},
        ),
    log:
        "logs/contrasts.log",
    benchmark:
        "logs/contrasts.benchmark.tsv"
    conda:
        "../../environment.yml"
    params:
        contrasts=contrast_sections,
    message:
        "taking differences of energies"
    script:
        "../scripts/contrasts.py"


rule report:
    input:
        contrasts=contrast_table,
        references=reference_tables,
        learned=learned_table,
        families=family_tables,
        energies="results/tables/energies.csv",
        twists="results/tables/twists.csv",
        figures=campaign_figures,
        template=f"{workflow.basedir}/workflow/report/report.html.j2",
    output:
        report="results/report.html",
    log:
        "logs/report.log",
    benchmark:
        "logs/report.benchmark.tsv"
    conda:
        "../../environment.yml"
    params:
        runs=run_summaries,
        title=CAMPAIGN.description,
    message:
        "writing the report"
    script:
        "../scripts/report.py"
