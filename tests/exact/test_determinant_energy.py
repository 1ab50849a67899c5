"""VMC of the bare mean-field determinant has the mean-field energy, Ewald exchange included.

One number by two independent routes: Gaussian integrals in PySCF, Monte Carlo integration of
the local energy here.
"""

import pytest

from engine.io.mean_field import read_mean_field
from tests.chain import sections, stages

H2 = {"kind": "atoms", "species": ["H", "H"], "positions_bohr": [[0, 0, 0], [0.4, 0, 1.3]]}
SKEWED = [[5.0, 0, 0], [1.2, 4.6, 0], [0, 0.7, 5.4]]
CRYSTAL = {**H2, "lattice_bohr": SKEWED}
LIH = {"kind": "prototype", "prototype": "rocksalt", "species": ["Li", "H"], "a_angstrom": 4.061}
TWIST = (1 / 3, -1 / 4, 1 / 2)

CASES = {
    "molecule": ({"structure": H2, "mean_field": {"basis": "cc-pvdz"}}, (0, 0, 0)),
    "triplet": (
        {"structure": H2, "spin": 2, "mean_field": {"basis": "6-31g", "method": "uhf"}},
        (0, 0, 0),
    ),
    "crystal at Gamma": ({"structure": CRYSTAL, "mean_field": {"basis": "sto-3g"}}, (0, 0, 0)),
    "supercell at a twist": (
        {"structure": CRYSTAL, "supercell": [2, 1, 1], "mean_field": {"basis": "sto-3g"}},
        TWIST,
    ),
}
SLOW = {
    "crystal at a twist": ({"structure": CRYSTAL, "mean_field": {"basis": "6-31g"}}, TWIST),
    "skewed supercell at a twist": (
        {
            "structure": CRYSTAL,
            "supercell": [[1, 1, 0], [0, 1, 0], [0, 0, 1]],
            "mean_field": {"basis": "6-31g"},
        },
        TWIST,
    ),
    "LiH crystal at Gamma": ({"structure": LIH, "mean_field": {"basis": "6-31g"}}, (0, 0, 0)),
    "LiH crystal at a twist": ({"structure": LIH, "mean_field": {"basis": "6-31g"}}, TWIST),
    "open-shell molecule": (
        {
            "structure": {"kind": "atoms", "species": ["Li"], "positions_bohr": [[0, 0, 0]]},
            "spin": 1,
            "mean_field": {"basis": "cc-pvdz", "method": "uhf"},
        },
        (0, 0, 0),
    ),
}


def method(walkers, steps, **sampler):
    return {
        "ansatz": {"name": "slater"},
        "precision": "float64",
        "sampler": {"walkers": walkers, "moves": 8, "equilibration": 60, "acceptance": 0.525}
        | sampler,
        "pretrain": {"steps": 0},
        "vmc": {"steps": 0},
        "evaluate": {"min_steps": steps, "max_steps": steps},
    }


def difference(tmp_path, case, walkers, steps, **sampler):
    """Returns (VMC - mean field, error), hartree per simulation cell, and the result."""
    material, twist = case
    periodic = (
        material["structure"].get("lattice_bohr") or material["structure"]["kind"] == "prototype"
    )
    run = sections(
        material, method(walkers, steps, **sampler), twist, "complex" if periodic else "real"
    )
    result = stages(tmp_path, run)
    return result["energy_ha"] - result["mean_field_ha"], result["error_ha"], result


@pytest.mark.parametrize(
    ("name", "proposal"),
    [*((name, "gaussian") for name in CASES), ("molecule", "langevin")],
)
def test_determinant_has_the_mean_field_energy(tmp_path, name, proposal):
    gap, error, result = difference(tmp_path, CASES[name], 160, 80, proposal=proposal)
    assert error < 1.5e-2
    assert abs(gap) < 3.5 * error
    assert abs(result["imag_ha"]) < 10 * error
    assert result["kinetic_ha"] + result["potential_ha"] == pytest.approx(
        result["energy_ha"], abs=1e-9
    )


def test_real_orbitals_at_twists_of_one_half_have_the_mean_field_energy(tmp_path):
    """Through the stages, which tell orbitals that they change sign from cell to cell."""
    material, _ = CASES["supercell at a twist"]
    run = sections(material, method(160, 80), (0.5, 0, 0.5), "real") | {"antiperiodic": True}
    result = stages(tmp_path, run)
    assert result["imag_ha"] == 0 and result["error_ha"] < 2e-2
    assert abs(result["energy_ha"] - result["mean_field_ha"]) < 3.5 * result["error_ha"]


def test_a_twist_with_a_spin_of_its_own_has_the_mean_field_of_that_spin(tmp_path):
    """The system file says 2 + 2 electrons, the twist 3 + 1."""
    chain = {**CRYSTAL, "lattice_bohr": [[4.0, 0, 0], [0, 9.0, 0], [0, 0, 9.0]]}
    material = {
        "structure": chain,
        "supercell": [2, 1, 1],
        "twists": {"spins": [2]},
        "mean_field": {"basis": "sto-3g", "method": "uhf"},
    }
    run = sections(material, method(160, 80), (0, 0, 0), "complex")
    run["twist"]["spin"] = 2
    result = stages(tmp_path, run)
    occupied = read_mean_field(tmp_path / "mean_field.h5").occupation.sum(axis=(1, 2))
    assert occupied.tolist() == [3, 1]
    assert result["error_ha"] < 2e-2
    assert abs(result["energy_ha"] - result["mean_field_ha"]) < 3.5 * result["error_ha"]


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES | SLOW)
def test_determinant_has_the_mean_field_energy_to_a_millihartree(tmp_path, name):
    gap, error, _ = difference(tmp_path, (CASES | SLOW)[name], 4000, 1500)
    assert error < (1.0e-3 if name in CASES else 2.5e-3)
    assert abs(gap) < 3.5 * error + 2e-4  # density fitting
