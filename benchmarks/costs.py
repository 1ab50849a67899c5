"""FLOP/s of the parts of a VMC iteration, and the instructions they spend most of their time in.

    python benchmarks/costs.py h10 --walkers 256
    python benchmarks/costs.py h10 --walkers 4096 --peak-tflops 67      # of the chip, float32

Model FLOPs are those XLA counts in the programs before it optimises them, without the chunks and
loops of the local energy; sampling is one pass of the network per move and one more. Seconds are
wall time. The largest costs come from a profile of three calls: instructions of the compiled
programs, with the shapes of their results.
"""

from __future__ import annotations

import argparse
import collections
import re
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]
COSTS = 3
"""Instructions that are named."""
REPEAT = 5


class Part(NamedTuple):
    """One part of an iteration.

    Attributes:
        call: Runs it.
        flops: Model FLOPs of a call.
        text: The compiled program.
    """

    call: Callable[[], Any]
    flops: float
    text: str


def main() -> None:
    """Prints seconds, FLOP/s and costs of each part."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("system")
    options.add_argument("--walkers", type=int, default=256)
    options.add_argument("--method", default="ferminet", help="a file of methods/")
    options.add_argument("--set", nargs="*", default=[], metavar="SECTION.KEY=VALUE")
    options.add_argument("--peak-tflops", type=float, help="of the device: shares are printed")
    chosen = options.parse_args()
    facts = {"system": chosen.system, "walkers": chosen.walkers, "method": chosen.method}
    for name, part in parts(facts | {"set": chosen.set}).items():
        seconds = measured(part.call)
        print(f"{name:13} {seconds:.4f} s{rate(part.flops, seconds, chosen.peak_tflops)}")
        for share, instruction in largest(part):
            print(f"    {share:4.0%} {instruction}")


def parts(facts: Mapping[str, Any]) -> dict[str, Part]:
    """Returns sampling, local energy and optimizer of a case of `iteration`."""
    import jax
    from iteration import prepare

    from engine import keys
    from engine.config import HamiltonianConfig, OptimizerConfig, parse
    from engine.hamiltonian import determinant_rule, make_hamiltonian
    from engine.optimizer import make_optimizer
    from engine.optimizer.objective import clipped_weights
    from engine.stage.programs import batch_of, in_flight, make_local_energy, make_sample

    jax.config.update("jax_enable_compilation_cache", False)
    job = prepare(facts)
    params, state = job.fresh()
    energies = parse(HamiltonianConfig, job.sections["hamiltonian"])
    hamiltonian = make_hamiltonian(job.system, energies)
    sample = make_sample(job)
    whole, local_energy = (
        make_local_energy(job.wavefunction, hamiltonian, chunk)
        for chunk in (job.walkers, in_flight(job, energies))
    )
    key, here = keys.stream(job.key, "costs"), (job.system, job.reference)
    moving, measuring = (params, state, *here, key, 1.0), (params, state.walkers, *here, key)
    forward = jax.jit(
        jax.vmap(lambda walker: job.wavefunction.apply(params, walker, *here).log)
    ).lower(state.walkers)
    passes = 1 + job.sections["sampler"]["moves"] * len(job.system.kinds)
    optimizer = make_optimizer(
        job.wavefunction,
        parse(OptimizerConfig, job.sections["optimizer"], where="optimizer"),
        is_complex=job.sections["number"] == "complex",
    )
    energy = local_energy(*measuring)
    batch = batch_of(job, state.walkers, clipped_weights(energy.real, energy.imag, 5.0))
    holder = [params, optimizer.init(params, key, batch)]

    def step():
        holder[:] = optimizer.step(*holder, key, batch)[:2]
        return holder

    stepping = (params, optimizer.init(params, key, batch), key, batch)
    lowered = optimizer.step.lower(*stepping)
    with mock.patch.object(determinant_rule, "one_by_one", lambda: False):
        counted = flops(whole.lower(*measuring))
    return {
        "sampling": Part(
            lambda: sample(*moving), passes * flops(forward), text(sample.lower(*moving))
        ),
        "local energy": Part(
            lambda: local_energy(*measuring),
            counted,
            text(local_energy.lower(*measuring)),
        ),
        "optimizer": Part(step, flops(lowered), text(lowered)),
    }


def flops(lowered: Any) -> float:
    """Returns the floating-point operations of a program before optimisation."""
    found = lowered.cost_analysis()
    return float((found[0] if isinstance(found, list) else found)["flops"])


def text(lowered: Any) -> str:
    """Returns the compiled program."""
    return lowered.compile().as_text()


def measured(call: Callable[[], Any]) -> float:
    """Returns the median of wall seconds after a first call."""
    import jax

    seconds = []
    for _ in range(REPEAT + 2):
        begun = time.monotonic()
        jax.block_until_ready(call())
        seconds.append(time.monotonic() - begun)
    return statistics.median(seconds[2:])


def rate(count: float, seconds: float, peak: float | None) -> str:
    """Returns FLOPs, FLOP/s and their share of the device's peak, as words."""
    share = f", {count / seconds / peak / 1e12:.1%} of the peak" if peak else ""
    return f", {count:.2e} FLOPs, {count / seconds / 1e9:.1f} GFLOP/s{share}"


def largest(part: Part) -> list[tuple[float, str]]:
    """Returns the shares of the most expensive instructions of a call, with their names."""
    import jax

    folder = tempfile.mkdtemp()
    try:
        with jax.profiler.trace(folder):
            for _ in range(3):
                jax.block_until_ready(part.call())
        [path] = Path(folder).rglob("*.xplane.pb")
        data = jax.profiler.ProfileData.from_file(str(path))
        spent = collections.Counter()
        for event in (e for plane in data.planes for line in plane.lines for e in line.events):
            if "hlo_op" in dict(event.stats):
                spent[event.name] += event.duration_ns
    finally:
        shutil.rmtree(folder)
    for name in [n for n in spent if re.match(r"(while|call|cond|conditional)(\.|$)", n)]:
        del spent[name]  # their bodies are there by themselves
    total = sum(spent.values()) or 1
    shapes = dict(re.findall(r"%([\w.-]+) = (\(?[\w\[\]{},\d]+)", part.text))
    return [
        (value / total, f"{name} {shapes.get(name, '')}".strip())
        for name, value in spent.most_common(COSTS)
    ]


if __name__ == "__main__":
    main()
