"""Full configuration interaction of small spaces: the lowest eigenvalue of the whole matrix.

For complex integrals, which the established programs do not take. The matrix is kept as the
lists of neighbours of `subspace`, with every determinant in the core.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from scipy.sparse.linalg import LinearOperator, eigsh

from engine.fock.determinants import FockSpace, enumerate_all
from engine.fock.slater_condon import FockHamiltonian
from engine.fock.subspace import Subspace, make_subspace


def lowest_energy(space: FockSpace, H: FockHamiltonian) -> float:
    """Returns the lowest energy of all determinants, hartree; memory grows as their number."""
    every = enumerate_all(space)
    return diagonalised(make_subspace(space)(H, every, every[:0]))[0]


def diagonalised(subspace: Subspace, near: np.ndarray | None = None) -> tuple[float, np.ndarray]:
    """Returns (lowest eigenvalue, eigenvector (V,)) of H_VV, by Lanczos iteration.

    It starts at amplitudes `near` (V,), or at the determinant of lowest diagonal element.
    """
    size = subspace.core_size
    dtype = np.dtype(subspace.core_elements.dtype)
    apply = jax.jit(lambda psi: subspace.apply_core(psi))
    if size < 4:
        matrix = jax.vmap(apply, out_axes=1)(jnp.eye(size, dtype=dtype))
        values, vectors = np.linalg.eigh(np.asarray(matrix))
        return float(values[0]), vectors[:, 0]
    operator = LinearOperator(
        (size, size), matvec=lambda v: np.asarray(apply(v.reshape(-1))), dtype=dtype
    )
    if near is None:
        near = np.zeros(size, dtype)
        near[np.argmin(np.asarray(subspace.diagonal[:size]))] = 1.0
    start = near / np.linalg.norm(near)
    start = start + 1e-3 * np.random.default_rng(0).normal(size=size)  # every symmetry has a part
    values, vectors = eigsh(operator, k=1, which="SA", v0=start, tol=1e-12)
    return float(values[0]), vectors[:, 0]
