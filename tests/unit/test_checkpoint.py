"""Checkpoints: whole, ordered, fingerprinted, atomic."""

import errno
import os

import h5py
import jax.numpy as jnp
import numpy as np
import pytest

from engine.errors import DataError
from engine.io import checkpoint, hdf5
from engine.sampler.metropolis import MetropolisState

TREE = (
    {"Dense_0": {"kernel": jnp.ones((2, 3), jnp.float32)}},
    MetropolisState(jnp.zeros((4, 2, 3)), jnp.asarray(0.3, jnp.float32)),
)


def test_tree_round_trip_keeps_values_and_types():
    back = checkpoint.unflatten(TREE, checkpoint.flatten(TREE))
    assert back[0]["Dense_0"]["kernel"].dtype == jnp.float32
    np.testing.assert_array_equal(back[1].walkers, TREE[1].walkers)


def test_missing_or_reshaped_leaf_is_refused():
    data = checkpoint.flatten(TREE)
    name = next(n for n in data if "kernel" in n)
    with pytest.raises(DataError, match=r"expected: shape \(2, 3\)"):
        checkpoint.unflatten(TREE, data | {name: np.ones(5)}, where="x.h5")
    del data[name]
    with pytest.raises(DataError, match="nothing"):
        checkpoint.unflatten(TREE, data, where="x.h5")


def test_newest_state_by_number_not_by_text(tmp_path):
    for step in (999_999_999, 1_000_000_000):
        checkpoint.save_state(tmp_path, step, {"x": step}, "f")
    step, data = checkpoint.load_state(tmp_path, "f")
    assert step == data["x"] == 1_000_000_000


def test_two_states_are_kept_and_a_damaged_one_is_skipped(tmp_path, caplog):
    for step in (1, 2, 3):
        checkpoint.save_state(tmp_path, step, {"x": np.full(100, step)}, "f")
    assert len(list(tmp_path.iterdir())) == 2
    newest = tmp_path / "step-000000003.h5"
    newest.write_bytes(newest.read_bytes()[:-500])
    step, data = checkpoint.load_state(tmp_path, "f")
    assert step == 2 and data["x"][0] == 2
    assert "skipped" in caplog.text and newest.with_suffix(".damaged").exists()


def test_new_states_survive_where_all_old_ones_are_damaged(tmp_path):
    for step in (1800, 2000):
        path = checkpoint.save_state(tmp_path, step, {"x": step}, "f")
        path.write_bytes(b"torn")
    assert checkpoint.load_state(tmp_path, "f") is None
    checkpoint.save_state(tmp_path, 200, {"x": 200}, "f")
    assert checkpoint.load_state(tmp_path, "f")[0] == 200


def test_bit_flip_is_detected(tmp_path):
    path = checkpoint.save_state(tmp_path, 5, {"x": np.full(100, 1.25)}, "f")
    content = bytearray(path.read_bytes())
    at = content.find(np.float64(1.25).tobytes())
    content[at + 3] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(DataError, match="checksum"):
        hdf5.read(path, "state")
    assert checkpoint.load_state(tmp_path, "f") is None


@pytest.mark.parametrize("old, new", [(b"-1.17449", b"-1.97449"), (b"-1.17449", b"\0" * 8)])
def test_numbers_that_a_file_says_of_itself_are_sealed(tmp_path, old, new):
    """Tables take energies from the attributes, which are no datasets."""
    path = tmp_path / "result.h5"
    facts = {"energy_ha": -1.17449}
    hdf5.write(path, "energy", {"x": np.ones(3)}, fingerprint="f", attributes=facts)
    assert hdf5.read(path, "energy").attributes == facts
    content = path.read_bytes()
    assert content.count(old) == 1
    path.write_bytes(content.replace(old, new))
    with pytest.raises(DataError, match=r"result\.h5.*checksum"):
        hdf5.read(path, "energy")


def test_a_file_without_a_seal_is_one_of_an_earlier_version(tmp_path):
    path = tmp_path / "state.h5"
    hdf5.write(path, "state", {"x": np.ones(3)}, fingerprint="f", attributes={"a": 1})
    with h5py.File(path, "a") as file:
        del file.attrs["seal"]
    assert hdf5.read(path, "state").attributes == {"a": 1}


def test_a_file_system_without_locks_is_named(tmp_path, monkeypatch):
    def unsupported(file, operation):
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    monkeypatch.setattr(checkpoint.fcntl, "flock", unsupported)
    with pytest.raises(DataError, match="cannot be locked: Operation not supported"):
        with checkpoint.locked(tmp_path / "state"):
            pass


def test_state_of_other_settings_is_moved_aside(tmp_path, caplog):
    folder = tmp_path / "state"
    checkpoint.save_state(folder, 5, {"x": 1}, "old")
    assert checkpoint.load_state(folder, "new") is None
    assert (tmp_path / "state.stale-1" / "step-000000005.h5").exists() and not folder.exists()
    assert "moved" in caplog.text


def test_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.h5"
    hdf5.write(path, "state", {"x": 1}, fingerprint="f")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DataError, match="No space left"):
        hdf5.write(path, "state", {"x": 2}, fingerprint="f")
    assert hdf5.read(path, "state").data["x"] == 1
    assert [p.name for p in tmp_path.iterdir()] == ["a.h5"]


@pytest.mark.parametrize(("kind", "text"), [("system", "kind 'state'"), ("state", "no such file")])
def test_wrong_kind_and_missing_file(tmp_path, kind, text):
    path = tmp_path / "a.h5"
    if kind == "system":
        hdf5.write(path, "state", {"x": 1}, fingerprint="f")
    with pytest.raises(DataError, match=text):
        hdf5.read(path, kind)
