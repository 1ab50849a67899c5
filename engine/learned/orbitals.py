"""Blocks of matrices over atomic orbitals, and their coefficients by total angular momentum.

The block of two atoms is padded to the same shells for every element ("slots", s before p before
d) and its components are ordered m = -l..l. Coupling the angular momenta of its shells is an
orthogonal change of basis: shells u, v and a total L within |l_u - l_v| .. l_u + l_v make a
"path" with 2 L + 1 coefficients, a tensor where l_u + l_v + L is even and else a pseudotensor.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence

import numpy as np

from engine.errors import DataError, nearest
from engine.learned.coupling import clebsch_gordan
from engine.learned.harmonics import from_pyscf
from engine.learned.irreps import Irrep, Irreps


@dataclasses.dataclass(frozen=True)
class OrbitalBasis:
    """Which shells the elements of a model have.

    Attributes:
        shells: (symbol, l of each contracted shell in the order of the matrices) per element.
    """

    shells: tuple[tuple[str, tuple[int, ...]], ...]

    @classmethod
    def of(cls, shells: Mapping[str, Sequence[int]]) -> OrbitalBasis:
        """Returns the basis with its elements sorted."""
        return cls(tuple((s, tuple(int(l) for l in shells[s])) for s in sorted(shells)))

    @property
    def elements(self) -> tuple[str, ...]:
        """Symbols; their place here is what the network knows an element by."""
        return tuple(symbol for symbol, _ in self.shells)

    @property
    def slots(self) -> tuple[int, ...]:
        """l of each padded shell, rising."""
        top = max(l for _, shells in self.shells for l in shells)
        most = [max(s.count(l) for _, s in self.shells) for l in range(top + 1)]
        return tuple(l for l in range(top + 1) for _ in range(most[l]))

    @property
    def width(self) -> int:
        """Padded orbitals per atom."""
        return sum(2 * l + 1 for l in self.slots)

    @property
    def irreps(self) -> Irreps:
        """What the coefficients of blocks consist of."""
        return Irreps.up_to(2 * max(self.slots))

    def species(self, symbols: Sequence[str]) -> np.ndarray:
        """Returns (A,) the places of elements.

        Raises:
            DataError: An element the basis does not have.
        """
        for symbol in symbols:
            if symbol not in self.elements:
                raise DataError(
                    f"element {symbol} is not one the model was trained on",
                    expected=nearest(symbol, self.elements),
                    remedy="train a model with this element, or use reference: scf",
                )
        return np.array([self.elements.index(s) for s in symbols], int)

    def places(self, symbols: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Returns, for each orbital of a molecule in PySCF's order, its atom and padded place."""
        self.species(symbols)
        own = [_places(dict(self.shells)[s], self.slots) for s in symbols]
        atoms = np.repeat(np.arange(len(symbols)), [len(p) for p in own])
        return atoms, np.concatenate(own)

    def mask(self) -> np.ndarray:
        """Returns (elements, width) True where an element has the padded orbital."""
        filled = np.zeros((len(self.shells), self.width), bool)
        for row, (_, shells) in zip(filled, self.shells, strict=True):
            row[_places(shells, self.slots)] = True
        return filled

    def paths(self) -> dict[Irrep, int]:
        """Returns the number of paths of each irrep, in the order of the coefficients."""
        return {irrep: len(found) for irrep, found in _paths(self.slots, self.irreps).items()}

    def coupling(self) -> np.ndarray:
        """Returns the orthogonal (coefficients, width, width): irreps, their paths, components."""
        return _coupling(self.slots, self.irreps)

    def transposition(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns (order, sign): the coefficients of B^T are sign * coefficients of B [order]."""
        return _transposition(self.slots, self.irreps)

    def path_of_coefficient(self) -> np.ndarray:
        """Returns (coefficients,) the number of the path each one belongs to."""
        widths = [2 * l + 1 for (l, _), n in self.paths().items() for _ in range(n)]
        return np.repeat(np.arange(len(widths)), widths)

    def path_mask(self) -> np.ndarray:
        """Returns (elements, elements, paths) True where both elements have the shells."""
        has = np.zeros((len(self.shells), len(self.slots)), bool)
        starts = np.cumsum([0] + [2 * l + 1 for l in self.slots])[:-1]
        has[:] = self.mask()[:, starts]
        pairs = [uv for found in _paths(self.slots, self.irreps).values() for uv in found]
        u, v = np.array(pairs).T
        return has[:, None, u] & has[None, :, v]


def _places(shells: Sequence[int], slots: Sequence[int]) -> np.ndarray:
    """Returns the padded place of every orbital of an element, in PySCF's order."""
    starts = np.cumsum([0] + [2 * l + 1 for l in slots])[:-1]
    free = {l: iter(starts[np.array(slots) == l]) for l in set(shells)}
    out = []
    for l in shells:
        internal = next(free[l]) + np.arange(2 * l + 1)
        pyscf = np.empty(2 * l + 1, int)
        pyscf[from_pyscf(l)] = internal
        out.append(pyscf)
    return np.concatenate(out)


@functools.cache
def _paths(slots: tuple[int, ...], irreps: Irreps) -> dict[Irrep, list[tuple[int, int]]]:
    """Returns the shell pairs (u, v) that make each irrep."""
    pairs = [(u, v) for u in range(len(slots)) for v in range(len(slots))]

    def makes(u: int, v: int, l: int, s: int) -> bool:
        low, high = abs(slots[u] - slots[v]), slots[u] + slots[v]
        return low <= l <= high and (slots[u] + slots[v] + l) % 2 == s

    found = {(l, s): [p for p in pairs if makes(*p, l, s)] for l, s in irreps.members}
    return {irrep: paths for irrep, paths in found.items() if paths}


@functools.cache
def _transposition(slots: tuple[int, ...], irreps: Irreps) -> tuple[np.ndarray, np.ndarray]:
    flat = _coupling(slots, irreps)
    swapped = np.swapaxes(flat, 1, 2).reshape(len(flat), -1) @ flat.reshape(len(flat), -1).T
    order = np.argmax(abs(swapped), axis=1)
    return order, np.sign(swapped[np.arange(len(flat)), order])


@functools.cache
def _coupling(slots: tuple[int, ...], irreps: Irreps) -> np.ndarray:
    starts = np.cumsum([0] + [2 * l + 1 for l in slots])
    rows = []
    for (l, _), paths in _paths(slots, irreps).items():
        for u, v in paths:
            block = np.zeros((2 * l + 1, starts[-1], starts[-1]))
            a, b = slice(starts[u], starts[u + 1]), slice(starts[v], starts[v + 1])
            block[:, a, b] = np.moveaxis(clebsch_gordan(slots[u], slots[v], l), -1, 0)
            rows.append(block)
    return np.concatenate(rows)
