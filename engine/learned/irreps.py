"""The component axis of features: irreducible representations of O(3) up to a degree.

Features are arrays (..., components, channels). An irrep is (l, s): with s = 0 it changes under
inversion as spherical harmonics do, (-1)^l; with s = 1 the other way (a pseudotensor). Both are
needed: the p-d block of an atom whose surroundings are not symmetric has a pseudotensor of l = 2.
"""

from __future__ import annotations

import dataclasses
import functools

import jax.numpy as jnp
import numpy as np
from jax import Array

from engine.learned.coupling import clebsch_gordan
from engine.learned.rotation import wigner_d

Irrep = tuple[int, int]


@dataclasses.dataclass(frozen=True)
class Irreps:
    """A list of irreps, each once, and where its components stand.

    Attributes:
        members: (l, s) in order.
    """

    members: tuple[Irrep, ...]

    @classmethod
    def up_to(cls, degree: int) -> Irreps:
        """Returns tensors up to `degree`, then the pseudotensors 1 .. degree - 1.

        Blocks of orbitals up to l have tensors up to 2 l and pseudotensors up to 2 l - 1.
        """
        natural = [(l, 0) for l in range(degree + 1)]
        return cls(tuple(natural + [(l, 1) for l in range(1, degree)]))

    @property
    def degree(self) -> int:
        """Largest l."""
        return max(l for l, _ in self.members)

    @property
    def size(self) -> int:
        """Number of components."""
        return sum(2 * l + 1 for l, _ in self.members)

    def slices(self) -> dict[Irrep, slice]:
        """Returns where each irrep stands."""
        ends = np.cumsum([0] + [2 * l + 1 for l, _ in self.members])
        return {
            irrep: slice(int(a), int(b))
            for irrep, a, b in zip(self.members, ends[:-1], ends[1:], strict=True)
        }

    def owner(self) -> np.ndarray:
        """Returns (size,) the number of the irrep each component belongs to."""
        return np.repeat(np.arange(len(self.members)), [2 * l + 1 for l, _ in self.members])

    def matrix(self, rotation: Array) -> Array:
        """Returns the representation (..., size, size) of orthogonal matrices (..., 3, 3)."""
        tables = {l: wigner_d(l, rotation) for l in {l for l, _ in self.members}}
        sign = jnp.linalg.det(rotation)[..., None, None]
        out = jnp.zeros((*rotation.shape[:-2], self.size, self.size), rotation.dtype)
        for (l, s), place in self.slices().items():
            out = out.at[..., place, place].set(tables[l] * (sign if s else 1.0))
        return out

    def bond_order(self) -> BondOrder:
        """Returns the order of components that layers in the frame of a bond use."""
        return _bond_order(self)


@dataclasses.dataclass(frozen=True, eq=False)
class BondOrder:
    """Components by order m about the bond: what commutes with its symmetry mixes only within m.

    A rotation about the bond turns each doublet (even, odd) by the angle m phi, and a mirror that
    holds the bond changes the sign of the odd one. Doublets of tensors are (m, -m), those of
    pseudotensors (-m, m with a minus): all alike, so one matrix mixes them.

    Attributes:
        matrix: (size, size) signed permutation from the order of the irreps.
        groups: Per group the numbers of its irreps and how many rows it has: one for m = 0 (of
            tensors, then of pseudotensors), two (even, then odd) for each m > 0.
    """

    matrix: np.ndarray
    groups: tuple[tuple[tuple[int, ...], int], ...]

    def owner(self) -> np.ndarray:
        """Returns (size,) the number of the irrep each component belongs to."""
        return np.concatenate([np.tile(np.array(g, int), rows) for g, rows in self.groups])


@functools.cache
def _bond_order(irreps: Irreps) -> BondOrder:
    first = {irrep: place.start for irrep, place in irreps.slices().items()}
    entries, groups = [], []

    def add(chosen, rows):
        groups.append((tuple(irreps.members.index(irrep) for irrep in chosen), len(rows)))
        for components in rows:
            entries.extend((first[i] + i[0] + m, sign) for i, (m, sign) in components)

    for s in (0, 1):
        chosen = [irrep for irrep in irreps.members if irrep[1] == s]
        add(chosen, [[(irrep, (0, 1.0)) for irrep in chosen]])
    for m in range(1, irreps.degree + 1):
        chosen = [irrep for irrep in irreps.members if irrep[0] >= m]
        even = [(i, (-m, 1.0) if i[1] else (m, 1.0)) for i in chosen]
        odd = [(i, (m, -1.0) if i[1] else (-m, 1.0)) for i in chosen]
        add(chosen, [even, odd])
    matrix = np.zeros((irreps.size, irreps.size))
    for row, (column, sign) in enumerate(entries):
        matrix[row, column] = sign
    return BondOrder(matrix, tuple(g for g in groups if g[0]))


@functools.cache
def product_table(left: Irreps, right: Irreps, out: Irreps) -> np.ndarray:
    """Returns the tensor (left, right, out) of all Clebsch-Gordan products, normalised.

    Each output component of independent unit inputs has unit variance.
    """
    table = np.zeros((left.size, right.size, out.size))
    places = left.slices(), right.slices(), out.slices()
    for (l1, s1), a in places[0].items():
        for (l2, s2), b in places[1].items():
            for (l, s), c in places[2].items():
                if s == (s1 + s2 + l1 + l2 + l) % 2:
                    table[a, b, c] = clebsch_gordan(l1, l2, l)
    variance = np.sqrt(np.sum(table**2, axis=(0, 1)))
    return table / np.where(variance > 0, variance, 1.0)
