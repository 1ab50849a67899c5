"""Files are whole or not there."""

import resource

import numpy as np
import pytest

from engine.errors import DataError
from engine.io import atomic, hdf5


def names(folder):
    return sorted(p.name for p in folder.iterdir())


def test_the_target_appears_whole_in_a_new_folder(tmp_path):
    target = tmp_path / "new" / "file.txt"
    with atomic.replaced(target) as temporary:
        temporary.write_text("all")
        assert not target.exists() and temporary.parent == target.parent
    assert target.read_text() == "all" and names(target.parent) == ["file.txt"]


@pytest.mark.parametrize(
    ("failure", "seen"),
    [(ValueError, ValueError), (KeyboardInterrupt, KeyboardInterrupt)]
    + [(error, DataError) for error in (OSError, RuntimeError)],
)
def test_a_failure_keeps_the_older_file_and_leaves_nothing_else(tmp_path, failure, seen):
    target = tmp_path / "file.txt"
    target.write_text("old")
    with pytest.raises(seen), atomic.replaced(target) as temporary:
        temporary.write_text("half")
        raise failure("no room")
    assert target.read_text() == "old" and names(tmp_path) == ["file.txt"]


def test_what_a_killed_writer_left_is_overwritten(tmp_path):
    with atomic.replaced(tmp_path / "file.txt") as temporary:
        pass_on = temporary
        temporary.write_text("first")
    pass_on.write_text("torn, and longer than what follows")
    with atomic.replaced(tmp_path / "file.txt") as temporary:
        temporary.write_text("whole")
    assert (tmp_path / "file.txt").read_text() == "whole" and names(tmp_path) == ["file.txt"]


def test_a_folder_that_cannot_be_made_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="could not write"), atomic.replaced(tmp_path / "file/x"):
        pass


def test_an_hdf5_file_without_room(tmp_path):
    """The limit of file sizes stands for the end of the disk, which HDF5 may notice late."""
    path = tmp_path / "state.h5"
    hdf5.write(path, "state", {"x": np.zeros(3)}, fingerprint="old")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20000, before[1]))
    try:
        with pytest.raises(DataError, match="could not write"):
            hdf5.write(path, "state", {"x": np.zeros(9000)}, fingerprint="new")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert hdf5.read(path, "state").fingerprint == "old"
    assert names(tmp_path) == ["state.h5"]
