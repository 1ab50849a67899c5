"""What is timed: molecules, crystals, hydrogen chains and electron gases of growing size."""

from __future__ import annotations

from typing import Any


def chain(atoms: int) -> dict[str, Any]:
    """Returns the periodic hydrogen chain of R = 1.8 bohr in 100 bohr of vacuum."""
    structure = {"kind": "chain", "species": "H", "n_atoms": 2, "spacing_bohr": 1.8}
    return {
        "structure": structure | {"vacuum_bohr": 100},
        "supercell": [atoms // 2, 1, 1],
        "mean_field": {"basis": "cc-pvdz", "vacuum_bohr": 20},
    }


def molecule(
    species: list[str], positions_bohr: list[list[float]], basis: str = "cc-pvdz"
) -> dict[str, Any]:
    """Returns a molecule."""
    structure = {"kind": "atoms", "species": species, "positions_bohr": positions_bohr}
    return {"structure": structure, "mean_field": {"basis": basis}}


def hydrogens(atoms: int) -> dict[str, Any]:
    """Returns the open hydrogen chain of R = 1.8 bohr; a long one in a small basis."""
    basis = "cc-pvdz" if atoms <= 16 else "sto-3g"
    return molecule(["H"] * atoms, [[1.8 * i, 0, 0] for i in range(atoms)], basis)


def gas(electrons: int) -> dict[str, Any]:
    """Returns the unpolarised electron gas of rs = 2 in a cubic cell."""
    structure = {"kind": "electron-gas", "rs": 2.0, "electrons": electrons, "lattice": "sc"}
    return {"structure": structure, "mean_field": {"method": "plane-waves"}}


def crystal(
    prototype: str, species: list[str], a_angstrom: float, cells: int = 1
) -> dict[str, Any]:
    """Returns cells x cells x cells primitive cells at Gamma."""
    structure = {"kind": "prototype", "prototype": prototype, "species": species}
    return {
        "structure": structure | {"a_angstrom": a_angstrom},
        "supercell": [cells] * 3,
        "mean_field": {"basis": "sto-3g"},
    }


SIDE = 1.125, 1.9486
SYSTEMS: dict[str, dict[str, Any]] = {
    "h2": molecule(["H", "H"], [[0, 0, 0], [1.4, 0, 0]]),
    "lih": molecule(["Li", "H"], [[0, 0, 0], [3.015, 0, 0]]),
    "bh3": molecule(
        ["B", "H", "H", "H"],
        [[0, 0, 0], [2.25, 0, 0], [-SIDE[0], SIDE[1], 0], [-SIDE[0], -SIDE[1], 0]],
    ),
    "lih-cell": crystal("rocksalt", ["Li", "H"], 4.02),
    "lih-222": crystal("rocksalt", ["Li", "H"], 4.02, 2),
    "lih-333": crystal("rocksalt", ["Li", "H"], 4.02, 3),
    "diamond": crystal("diamond", ["C"], 3.5738),
    **{f"h{n}": hydrogens(n) for n in (4, 8, 10, 16, 32, 64)},
    **{f"h{n}-chain": chain(n) for n in (4, 10, 16)},
    **{f"gas-{n}": gas(n) for n in (14, 38, 54)},
}
