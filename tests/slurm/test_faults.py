"""What happens to jobs on a cluster, and that nothing comes of it.

After every accident the campaign ends with the bits of an undisturbed one.
"""

import math
import os
import signal
import subprocess
import time
from pathlib import Path

import h5py
import numpy as np
import pytest

from engine.estimator.statistics import estimate
from engine.io import checkpoint, hdf5
from tests.slurm.conftest import MOVES, STEPS, TABLE, Cluster, ask, partition, same

pytestmark = pytest.mark.slurm


def processes(job):
    """Returns the process ids of the stage itself, not of the workflow around it."""
    mine = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes().split(b"\0")
            surroundings = (folder / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        is_stage = any(b".snakemake/scripts" in word and b"vmc" in word for word in command)
        if is_stage and f"SLURM_JOB_ID={job}".encode() in surroundings:
            mine.append(int(folder.name))
    return mine


def kill(job):
    found = processes(job)
    assert found, f"job {job} is not running here"
    for pid in found:
        os.kill(pid, signal.SIGKILL)


def test_killed_in_the_middle_of_saving(cluster, undisturbed):
    """SIGKILL, and half a state under its temporary name: it is never read."""
    driver = cluster.start()
    cluster.state(40)
    kill(cluster.job())
    newest = cluster.state(40)
    half = newest.read_bytes()[: newest.stat().st_size // 2]
    step = int(newest.stem.removeprefix("step-")) + 20
    newest.with_name(f".step-{step:09d}.h5.part").write_bytes(half)
    cluster.finish(driver)
    assert len(cluster.attempts()) == 2
    same(cluster.folder, undisturbed)


def test_time_limit(cluster, undisturbed, tmp_path):
    """A minute of work in jobs of one minute: each leaves in time, the next goes on."""
    trace = undisturbed / "results/h2/net/twist-000/vmc/trace.h5"
    longer = math.ceil(60 / np.sum(hdf5.read(trace, "trace").data["seconds"]))
    whole = Cluster(tmp_path / "whole", cluster.compiled)
    for campaign in (cluster, whole):
        campaign.method(moves=longer * MOVES)
    cluster.site(minutes=1)
    drivers = [(campaign, campaign.start(retries=15)) for campaign in (cluster, whole)]
    for campaign, driver in drivers:
        campaign.finish(driver)
    tries = cluster.attempts()
    assert len(tries) > 1 and tries[-1].outcome == "done"
    assert {a.outcome for a in tries[:-1]} == {"stopped"}, "killed by SLURM, not stopped in time"
    assert len({a.job for a in tries}) == len(tries)
    assert [a.first_step for a in tries[1:]] == [a.step for a in tries[:-1]]
    assert len(whole.attempts()) == 1
    same(cluster.folder, whole.folder)


def test_out_of_memory(cluster, undisturbed):
    """The first attempt gets too little memory and dies; a later one gets more."""
    cluster.site(factor=0.15)
    driver = cluster.start()
    first = cluster.until(cluster.queue, what="a job")[0]
    text = cluster.finish(driver)
    assert "Trying to restart job" in text or first not in {a.job for a in cluster.attempts()}
    same(cluster.folder, undisturbed)


def test_cancelled_by_signal(cluster, undisturbed):
    """scancel with SIGTERM, as in preemption: the step is finished and saved."""
    driver = cluster.start()
    cluster.state(40)
    job = cluster.job()
    subprocess.run(["scancel", job], check=True)
    cluster.finish(driver)
    first, *rest = cluster.attempts()
    assert rest and first.outcome == "stopped" and "signal 15" in first.reason
    same(cluster.folder, undisturbed)


def test_requeued(cluster, undisturbed):
    """scontrol requeue: the same job starts again later and resumes."""
    driver = cluster.start()
    cluster.state(40)
    job = cluster.job()
    if subprocess.run(["scontrol", "requeue", job], check=False).returncode:
        pytest.skip("this SLURM does not requeue")

    def resumed():
        start_now(cluster)
        time.sleep(2)
        return len(cluster.attempts()) > 1

    cluster.until(resumed, what="the second attempt")
    cluster.finish(driver)
    assert len(cluster.attempts()) == 2
    same(cluster.folder, undisturbed)


def start_now(cluster):
    """Starts jobs that SLURM has put back: it holds them for minutes, or for ever."""
    for job in cluster.queue():
        subprocess.run(["scontrol", "update", f"jobid={job}", "StartTime=now"], check=False)
        subprocess.run(["scontrol", "release", job], check=False, capture_output=True)


@pytest.mark.alone
def test_node_down_and_back(cluster, undisturbed):
    """The node of a running job is taken down; the job starts again elsewhere or later."""
    driver = cluster.start()
    cluster.state(40)
    node = cluster.attempts()[-1].hosts[0]
    down = ["scontrol", "update", f"nodename={node}", "state=down", "reason=test"]
    if subprocess.run(down, check=False).returncode:
        pytest.skip("only an administrator can take a node down")
    cluster.until(lambda: "stopped" in {a.outcome for a in cluster.attempts()}, what="the end")

    def resumed():
        """Brings node and job back, again if the node was not ready for the job."""
        back = ["scontrol", "update", f"nodename={node}", "state=resume"]
        subprocess.run(back, check=False, capture_output=True)
        start_now(cluster)
        time.sleep(2)
        return len(cluster.attempts()) > 1

    cluster.until(resumed, what="the second attempt")
    cluster.finish(driver)
    assert len(cluster.attempts()) == 2
    same(cluster.folder, undisturbed)


def test_driver_killed_and_started_again(cluster, undisturbed):
    """Snakemake dies, its job runs on; the second start waits for it and repeats nothing."""
    driver = cluster.start()
    cluster.state(20)
    os.killpg(driver.pid, signal.SIGKILL)
    driver.wait()
    unlock = cluster.start("--unlock")
    assert unlock.wait(120) == 0
    text = cluster.finish(cluster.start(target=TABLE))
    assert "waiting for 1 jobs of an earlier start" in text
    assert [a.outcome for a in cluster.attempts()] in (["done"], ["done", "done"])
    assert sum(a.step - a.first_step for a in cluster.attempts()) == STEPS, "steps were repeated"
    same(cluster.folder, undisturbed)


def test_two_campaigns_in_one_folder(cluster, undisturbed):
    """The second one is refused by Snakemake's lock, and cancels nothing."""
    driver = cluster.start()
    cluster.state(20)
    second = cluster.start()
    assert second.wait(120) != 0
    assert "cannot be locked" in (cluster.folder / "driver.log").read_text()
    cluster.finish(driver)
    assert len(cluster.attempts()) == 1
    same(cluster.folder, undisturbed)


@pytest.mark.parametrize("damage", ["truncated", "bit flipped"])
def test_damaged_state(cluster, undisturbed, damage):
    """The newest state is damaged: told by its checksum, the one before it is used."""
    driver = cluster.start()
    cluster.state(60)
    kill(cluster.job())
    newest = cluster.state(60)
    if damage == "truncated":
        os.truncate(newest, newest.stat().st_size // 2)
    else:
        with h5py.File(newest, "r+") as file:
            file["tree/sampler/walkers"][0, 0, 0] += 1e-3
    cluster.finish(driver)
    log = (cluster.folder / "logs/h2/net/twist-000/vmc.log").read_text()
    assert "renamed to .damaged" in log
    assert cluster.attempts()[1].first_step == checkpoint._step(newest) - 20
    same(cluster.folder, undisturbed)


def test_full_disk(cluster, undisturbed):
    """No room for a state: the older one stays good, and is resumed when there is room."""
    state = cluster.stage / "state"
    state.mkdir(parents=True)
    mounted = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(state)]
    if subprocess.run(mounted, check=False, capture_output=True).returncode:
        pytest.skip("only an administrator can make a small disk")
    try:
        driver = cluster.start()
        saved = cluster.state(20)
        size = saved.stat().st_size
        filler = state / "filler"
        free = os.statvfs(state).f_bavail * os.statvfs(state).f_bsize
        filler.write_bytes(b"\0" * max(free - size // 2, 0))
        log = cluster.folder / "logs/h2/net/twist-000/vmc.log"
        cluster.until(lambda: log.exists() and "could not write" in log.read_text(), what="no room")
        filler.unlink()
        cluster.finish(driver)
        same(cluster.folder, undisturbed)
    finally:
        subprocess.run(["umount", "--lazy", str(state)], check=False)


def test_file_system_that_delays_new_files(cluster, undisturbed):
    """Outputs appear seconds after the job has ended; Snakemake waits for them."""
    cluster.late_files(seconds=6)
    cluster.finish(cluster.start())
    assert len(cluster.attempts()) == 1
    same(cluster.folder, undisturbed)


def test_two_nodes(cluster, undisturbed):
    """One process on each of two nodes, joined: the energies of one.

    At first up to the rounding of sums; it grows until the two runs differ by their noise.
    """
    if len(ask("sinfo", "--noheader", "--Node", "--partition", partition()).splitlines()) < 2:
        pytest.skip("the partition has one node")
    cluster.site(nodes=2)
    cluster.finish(cluster.start())
    [only] = cluster.attempts()
    assert only.devices == 2 and len(only.hosts) == 2
    two, one = (
        hdf5.read(f / "results/h2/net/twist-000/vmc/trace.h5", "trace").data["energy_ha"]
        for f in (cluster.folder, undisturbed)
    )
    np.testing.assert_allclose(two[:10], one[:10], rtol=1e-5)
    two, one = (estimate(energy[STEPS // 3 :]) for energy in (two, one))
    assert abs(two.mean - one.mean) < 5 * np.hypot(two.error, one.error)


def test_neighbours_in_one_job(cluster, undisturbed):
    """Two optimisations share a job and one fails for good: the other is kept, no step repeated."""
    cluster.neighbour()
    groups = ["--groups", "vmc=shared", "--group-components", "shared=2"]
    cluster.finish(cluster.start(*groups, retries=0), good=False)
    cluster.finish(cluster.start(target=TABLE))
    assert sum(a.step - a.first_step for a in cluster.attempts()) == STEPS
    same(cluster.folder, undisturbed)


def test_unknown_partition(cluster):
    """Refused before anything is submitted, with the nearest name."""
    cluster.site(where="no-such-partition")
    text = cluster.finish(cluster.start(), good=False)
    assert "no partition 'no-such-partition'" in text and partition() in text
    assert not cluster.queue()
