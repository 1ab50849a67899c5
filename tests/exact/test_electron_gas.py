"""The electron gas: Hartree-Fock by lattice sums, by Monte Carlo, and as it is published."""

import itertools

import jax.numpy as jnp
import numpy as np
import pytest

from engine.hamiltonian.ewald import make_ewald
from engine.io.mean_field import read_mean_field
from engine.system.cell import Cell
from engine.system.system import System, electrons
from tests.chain import inputs, sections, stages

LITERATURE = {  # (electrons, polarisation): rs -> hartree per electron, xi/2 included
    (14, 0): {
        0.5: 3.45489439,
        1: 0.60653433,
        2: 0.02303895,
        5: -0.05803919,
        10: -0.04022873,
        20: -0.02291664,
    },
    (54, 0): {
        0.5: 3.26532946,
        1: 0.56924473,
        2: 0.01876736,
        5: -0.05629825,
        10: -0.03878333,
        20: -0.02205021,
    },
    (7, 1): {
        0.5: 5.82120036,
        1: 1.13126192,
        2: 0.12079639,
        5: -0.05844174,
        10: -0.04701425,
        20: -0.02795547,
    },
    (19, 1): {
        0.5: 5.49180403,
        1: 1.06140885,
        2: 0.10958113,
        5: -0.05723714,
        10: -0.0454635,
        20: -0.02694298,
    },
    (27, 1): {
        0.5: 5.50705246,
        1: 1.0654522,
        2: 0.11070759,
        5: -0.0570014,
        10: -0.04538144,
        20: -0.02691091,
    },
}
"""Simple cubic cell at Gamma; N = 14 at rs = 1 is also in the documentation of CC4S."""


def gas(n, rs, polarisation, **keys):
    structure = {"kind": "electron-gas", "rs": rs, "electrons": n, "polarisation": polarisation}
    return {"structure": structure | keys, "mean_field": {"method": "plane-waves"}}


def method(walkers, steps):
    return {
        "ansatz": {"name": "slater"},
        "precision": "float64",
        "sampler": {"walkers": walkers, "moves": 10, "equilibration": 40},
        "pretrain": {"steps": 0},
        "vmc": {"steps": 0},
        "evaluate": {"min_steps": steps, "max_steps": steps},
    }


def own_images(lattice):
    """Returns the energy of one electron and its images in a background, by the Ewald sum."""
    one = System(
        Cell(jnp.asarray(lattice), True),
        jnp.zeros((0, 3)),
        jnp.zeros(0),
        jnp.zeros(3),
        (),
        electrons(1, 0),
    )
    return float(sum(make_ewald(one, 1e-10)(jnp.zeros((1, 3)), one).values()))


def hartree_fock(lattice, twist, counts):
    """Energy per cell by explicit loops, xi from the Ewald sums of the Hamiltonian."""
    volume, reciprocal = abs(np.linalg.det(lattice)), 2 * np.pi * np.linalg.inv(lattice).T
    cube = np.array(list(itertools.product(range(-5, 6), repeat=3)))
    k = (cube + twist) @ reciprocal
    k = k[np.argsort(np.sum(k**2, axis=1))]
    kinetic = sum(0.5 * q @ q for n in counts for q in k[:n])
    exchange = sum(
        -2 * np.pi / volume / np.sum((p - q) ** 2)
        for n in counts
        for p, q in itertools.permutations(k[:n], 2)
    )
    return kinetic + exchange + sum(counts) * own_images(lattice)


def solved(folder, material, twist=(0, 0, 0)):
    run = sections(material, {}, twist, "complex")
    return read_mean_field(inputs(folder, run)["mean_field"])


@pytest.mark.parametrize("kind", LITERATURE, ids=str)
def test_mean_field_energy_is_the_published_one(tmp_path, kind):
    for rs, value in LITERATURE[kind].items():
        found = solved(tmp_path / str(rs), gas(kind[0], rs, kind[1])).total / kind[0]
        assert found == pytest.approx(value, abs=1e-8)


TWISTED = {
    "bcc": (gas(8, 3.0, 0.25, lattice="bcc"), (0.13, 0.27, -0.21)),
    "fcc": (gas(9, 2.0, 1 / 9, lattice="fcc"), (0.05, -0.4, 0.31)),
    "any": (
        gas(5, 1.0, 0.2, lattice_rows=[[2, 0, 0.1], [0.4, 1, 0], [0, 0.2, 1.5]]),
        (0.25, 0.1, 0.45),
    ),
}


@pytest.mark.parametrize("name", TWISTED)
def test_mean_field_energy_at_a_twist_is_the_explicit_sum(tmp_path, name):
    material, twist = TWISTED[name]
    found = solved(tmp_path, material, twist)
    structure = material["structure"]
    up = round(structure["electrons"] * (1 + structure["polarisation"]) / 2)
    expected = hartree_fock(found.lattice, np.array(twist), (up, structure["electrons"] - up))
    assert found.total == pytest.approx(expected, abs=1e-8)
    volume = structure["electrons"] * 4 * np.pi / 3 * structure["rs"] ** 3
    assert abs(np.linalg.det(found.lattice)) == pytest.approx(volume, rel=1e-12)


MONTE_CARLO = {  # electrons, rs, polarisation, twist, walkers, steps
    "N=14": (gas(14, 1.0, 0), (0, 0, 0), 250, 60),
    "N=7 polarised": (gas(7, 20.0, 1), (0, 0, 0), 250, 80),
    "any cell at a twist": (*TWISTED["any"], 250, 80),
    "two electrons": (gas(2, 5.0, 0), (0.1, 0.2, 0.3), 500, 300),
}
LONG = ("N=7 polarised", "any cell at a twist")
"""Left to the long tests: what they compile takes a minute, and the others cover their parts."""
SLOW = {  # electrons, rs, polarisation, twist, walkers, steps
    "N=14": (gas(14, 0.5, 0), (0, 0, 0), 400, 400),
    "N=54": (gas(54, 5, 0), (0, 0, 0), 400, 200),
    "N=7 polarised": (gas(7, 2, 1), (0, 0, 0), 400, 400),
    "N=19 polarised": (gas(19, 10, 1), (0, 0, 0), 400, 200),
    "N=27 polarised": (gas(27, 20, 1), (0, 0, 0), 400, 200),
}


def deviation(folder, case):
    """Returns (VMC - mean field, error), hartree per electron."""
    material, twist, walkers, steps = case
    result = stages(folder, sections(material, method(walkers, steps), twist, "complex"))
    n = material["structure"]["electrons"]
    gap = result["energy_ha"] - result["mean_field_ha"]
    return gap / n, result["error_ha"] / n, result


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow if name in LONG else ()) for name in MONTE_CARLO],
)
def test_the_plane_wave_determinant_has_the_mean_field_energy(tmp_path, name):
    gap, error, result = deviation(tmp_path, MONTE_CARLO[name])
    rs = MONTE_CARLO[name][0]["structure"]["rs"]
    assert error < 4e-3 / rs
    assert abs(gap) < 3.5 * error
    assert result["potential_en_ha"] == result["potential_nn_ha"] == 0


@pytest.mark.slow
@pytest.mark.parametrize("name", SLOW)
def test_the_plane_wave_determinant_has_the_published_energies(tmp_path, name):
    """In units of rs it is the same at every density: T goes with 1 / rs^2, V with 1 / rs."""
    structure = SLOW[name][0]["structure"]
    n, own = structure["electrons"], structure["rs"]
    gap, error, result = deviation(tmp_path, SLOW[name])
    assert error < 1e-3 / own
    assert abs(gap) < 3.5 * error
    kinetic, potential = result["kinetic_ha"] / n, result["potential_ha"] / n
    assert result["kinetic_error_ha"] < 1e-9 * abs(result["kinetic_ha"])
    for rs, published in LITERATURE[n, structure["polarisation"]].items():
        scaled = kinetic * (own / rs) ** 2 + potential * own / rs
        assert abs(scaled - published) < 3.5 * error * own / rs, rs


def test_kinetic_energy_of_plane_waves_has_no_variance(tmp_path):
    _, _, result = deviation(tmp_path, MONTE_CARLO["two electrons"])
    material, twist, *_ = MONTE_CARLO["two electrons"]
    lattice = solved(tmp_path / "again", material, twist).lattice
    k = np.array(twist) @ (2 * np.pi * np.linalg.inv(lattice).T)
    assert result["kinetic_ha"] == pytest.approx(k @ k, rel=1e-9)
    assert result["kinetic_error_ha"] < 1e-10
