# What jobs ask of a cluster. Without the site file of profiles/slurm nothing is asked.

from dataclasses import replace
from pathlib import Path

from engine.cluster.resources import Size, model_resources, resources
from engine.cluster.site import WHERE, read_site
from engine.cluster.slurm import check_site, settle

WITHOUT_JOBS = ("-n", "--dry-run", "--dryrun", "--unlock", "--summary", "--lint", "--touch", "--dag")


def chosen_site():
    """Returns the cluster, or None where none is given; asks SLURM before anything starts."""
    if "site" not in config:
        return None
    site = read_site(config["site"])
    if workflow.is_main_process:
        check_site(site, WHERE)
        if not any(argument.startswith(WITHOUT_JOBS) for argument in sys.argv[1:]):
            settle(Path.cwd(), lambda text: print(f"psilattice: {text}", file=sys.stderr))
    return site


try:
    SITE = chosen_site()
except PsilatticeError as error:
    raise WorkflowError(str(error)) from None


def asked(stage):
    """Returns the resources of a rule by name, each a function of wildcards and attempt."""
    names = RESOURCES if SITE else ()
    return {"attempt": attempt_number, **{name: one_resource(stage, name) for name in names}}


RESOURCES = (
    "slurm_partition",
    "slurm_account",
    "qos",
    "runtime",
    "mem_mb",
    "cpus_per_task",
    "slurm_extra",
    "nodes",
    "tasks",
    "mpi",
)


def attempt_number(wildcards, attempt):
    return attempt


def group_resources(name, attempt):
    """Returns what the common training of a group asks for: that of its largest member."""
    group = CAMPAIGN.groups[name]
    facts = max(map(CAMPAIGN.material, group.config.materials), key=lambda facts: facts.electrons)
    options = CAMPAIGN.method(facts.name, group.config.method)
    options = replace(options, vmc=options.vmc.limited(group.steps(CAMPAIGN)))
    size = Size(facts.electrons, facts.n_atoms, facts.n_cells, facts.periodic)
    return resources("vmc", size, SITE, attempt, options)


def one_resource(stage, name):
    def resolve(wildcards, attempt):
        if "group" in wildcards.keys():
            return group_resources(wildcards.group, attempt).get(name)
        if "material" not in wildcards.keys():
            return model_resources(stage, SITE, attempt).get(name)
        facts = CAMPAIGN.material(wildcards.material)
        size = Size(facts.electrons, facts.n_atoms, facts.n_cells, facts.periodic)
        method = wildcards.get("method")
        options = CAMPAIGN.method(wildcards.material, method) if method else None
        return resources(stage, size, SITE, attempt, options).get(name)

    return resolve
