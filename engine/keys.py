"""Random streams: every key is a function of (seed, run path, stream, step).

No key is ever stored, so a run that is killed and resumed draws the same numbers as one
that was not.
"""

from __future__ import annotations

import zlib

import jax
import numpy as np
from jax import Array


def root(seed: int, *path: str) -> Array:
    """Returns the typed root key of one run, e.g. `root(7, "h2", "ferminet", "twist-000")`."""
    return jax.random.fold_in(jax.random.key(seed), _crc("/".join(path)))


def stream(root_key: Array, name: str, step: int | Array = 0) -> Array:
    """Returns the key of step `step` of the stream `name` (e.g. "sampler")."""
    return _fold(root_key, np.uint32(_crc(name)), step)


@jax.jit
def _fold(key: Array, name: Array, step: int | Array) -> Array:
    return jax.random.fold_in(jax.random.fold_in(key, name), step)


def _crc(text: str) -> int:
    return zlib.crc32(text.encode())
