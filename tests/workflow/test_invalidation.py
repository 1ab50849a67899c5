"""What an edit repeats: exactly the stages that depend on it, of the materials that do."""

TRAINING = ("pretrain", "vmc", "evaluate", "twist_average")
CAMPAIGN = {("tables", ""), ("literature_figure", ""), ("report", "")}
H2_FIGURES = {("training_figure", "h2")}
CHAIN_FIGURES = {("twist_figure", "chain")}


def h2(*rules):
    return {(rule, "h2") for rule in rules} | H2_FIGURES | CAMPAIGN


def chain(*rules):
    return {(rule, "chain") for rule in rules} | CHAIN_FIGURES | CAMPAIGN


def test_a_complete_run_repeats_nothing(finished):
    assert finished.plan() == set()


def test_a_comment_and_the_order_of_keys_repeat_nothing(finished):
    finished.edit("materials/h2.yaml", "structure:", "# a remark\nstructure:")
    finished.edit("methods/net.yaml", "layers: 1, width: 8", "width: 8, layers: 1")
    assert finished.plan() == set()


def test_a_default_written_out_repeats_nothing(finished):
    finished.edit("methods/net.yaml", "vmc:\n", "vmc:\n  checkpoint_steps: 200\n")
    assert not {rule for rule, _ in finished.plan()} & {"vmc", "evaluate", "twist_average"}


def test_a_number_of_the_vmc_section_repeats_vmc_and_what_follows(finished):
    finished.edit("methods/net.yaml", "steps: 4", "steps: 5")
    assert finished.plan() == h2("vmc", "evaluate", "twist_average")


def test_a_number_of_the_pretrain_section_repeats_all_training(finished):
    finished.edit("methods/net.yaml", "pretrain: {steps: 3}", "pretrain: {steps: 4}")
    assert finished.plan() == h2(*TRAINING)


def test_a_number_of_the_sampler_repeats_all_that_samples(finished):
    finished.edit("methods/net.yaml", "walkers: 16", "walkers: 18")
    assert finished.plan() == h2(*TRAINING)


def test_a_number_of_the_ansatz_repeats_all_training(finished):
    finished.edit("methods/net.yaml", "width: 8", "width: 12")
    assert finished.plan() == h2(*TRAINING)


def test_a_number_of_the_hamiltonian_repeats_what_has_local_energies(finished):
    finished.edit("methods/net.yaml", "vmc:\n", "hamiltonian: {chunk: 8}\nvmc:\n")
    assert finished.plan() == h2("vmc", "evaluate", "twist_average")


def test_a_number_of_the_evaluate_section_repeats_the_evaluation(finished):
    finished.edit("methods/net.yaml", "max_steps: 10", "max_steps: 11")
    assert finished.plan() == h2("evaluate", "twist_average")


def test_an_override_repeats_the_material_it_stands_in(finished):
    text = "literature:"
    finished.edit(
        "materials/h2.yaml", text, f"overrides:\n  net:\n    vmc:\n      steps: 6\n{text}"
    )
    assert finished.plan() == h2("vmc", "evaluate", "twist_average")


def test_an_override_of_another_method_repeats_no_calculation(finished):
    finished.edit(
        "materials/h2.yaml", "literature:", "overrides: {bare: {precision: float32}}\nliterature:"
    )
    assert finished.plan() <= {("report", "")}


def test_a_number_of_the_structure_repeats_the_whole_material(finished):
    finished.edit("materials/h2.yaml", "[0.7,", "[0.8,")
    assert finished.plan() == h2("structure", "mean_field", *TRAINING)


def test_a_basis_repeats_the_mean_field_and_what_follows(finished):
    finished.edit("materials/chain.yaml", "sto-3g", "6-31g")
    assert finished.plan() == chain("mean_field", "zone", *TRAINING)


def test_a_finer_zone_repeats_the_average_alone(finished):
    finished.edit("materials/chain.yaml", "zone: [4, 1, 1]", "zone: [6, 1, 1]")
    assert finished.plan() == chain("zone", "twist_average", "twist_figure")


def test_a_literature_value_repeats_the_comparison_alone(finished):
    finished.edit("materials/h2.yaml", "-1.1744757", "-1.1744758")
    assert finished.plan() == h2("twist_average")


def test_a_new_twist_grid_repeats_what_it_must(finished):
    finished.edit(
        "materials/chain.yaml", "grid: [2, 1, 1]", "grid: [2, 1, 1]\n  shift: [0.5, 0, 0]"
    )
    # +1/4 and -1/4 fold onto each other: one twist, and nothing to draw over twists.
    assert finished.plan() == chain("mean_field", *TRAINING) - CHAIN_FIGURES


def test_a_finer_twist_grid_keeps_gamma(finished):
    finished.edit("materials/chain.yaml", "grid: [2, 1, 1]", "grid: [4, 1, 1]")
    planned = finished.snakemake("-n")
    jobs = planned.stdout + planned.stderr
    assert "chain: mean field at twist 001" in jobs  # Gamma, 1/4, 1/2: the second one has moved
    assert "chain: mean field at twist 002" in jobs
    assert "chain: mean field at twist 000" not in jobs
    assert "chain bare: averaging over twists" in jobs
    assert "h2" not in jobs.split("Job stats")[-1].split("Reasons")[0]


def test_a_seed_repeats_everything_random(finished):
    finished.edit("campaign.yaml", "seed: 3", "seed: 4")
    assert finished.plan() == h2(*TRAINING) | chain(*TRAINING)


def test_a_new_material_runs_alone(finished):
    finished.write(
        "materials/he.yaml", "structure: {kind: atoms, species: [He], positions_bohr: [[0, 0, 0]]}"
    )
    finished.edit("campaign.yaml", "  chain:", "  he: [bare]\n  chain:")
    planned = finished.plan()
    assert {m for _, m in planned} == {"he", ""}


def test_a_target_runs_one_material(project):
    assert {m for _, m in project.plan("h2")} == {"h2"}


def test_a_stage_target_stops_there(project):
    assert project.plan("mean_fields") == {
        (r, m) for r in ("structure", "mean_field") for m in ("h2", "chain")
    }
