# Names to ask for beside `all`: one stage of everything, or one material.


rule structures:
    input:
        expand("results/{material}/system.h5", material=CAMPAIGN.runs),


rule mean_fields:
    input:
        every("results/{material}/mean_field/scf/twist-{twist}.h5"),


rule pretrained:
    input:
        every(f"{TWIST}/pretrain/checkpoint.h5"),


rule trained:
    input:
        every(f"{TWIST}/vmc/checkpoint.h5"),


rule evaluated:
    input:
        every(f"{TWIST}/evaluate/result.h5"),


rule energies:
    input:
        per_run("results/{material}/{method}/energy.csv"),


rule figures:
    input:
        campaign_figures,


for material in CAMPAIGN.runs:

    rule:
        name:
            material
        input:
            per_run("results/{material}/{method}/energy.csv", runs_of(material)),
            material_figures(material),
