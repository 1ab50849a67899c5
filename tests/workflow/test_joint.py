"""One network for geometries and sizes: every member is trained, and a stopped run goes on."""

import dataclasses
import os
import signal
from types import SimpleNamespace

import jax
import numpy as np
import pytest

from engine.config import TrainingConfig
from engine.errors import DataError, Interrupted
from engine.io import hdf5
from engine.io.checkpoint import under
from engine.stage import joint as stage
from engine.stage.evaluate import evaluate
from engine.stage.joint import Group, _trained, joint
from engine.stage.pretrain import pretrain
from engine.stage.vmc import vmc
from tests.chain import TINY, inputs, sections


def hydrogen(*places):
    """A row of hydrogen atoms, bohr."""
    positions = [[0.0, 0.0, z] for z in places]
    atoms = {"kind": "atoms", "species": ["H"] * len(places), "positions_bohr": positions}
    return {"structure": atoms, "mean_field": {"basis": "sto-3g"}}


METHOD = TINY | {
    "ansatz": TINY["ansatz"] | {"name": "transferable"},
    "sampler": {"walkers": 16, "moves": 2, "equilibration": 2},
    "optimizer": {"name": "spring"},
    "pretrain": {"steps": 0},
}
MEMBERS = {
    "short": hydrogen(0, 1.4),
    "stretched": hydrogen(0, 1.8),
    "double": hydrogen(0, 1.6, 3.6, 5.2),
}
STEPS, STOP = 12, 7


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    """Programs are compiled once, as in a campaign."""
    before = jax.config.jax_compilation_cache_dir
    jax.config.update("jax_compilation_cache_dir", str(tmp_path_factory.mktemp("cache")))
    yield
    jax.config.update("jax_compilation_cache_dir", before)


@pytest.fixture(scope="module")
def group(tmp_path_factory):
    """The pretrained members of a group and its configuration."""
    folder = tmp_path_factory.mktemp("group")
    members, files = [], {"systems": [], "mean_fields": [], "starts": []}
    for k, (name, material) in enumerate(MEMBERS.items()):
        run = sections(material, METHOD)
        run["material"] = "double" if name == "double" else "single"  # one material, two geometries
        run["twist"] = run["twist"] | {"index": k}
        (folder / name).mkdir()
        paths = inputs(folder / name, run)
        start = folder / name / "pretrained.h5"
        fit = {"trace": folder / name / "fit.h5", "state_dir": folder / name / "fit-state"}
        pretrain(run, **paths, checkpoint=start, **fit)
        members.append(run)
        for key, path in zip(files, (*paths.values(), start), strict=True):
            files[key].append(path)
    shared = {"group": "test", "seed": 5, "members": members}
    return shared | {"vmc": TINY["vmc"] | {"steps": STEPS}}, files


def train(folder, group):
    content, files = group
    out = {"checkpoint": folder / "checkpoint.h5", "trace": folder / "trace.h5"}
    joint(content, **files, **out, state_dir=folder / "state")
    return {name: hdf5.read(path, name) for name, path in out.items()}


@pytest.fixture(scope="module")
def trained(group, tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    return folder, train(folder, group)


def test_every_round_draws_each_member_once_and_moves_the_common_parameters(group, trained):
    trace, state = (trained[1][name].data for name in ("trace", "checkpoint"))
    rounds = trace["member"].reshape(-1, len(MEMBERS))
    assert (np.sort(rounds, axis=1) == np.arange(len(MEMBERS))).all()
    assert len({tuple(row) for row in rounds}) > 1
    assert state["step"] == STEPS
    before = under("params", hdf5.read(group[1]["starts"][0], "checkpoint").data)
    after = under("params", state)
    assert before.keys() == after.keys()
    assert all(np.any(after[name] != value) for name, value in before.items())
    particles = [state[f"sampler/{k}/walkers"].shape[1] for k in range(len(MEMBERS))]
    assert particles == [2, 2, 4]
    energy = [trace["energy_ha"][trace["member"] == k].mean() for k in range(len(MEMBERS))]
    assert energy[2] < 1.5 * energy[0]  # two molecules hold twice the energy of one


def test_the_common_training_ends_when_no_member_gains(group):
    """Of a member with few steps nothing is known."""
    jobs = [SimpleNamespace(n_cells=1) for _ in group[0]["members"]]
    columns = {
        "member": np.tile(range(len(jobs)), 100),
        "energy_ha": np.random.default_rng(0).normal(-1, 1e-4, 100 * len(jobs)),
    }
    options = TrainingConfig(min_steps=100, accuracy_ha_per_cell=1e-3)
    made = Group("joint test", "", tuple(jobs), (0,))
    assert _trained(made, columns, 300, options).startswith("all members converged")
    assert _trained(made, columns, 300, dataclasses.replace(options, min_steps=None)) == ""
    assert _trained(made, columns, 300, dataclasses.replace(options, min_steps=101)) == ""
    short = {name: x[: 2 * len(jobs)] for name, x in columns.items()}
    assert _trained(made, short, 2 * len(jobs), dataclasses.replace(options, min_steps=1)) == ""


def test_weights_are_in_the_unit_of_each_member(monkeypatch, group, trained):
    """Of a gas that is its plasma frequency (`tests/exact/test_standing_waves.py`)."""
    seen = []
    plain = stage.batch_of
    monkeypatch.setattr(stage, "batch_of", lambda *a: seen.append(a[0]) or plain(*a))
    made = stage.load_group(group[0], *(group[1][k] for k in ("systems", "mean_fields", "starts")))
    stage.make_iteration(made, *stage._started(made, group[1]["starts"]))
    assert [job.name for job in seen] == [made.jobs[k].name for k in (0, 2)]
    gas = SimpleNamespace(system=SimpleNamespace(frequency=0.25), dtype=np.float32, reference=None)
    weights = plain(gas, None, (np.ones(2), np.full(2, 3.0)))[1:3]
    assert [w.tolist() for w in weights] == [[4, 4], [12, 12]]


def test_a_stopped_group_goes_on_bit_for_bit(group, trained, tmp_path, monkeypatch):
    draw = Group.member

    def stopped(self, step):
        if step == STOP:
            os.kill(os.getpid(), signal.SIGTERM)
        return draw(self, step)

    with monkeypatch.context() as patch:
        patch.setattr(Group, "member", stopped)
        with pytest.raises(Interrupted, match=f"after step {STOP + 1} of {STEPS}"):
            train(tmp_path, group)
    resumed = train(tmp_path, group)
    for kind, record in trained[1].items():
        found = resumed[kind].data
        assert found.keys() == record.data.keys()
        for name in found.keys() - {"seconds"}:
            np.testing.assert_array_equal(found[name], record.data[name], err_msg=name)


def test_a_member_gets_the_common_network_its_own_walkers_and_its_share_of_the_cost(
    group, trained, tmp_path
):
    content, files = group
    k = list(MEMBERS).index("double")
    run = content["members"][k] | {"joint": {"group": "test", "member": k}}
    run["vmc"] = run["vmc"] | {"steps": 0}
    paths = {"system": files["systems"][k], "mean_field": files["mean_fields"][k]}
    out = {"checkpoint": tmp_path / "checkpoint.h5", "trace": tmp_path / "trace.h5"}
    start, common = (trained[0] / f"{name}.h5" for name in ("checkpoint", "trace"))
    vmc(run, **paths, start=start, joint_trace=common, **out, state_dir=tmp_path / "state")
    state, trace = (hdf5.read(path, kind) for kind, path in out.items())
    shared, rows = trained[1]["checkpoint"].data, trained[1]["trace"].data
    for name, value in under("params", shared).items():
        np.testing.assert_array_equal(state.data[f"params/{name}"], value)
    np.testing.assert_array_equal(state.data["sampler/walkers"], shared[f"sampler/{k}/walkers"])
    np.testing.assert_array_equal(trace.data["energy_ha"], rows["energy_ha"][rows["member"] == k])
    assert "member" not in trace.data
    np.testing.assert_array_equal(trace.data["step"], np.arange(1, STEPS // len(MEMBERS) + 1))
    assert 0 < trace.attributes["group_share"] < 1
    result = {"result": tmp_path / "result.h5", "blocks": tmp_path / "blocks.h5"}
    inputs_ = paths | {"checkpoint": out["checkpoint"]}
    evaluate(run, **inputs_, **result, state_dir=tmp_path / "evaluate-state")
    assert hdf5.read(result["result"], "energy").attributes["energy_ha"] < -1.5


def test_members_with_other_parameters_are_refused(group, tmp_path):
    content, files = group
    members = [*content["members"]]
    members[2] = members[2] | {"ansatz": members[2]["ansatz"] | {"width": 4}}
    start = tmp_path / "pretrained.h5"
    paths = {"system": files["systems"][2], "mean_field": files["mean_fields"][2]}
    fit = {"trace": tmp_path / "fit.h5", "state_dir": tmp_path / "fit-state"}
    pretrain(members[2], **paths, checkpoint=start, **fit)
    changed = files | {"starts": [*files["starts"][:2], start]}
    with pytest.raises(DataError, match="not those of the other members"):
        train(tmp_path, (content | {"members": members}, changed))


def test_snakemake_trains_a_group_from_the_network_of_another_material(project):
    project.edit("methods/net.yaml", "ferminet", "transferable")
    far = (project.folder / "materials/h2.yaml").read_text().replace("1.4", "1.6")
    (project.folder / "materials/far.yaml").write_text(far)
    group = "joint:\n  all: {method: net, materials: [far], steps: 2, transfer_from: h2}\n"
    project.edit("campaign.yaml", "runs:", f"{group}runs:\n  far: [net]")
    done = project.snakemake("results/far/net/twist-000/vmc/checkpoint.h5")
    assert done.returncode == 0, done.stdout + done.stderr
    before, began, after = (
        under("params", hdf5.read(project.folder / f"results/{path}.h5", "checkpoint").data)
        for path in (
            "h2/net/twist-000/vmc/checkpoint",
            "far/net/twist-000/pretrain/checkpoint",
            "far/net/twist-000/vmc/checkpoint",
        )
    )
    assert before.keys() == began.keys() == after.keys()
    assert all(np.array_equal(began[name], value) for name, value in before.items())
    assert any(np.any(after[name] != value) for name, value in before.items())
    trace = hdf5.read(project.folder / "results/far/net/twist-000/vmc/trace.h5", "trace")
    assert len(trace.data["energy_ha"]) == 2
