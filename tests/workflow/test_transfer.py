"""Training that ends by itself; trained networks that other twists and geometries start from."""

import jax
import numpy as np
import pytest

from engine.io import attempt, hdf5
from engine.io.checkpoint import under
from engine.stage.job import load
from engine.stage.pretrain import pretrain
from engine.stage.vmc import vmc
from tests.chain import TINY, inputs, sections

CRYSTAL = {
    "structure": {
        "kind": "atoms",
        "species": ["H", "H"],
        "positions_bohr": [[0, 0, 0], [0, 0, 1.4]],
        "lattice_bohr": [[4, 0, 0], [0, 4, 0], [0, 1, 5]],
    },
    "mean_field": {"basis": "sto-3g"},
}
CALM = {"steps": 300, "min_steps": 100, "accuracy_ha_per_cell": 10.0, "checkpoint_steps": 50}
METHOD = TINY | {"optimizer": {"name": "adam", "learning_rate": 1e-3}, "vmc": CALM}


def run_of(twist):
    return sections(CRYSTAL, METHOD, twist, "complex")


def train(folder, run, files):
    """Runs vmc in `folder`, whose saved states it finds."""
    out = {"checkpoint": folder / "checkpoint.h5", "trace": folder / "trace.h5"}
    start = folder / "pretrained.h5"
    vmc(run, **files, start=start, **out, state_dir=folder / "vmc-state")
    return hdf5.read(out["checkpoint"], "checkpoint")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A network trained at zero twist, and its folder."""
    folder = tmp_path_factory.mktemp("first")
    run = run_of((0.0, 0.0, 0.0))
    files = inputs(folder, run)
    out = {"checkpoint": folder / "pretrained.h5", "trace": folder / "fit.h5"}
    pretrain(run, **files, **out, state_dir=folder / "pretrain-state")
    return folder, run, files, train(folder, run, files)


def test_training_ends_at_the_first_save_that_gains_nothing_and_says_why(trained):
    folder, run, files, first = trained
    assert first.data["step"] == CALM["min_steps"]
    trace = hdf5.read(folder / "trace.h5", "trace")
    assert len(trace.data["energy_ha"]) == CALM["min_steps"]
    assert trace.attributes["stopped"].startswith("converged: the second half of the steps gained")
    again = train(folder, run, files)  # its outputs lost, made from the last state
    assert attempt.read(folder / "vmc-state")[-1].first_step == CALM["min_steps"]
    assert first.data.keys() == again.data.keys()
    for name, value in first.data.items():
        np.testing.assert_array_equal(again.data[name], value, err_msg=name)


def test_a_later_twist_starts_from_the_trained_network_and_fits_nothing(trained, tmp_path):
    _, _, _, first = trained
    run = run_of((0.25, 0.0, 0.5))
    run["pretrain"] = run["pretrain"] | {"steps": 0}
    files = inputs(tmp_path, run)
    out = {"checkpoint": tmp_path / "pretrained.h5", "trace": tmp_path / "fit.h5"}
    start = trained[0] / "checkpoint.h5"
    pretrain(run, **files, **out, state_dir=tmp_path / "pretrain-state", start=start)
    moved = hdf5.read(out["checkpoint"], "checkpoint")
    wanted, found = under("params", first.data), under("params", moved.data)
    assert wanted.keys() == found.keys()
    for name, value in wanted.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)
    after = under("params", train(tmp_path, run, files).data)
    assert any(not np.array_equal(after[name], value) for name, value in wanted.items())


def test_another_geometry_starts_from_the_trained_network_with_its_own_walkers(trained, tmp_path):
    _, _, _, first = trained
    wider = CRYSTAL["structure"] | {"lattice_bohr": [[4.4, 0, 0], [0, 4.4, 0], [0, 1, 5.5]]}
    run = sections(CRYSTAL | {"structure": wider}, METHOD, (0.0, 0.0, 0.0), "complex")
    run["pretrain"] = run["pretrain"] | {"steps": 0}
    run["transfer_from"] = "other"
    run["sampler"] = run["sampler"] | {"walkers": 2 * run["sampler"]["walkers"]}
    files = inputs(tmp_path, run)
    out = {"checkpoint": tmp_path / "pretrained.h5", "trace": tmp_path / "fit.h5"}
    start = trained[0] / "checkpoint.h5"
    pretrain(run, **files, **out, state_dir=tmp_path / "pretrain-state", start=start)
    moved = hdf5.read(out["checkpoint"], "checkpoint")
    for name, value in under("params", first.data).items():
        np.testing.assert_array_equal(under("params", moved.data)[name], value, err_msg=name)
    assert len(moved.data["sampler/walkers"]) == run["sampler"]["walkers"]
    trace = train(tmp_path, run, files)
    assert np.isfinite(under("params", trace.data)[name]).all()


def test_pretraining_without_steps_hands_on_the_initial_walkers(tmp_path):
    run = sections(CRYSTAL, METHOD | {"pretrain": {"steps": 0}}, (0.0, 0.0, 0.0), "complex")
    files = inputs(tmp_path, run)
    out = {"checkpoint": tmp_path / "pretrained.h5", "trace": tmp_path / "fit.h5"}
    pretrain(run, **files, **out, state_dir=tmp_path / "pretrain-state")
    _, initial = load("pretrain", run, **files, start=None).fresh()
    found = under("sampler", hdf5.read(out["checkpoint"], "checkpoint").data)
    np.testing.assert_array_equal(found["walkers"], initial.walkers)


NETWORK = {"name": "transferable", "layers": 1, "width": 8, "pair_width": 4, "determinants": 2}
CHAIN = CRYSTAL | {
    "structure": CRYSTAL["structure"] | {"lattice_bohr": np.diag([8, 8, 2.8]).tolist()}
}
LONGER = CHAIN | {"supercell": [1, 1, 2]}
MAGNETIC = LONGER | {
    "mean_field": {"basis": "sto-3g", "method": "uhf", "magnetic_moments": [1, -1]}
}


@pytest.mark.parametrize(("material", "broken"), [(LONGER, False), (MAGNETIC, True)])
def test_a_transferable_network_goes_to_a_larger_cell(tmp_path, material, broken):
    """Weights of determinants with spins exchanged, which the smaller cell has not, start anew."""
    method = METHOD | {"ansatz": NETWORK, "pretrain": {"steps": 0}}
    found = {}
    for name, what in (("small", CHAIN), ("large", material)):
        run = sections(what, method, (0.0, 0.0, 0.0), "complex")
        folder = tmp_path / name
        folder.mkdir()
        out = {"checkpoint": folder / "pretrained.h5", "trace": folder / "fit.h5"}
        start = {}
        if name == "large":
            run["transfer_from"] = "other"
            start = {"start": tmp_path / "small/pretrained.h5"}
        files = inputs(folder, run)
        pretrain(run, **files, **out, state_dir=folder / "pretrain-state", **start)
        found[name] = hdf5.read(out["checkpoint"], "checkpoint").data
    small, large = (under("params", found[name]) for name in ("small", "large"))
    assert found["large"]["sampler/walkers"].shape[1] == 4
    for name, value in small.items():
        np.testing.assert_array_equal(large[name], value, err_msg=name)
    assert large.keys() - small.keys() == ({"head/exchange"} if broken else set())


def test_what_is_read_from_a_file_has_the_shapes_of_what_is_made(trained):
    folder, run, files, _ = trained
    job = load("vmc", run, **files, start=None)
    made, shapes = job.fresh(), job.template()
    assert jax.tree.structure(made) == jax.tree.structure(shapes)
    for one, other in zip(jax.tree.leaves(made), jax.tree.leaves(shapes), strict=True):
        assert (one.shape, one.dtype) == (other.shape, other.dtype)
