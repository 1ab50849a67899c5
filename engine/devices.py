"""Walkers over devices and processes: the one axis along which a stage is parallel.

Walkers are split evenly over all devices of all processes, everything else is copied to each
of them; the compiler inserts the sums. Random numbers are those of the whole batch whatever the
split, so a run continues on another number of devices with the same walkers and differs only by
the rounding of sums. With one device nothing is placed and programs are those of a single one.
"""

from __future__ import annotations

import functools
import logging
import os
import socket
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from engine.errors import ConfigError

log = logging.getLogger(__name__)

AXIS = "walkers"
HOST_BYTES = 64
MEMORY_SHARE = 0.25
"""Of a device's memory, for the derivatives of a batch of walkers."""
PORT = "PSILATTICE_PORT"
"""Environment variable: where the first process listens for the others, if there are any."""


def join_processes() -> None:
    """Joins the processes that `srun` has started, before JAX is used for anything else.

    Each process drives all devices it sees. The first one runs where `srun` was called, on a port
    that the caller has found free. Does nothing in a process that is alone.
    """
    port = os.environ.get(PORT)
    if not port:
        return
    # On a CPU independent programs may run in another order in each process; their sums over
    # processes would then wait for each other for ever.
    jax.config.update("jax_cpu_enable_async_dispatch", False)
    jax.distributed.initialize(
        coordinator_address=f"{os.environ['SLURM_LAUNCH_NODE_IPADDR']}:{port}",
        num_processes=int(os.environ["SLURM_NTASKS"]),
        process_id=int(os.environ["SLURM_PROCID"]),
        cluster_detection_method="deactivate",
    )


def is_main() -> bool:
    """Tells whether this is the process that writes files."""
    return jax.process_index() == 0


@functools.cache
def mesh() -> Mesh:
    """Returns all devices of all processes in a line."""
    return Mesh(np.array(jax.devices()), (AXIS,))


def check_walkers(walkers: int) -> None:
    """Raises ConfigError where the walkers cannot be split evenly."""
    devices = jax.device_count()
    if walkers % devices:
        raise ConfigError(
            f"{walkers} walkers on {devices} devices",
            where="key 'sampler', key 'walkers'",
            expected=f"a multiple of {devices}",
            remedy="change the number of walkers, or ask for fewer devices",
        )


def fitting(bytes_each: float, on_cpu: int) -> int:
    """Returns how many walkers a device takes at a time where each needs so much memory."""
    if jax.default_backend() == "cpu":
        return on_cpu
    memory = jax.local_devices()[0].memory_stats()["bytes_limit"]
    return max(1, int(MEMORY_SHARE * memory / bytes_each))


def split(tree: Any) -> Any:
    """Splits the leading axis of every leaf over the devices."""
    return _placed(tree, PartitionSpec(AXIS))


def copied(tree: Any) -> Any:
    """Puts every leaf whole on every device."""
    return _placed(tree, PartitionSpec())


def per_walker(program):
    """Runs `program(shared, *batches)` on every device with its share of the walkers.

    Args:
        program: Its first argument is the same everywhere; the others and its result have
            walkers as their leading axis.
    """
    if jax.device_count() == 1:
        return program

    def run(shared, *batches):
        return jax.shard_map(
            program,
            mesh=mesh(),
            in_specs=(PartitionSpec(), *[PartitionSpec(AXIS)] * len(batches)),
            out_specs=PartitionSpec(AXIS),
            check_vma=False,
        )(shared, *batches)

    return run


def like(array: np.ndarray, model: Any) -> jax.Array:
    """Puts an array where `model` is."""
    if isinstance(model, jax.Array) and isinstance(model.sharding, NamedSharding):
        return _put(array, model.sharding)
    return jnp.asarray(array)


def gathered(tree: Any) -> Any:
    """Collects per-walker numbers on every device, in a compiled program: one exchange.

    Args:
        tree: (W,) arrays of one type.
    """
    if jax.device_count() == 1:
        return tree
    leaves, structure = jax.tree.flatten(tree)
    rows = jax.lax.with_sharding_constraint(
        jnp.stack(leaves), NamedSharding(mesh(), PartitionSpec())
    )
    return jax.tree.unflatten(structure, list(rows))


def columns(tree: Any) -> Any:
    """Splits the last axis of (rows, size) arrays over the devices, in a compiled program.

    Arrays whose size the devices do not divide stay as the compiler has them; they are small.
    """
    count = jax.device_count()
    if count == 1:
        return tree
    across = NamedSharding(mesh(), PartitionSpec(None, AXIS))

    def placed(leaf):
        return leaf if leaf.shape[-1] % count else jax.lax.with_sharding_constraint(leaf, across)

    return jax.tree.map(placed, tree)


def fetch(tree: Any) -> Any:
    """Returns a pytree of whole numpy arrays, in every process."""
    return jax.tree.map(_fetched, tree)


def agree(number: int) -> int:
    """Returns the largest of the numbers the processes give; all of them must ask."""
    if jax.process_count() == 1:
        return number
    return int(multihost_utils.process_allgather(np.int64(number)).max())


def hosts() -> tuple[str, ...]:
    """Returns the names of the machines this stage runs on; all processes must ask."""
    name = os.environ.get("SLURMD_NODENAME") or socket.gethostname()
    if jax.process_count() == 1:
        return (name,)
    padded = np.frombuffer(name.encode()[:HOST_BYTES].ljust(HOST_BYTES), np.uint8)
    rows = multihost_utils.process_allgather(padded)
    return tuple(dict.fromkeys(bytes(row).decode().strip() for row in np.asarray(rows)))


def wait(name: str) -> None:
    """Waits until every process has come to the place called `name`."""
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices(name)


def _placed(tree: Any, spec: PartitionSpec) -> Any:
    if jax.device_count() == 1:
        return tree
    return jax.tree.map(lambda leaf: _put(leaf, NamedSharding(mesh(), spec)), tree)


def _put(leaf: Any, sharding: NamedSharding) -> Any:
    if isinstance(leaf, jax.Array) and not leaf.is_fully_addressable:
        return jax.jit(lambda x: x, out_shardings=sharding)(leaf)
    if isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        return jax.random.wrap_key_data(_put(jax.random.key_data(leaf), sharding))
    whole = np.asarray(leaf)
    return jax.make_array_from_callback(whole.shape, sharding, lambda index: whole[index])


def _fetched(leaf: Any) -> np.ndarray:
    scattered = isinstance(leaf, jax.Array) and not (
        leaf.is_fully_addressable or leaf.is_fully_replicated
    )
    return np.asarray(copied(leaf) if scattered else leaf)
