# Loads and checks the campaign; functions that name inputs and parameters. No rules, no physics.
#
# This file is parsed again for every job: materials are read when a function asks for them,
# all of them only in the main process, which refuses bad input before the first job.

import os
import sys

from snakemake.exceptions import WorkflowError

sys.path.insert(0, workflow.basedir)

from engine.campaign import load
from engine.errors import PsilatticeError

os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", os.path.abspath("results/.jax-cache"))

CAMPAIGN_FILE = config.get("campaign", "campaign.yaml")


def check_mean_fields():
    """Asks PySCF for the basis sets and functionals of all materials, and for their sizes."""
    # A second; not for every job.
    from engine.mean_field.basis_sets import basis_size, check_options, check_orbitals

    for facts in map(CAMPAIGN.material, CAMPAIGN.materials()):
        check_options(
            facts.config.mean_field,
            facts.symbols,
            f"{facts.path}, key 'mean_field'",
            facts.config.pseudopotentials,
        )
        check_orbitals(
            facts.config.mean_field,
            facts.symbols,
            facts.n_cells,
            facts.most_of_one_spin,
            f"{facts.path}, key 'mean_field'",
        )
        methods = CAMPAIGN.runs.get(facts.name, ())
        if any(CAMPAIGN.space(facts.name, method) == "fock" for method in methods):
            size = basis_size(facts.config.mean_field.basis, facts.symbols)
            CAMPAIGN.check_size(facts.name, size)


try:
    CAMPAIGN = load(CAMPAIGN_FILE)
    if workflow.is_main_process:
        CAMPAIGN.check()
        check_mean_fields()
except PsilatticeError as error:
    raise WorkflowError(str(error)) from None

RUNS = [(material, method) for material, methods in CAMPAIGN.runs.items() for method in methods]
TWIST = "results/{material}/{method}/twist-{twist}"


# --- parameters


def sections(stage):
    """Returns the function that gives a job of `stage` its configuration."""

    def resolve(wildcards):
        method, twist = wildcards.get("method"), wildcards.get("twist")
        return CAMPAIGN.sections(stage, wildcards.material, method, None if twist is None else int(twist))

    return resolve


def learned_sections(stage):
    """Returns the function that gives a job of a learned Hamiltonian its configuration."""

    def resolve(wildcards):
        twist = wildcards.get("twist")
        number = None if twist is None else int(twist)
        return CAMPAIGN.learned_sections(stage, wildcards.model, wildcards.get("material"), number)

    return resolve


def joint_sections(wildcards):
    """Returns the configuration of the common training of a group."""
    return CAMPAIGN.joint_sections(wildcards.group)


def run_summaries(wildcards):
    """Returns what the report says about each run beside its numbers."""
    return CAMPAIGN.summary()


# --- lists of files


def twists_of(material):
    """Returns the three digits of each twist of a material."""
    return [f"{twist.index:03d}" for twist in CAMPAIGN.twists(material)]


def per_twist(pattern, runs):
    """Returns one path per material, method and twist."""
    return [
        pattern.format(material=material, method=method, twist=twist)
        for material, method in runs
        for twist in twists_of(material)
    ]


def per_run(pattern, runs=RUNS):
    """Returns one path per material and method."""
    return [pattern.format(material=material, method=method) for material, method in runs]


def figures_of(runs):
    """Returns the figures of runs: training, twists where there are several, observables."""
    trained = [run for run in runs if CAMPAIGN.method(*run).vmc.steps > 0]
    twisted = [run for run in runs if len(twists_of(run[0])) > 1]
    real = [run for run in runs if CAMPAIGN.space(*run) == "real"]
    measured = [run for run in real if CAMPAIGN.method(*run).evaluate.observables]
    return [
        *per_run("results/figures/{material}/{method}/training.svg", trained),
        *per_run("results/figures/{material}/{method}/twists.svg", twisted),
        *per_run("results/figures/{material}/{method}/observables.svg", measured),
    ]


def fock_runs():
    """Returns the runs in second quantisation."""
    return [run for run in RUNS if CAMPAIGN.space(*run) == "fock"]


def runs_of(material):
    return [run for run in RUNS if run[0] == material]


# --- input functions


def structure_file(wildcards):
    """Returns the CIF, POSCAR or extxyz file of a material that has one."""
    return CAMPAIGN.material(wildcards.material).structure_file


def mean_field_file(wildcards):
    """Returns the mean field a method refers to."""
    reference = CAMPAIGN.method(wildcards.material, wildcards.method).reference
    return f"results/{wildcards.material}/mean_field/{reference}/twist-{wildcards.twist}.h5"


def label_files(wildcards):
    """Returns the labelled sets of a learned Hamiltonian, its own or those it shares."""
    labels = CAMPAIGN.learned(wildcards.model).labels
    return expand(
        "results/learned/{model}/labels/{material}.h5",
        model=labels.shared_with or wildcards.model,
        material=labels.materials,
    )


def hamiltonian_file(wildcards):
    """Returns H(R) of a crystal, from which the mean fields of all its twists start."""
    if not CAMPAIGN.material(wildcards.material).periodic:
        return []
    return f"results/{wildcards.material}/mean_field/learned-{wildcards.model}/hamiltonian.h5"


def electrons_file(wildcards):
    """Returns what states the electronic problem: the mean field, in Fock space the integrals."""
    if CAMPAIGN.space(wildcards.material, wildcards.method) == "fock":
        run = f"results/{wildcards.material}/{wildcards.method}"
        return f"{run}/twist-{wildcards.twist}/integrals.h5"
    return mean_field_file(wildcards)


def trained_before(wildcards):
    """Returns the trained network a twist starts from, where it starts from one."""
    source = CAMPAIGN.source(wildcards.material, wildcards.method, int(wildcards.twist))
    if source is None:
        return []
    material, twist = source
    return f"results/{material}/{wildcards.method}/twist-{twist:03d}/vmc/checkpoint.h5"


def members(path):
    """Returns the function that gives one file of every member of a group."""

    def resolve(wildcards):
        group = CAMPAIGN.groups[wildcards.group]
        return [
            path.format(material=material, method=group.config.method, twist=f"{twist:03d}")
            for material, twist in group.members(CAMPAIGN)
        ]

    return resolve


def member_mean_fields(wildcards):
    """Returns the mean field of every member of a group."""
    method = CAMPAIGN.groups[wildcards.group].config.method
    materials = CAMPAIGN.groups[wildcards.group].config.materials
    reference = CAMPAIGN.method(materials[0], method).reference
    return members(f"results/{{material}}/mean_field/{reference}/twist-{{twist}}.h5")(wildcards)


def vmc_start(wildcards):
    """Returns the network optimisation starts from: pretrained, or that of the run's group."""
    if group := CAMPAIGN.group_of(wildcards.material, wildcards.method):
        return f"results/joint/{group.name}/checkpoint.h5"
    run = f"results/{wildcards.material}/{wildcards.method}"
    return f"{run}/twist-{wildcards.twist}/pretrain/checkpoint.h5"


def joint_trace(wildcards):
    """Returns the trace of the run's group, where it is in one."""
    group = CAMPAIGN.group_of(wildcards.material, wildcards.method)
    return f"results/joint/{group.name}/trace.h5" if group else []


def all_twists(path):
    """Returns the function that gives one file of every twist of a run."""

    def resolve(wildcards):
        return per_twist(f"{TWIST}/{path}", [(wildcards.material, wildcards.method)])

    return resolve


def every(pattern):
    """Returns the function that gives the files of all runs and twists."""

    def resolve(wildcards):
        return sorted(set(per_twist(pattern, RUNS)))

    return resolve


def zone_files(wildcards):
    """Returns the mean fields of a crystal's finer grid of twists, where it has one."""
    real = CAMPAIGN.space(wildcards.material, wildcards.method) == "real"
    twists = CAMPAIGN.material(wildcards.material).zone if real else ()
    path = f"results/{wildcards.material}/mean_field/zone/twist-{{index:03d}}.h5"
    return [path.format(index=twist.index) for twist in twists]


def contrast_sections(wildcards):
    """Returns the contrasts of the campaign."""
    return CAMPAIGN.contrast_sections()


def contrast_table(wildcards):
    """Returns the table of differences, where the campaign asks for some."""
    return ["results/tables/contrasts.csv"] if CAMPAIGN.contrasts else []


def reference_rows(wildcards):
    """Returns the comparison of every run in second quantisation."""
    return per_run("results/{material}/{method}/references.csv", fock_runs())


def family_sections(*analyses):
    """Returns the function that gives the families of some analyses with their points."""

    def resolve(wildcards):
        return CAMPAIGN.families(*analyses)

    return resolve


FAMILY_TABLES = {
    "methods": "families",
    "size": "sizes",
    "equation-of-state": "equations_of_state",
    "phases": "phases",
}


def family_runs(analysis):
    """Returns the runs that the families of an analysis look at beside the table of energies."""
    points = [point for family in CAMPAIGN.families(analysis) for point in family["points"]]
    return [(p["material"], method) for p in points for method in p.get("methods", ())]


def phase_results(wildcards):
    """Returns the evaluations of electron gases in families of analysis phases."""
    return per_twist(f"{TWIST}/evaluate/result.h5", family_runs("phases"))


def phase_runs(wildcards):
    """Returns what these files are: material, method and weight of each."""
    return [
        [material, method, twist.weight]
        for material, method in family_runs("phases")
        for twist in CAMPAIGN.twists(material)
    ]


def family_table(wildcards):
    """Returns the table that a family is drawn from."""
    analysis = CAMPAIGN.family_sections[wildcards.family].analysis
    return f"results/tables/{FAMILY_TABLES[analysis]}.csv"


def family_section(wildcards):
    """Returns one family."""
    return next(f for f in CAMPAIGN.families() if f["name"] == wildcards.family)


def family_results(wildcards):
    """Returns the evaluations a family is drawn from beside its table: pictures of phases."""
    if CAMPAIGN.family_sections[wildcards.family].analysis != "phases":
        return []
    return phase_results(wildcards)


def family_tables(wildcards):
    """Returns the tables of fitted families, for the report."""
    analyses = {family.analysis for family in CAMPAIGN.family_sections.values()} - {"methods"}
    return [f"results/tables/{FAMILY_TABLES[a]}.csv" for a in FAMILY_TABLES if a in analyses]


def reference_tables(wildcards):
    """Returns the comparison with established methods, where a run is in second quantisation."""
    return ["results/tables/references.csv"] if fock_runs() else []


def of_every_model(name):
    """Returns the function that gives one file of every learned Hamiltonian of the campaign."""

    def resolve(wildcards):
        return [f"results/learned/{model}/{name}" for model in CAMPAIGN.learned_names()]

    return resolve


def learned_table(wildcards):
    """Returns the cards of learned Hamiltonians, where the campaign has some."""
    return ["results/tables/learned.csv"] if CAMPAIGN.learned_names() else []


def learned_figures():
    """Returns the figures of learned Hamiltonians."""
    names = CAMPAIGN.learned_names()
    kinds = ("learning", "parity")
    own = [f"results/figures/learned/{name}/{kind}.svg" for name in names for kind in kinds]
    return [*own, *(["results/figures/learned/sizes.svg"] if len(names) > 1 else [])]


def campaign_figures(wildcards):
    """Returns every figure of the campaign."""
    compared = any(CAMPAIGN.material(m).config.literature for m in CAMPAIGN.runs)
    return [
        *figures_of(RUNS),
        *(["results/figures/literature.svg"] if compared else []),
        *(["results/figures/references.svg"] if fock_runs() else []),
        *[f"results/figures/families/{name}.svg" for name in CAMPAIGN.family_sections],
        *learned_figures(),
    ]


def material_figures(material):
    """Returns the function that gives the figures of one material."""

    def resolve(wildcards):
        return figures_of(runs_of(material))

    return resolve
