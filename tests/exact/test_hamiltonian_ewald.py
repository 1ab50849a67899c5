"""Ewald sums against lattice constants of the literature and an independent summation."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import erfc

from engine.hamiltonian.ewald import make_ewald
from engine.system.cell import Cell
from engine.system.system import Species, System, electrons

FCC = np.array([[0.0, 1, 1], [1, 0, 1], [1, 1, 0]]) / 2
BCC = np.array([[-1.0, 1, 1], [1, -1, 1], [1, 1, -1]]) / 2
TRICLINIC = np.array([[4.0, 0.3, 0.1], [2.9, 5.1, -0.4], [-3.3, 2.2, 6.3]])
SKEWED = np.array([[1.0, 0, 0], [3, 1, 0], [-2, 4, 1]]) @ TRICLINIC


def crystal(lattice, species, charges=(), positions=()):
    return System(
        Cell(jnp.asarray(lattice, float), True),
        jnp.asarray(positions, float).reshape(-1, 3),
        jnp.asarray(charges, float),
        jnp.zeros(3),
        ("X",) * len(charges),
        species,
    )


def total(system, walker, tolerance=1e-10):
    parts = jax.jit(make_ewald(system, tolerance))(jnp.asarray(walker), system)
    return float(sum(parts.values()))


def textbook(lattice, r, q, alpha, real=6, reciprocal=10):
    """Ewald energy by explicit loops over cubes of images and reciprocal vectors."""
    volume, recip = abs(np.linalg.det(lattice)), 2 * np.pi * np.linalg.inv(lattice).T
    energy = -np.pi * q.sum() ** 2 / (2 * volume * alpha**2) - alpha / np.sqrt(np.pi) * q @ q
    cube = lambda m: np.array(list(itertools.product(range(-m, m + 1), repeat=3)))
    for shift in cube(real) @ lattice:
        d = np.linalg.norm(r[:, None] - r + shift, axis=-1)
        own = d < 1e-12
        d[own] = 1.0
        energy += 0.5 * np.sum(np.where(own, 0.0, np.outer(q, q) * erfc(alpha * d) / d))
    for g in cube(reciprocal) @ recip:
        g2 = g @ g
        if g2 > 1e-12:
            s = np.sum(q * np.exp(1j * r @ g))
            energy += 2 * np.pi / volume * np.exp(-g2 / (4 * alpha**2)) / g2 * abs(s) ** 2
    return energy


def mixture(lattice, seed=0):
    """Two electrons, a positron and three nuclei at random places of a cell."""
    rng = np.random.default_rng(seed)
    species = (*electrons(1, 1), Species("positron", 1, charge=1.0))
    r, nuclei, z = rng.random((3, 3)) @ lattice, rng.random((3, 3)) @ lattice, [3.0, 1.0, 2.0]
    return crystal(lattice, species, z, nuclei), r, np.array([-1, -1, 1, *z])


@pytest.mark.parametrize(
    ("lattice", "distance", "madelung"),
    [(2 * FCC, 1.0, -1.7475645946), (np.eye(3), np.sqrt(3) / 2, -1.7626747731)],
    ids=["NaCl", "CsCl"],
)
def test_madelung_constants(lattice, distance, madelung):
    centre = 0.5 * np.sum(lattice, axis=0)
    nuclei = crystal(lattice, (), [1.0, -1.0], [[0, 0, 0], centre])
    assert total(nuclei, np.zeros((0, 3))) * distance == pytest.approx(madelung, abs=2e-10)
    mixed = crystal(lattice, electrons(1, 0), [1.0], [[0.1, 0.2, 0.3]])
    walker = np.array([[0.1, 0.2, 0.3]]) + centre
    assert total(mixed, walker) * distance == pytest.approx(madelung, abs=2e-10)
    pair = crystal(lattice, (Species("up", 1), Species("positron", 1, charge=1.0)))
    both = np.stack([np.zeros(3), centre])
    assert total(pair, both) * distance == pytest.approx(madelung, abs=2e-10)


@pytest.mark.parametrize(
    ("lattice", "value"),
    [(np.eye(3), -2.837297), (BCC, -2.888462), (FCC, -2.888282)],
    ids=["sc", "bcc", "fcc"],
)
@pytest.mark.parametrize("scale", [1.0, 7.3])
def test_charge_in_its_own_background(lattice, value, scale):
    system = crystal(scale * lattice, electrons(1, 0))
    length = abs(np.linalg.det(scale * lattice)) ** (1 / 3)
    xi = 2 * total(system, [[0.3, 0.1, -2.0]])
    assert xi * length == pytest.approx(value, abs=1e-6)


@pytest.mark.parametrize("lattice", [TRICLINIC, SKEWED], ids=["triclinic", "skewed"])
def test_skewed_cell_by_an_independent_summation(lattice):
    system, r, q = mixture(lattice)
    everything = np.concatenate([r, np.asarray(system.positions)])
    one, two = (textbook(TRICLINIC, everything, q, alpha) for alpha in (0.55, 0.75))
    assert one == pytest.approx(two, abs=1e-9)
    assert total(system, r) == pytest.approx(one, abs=1e-8)


def test_parts_are_the_energies_of_their_charges():
    system, r, q = mixture(TRICLINIC, seed=3)
    parts = jax.jit(make_ewald(system, 1e-10))(jnp.asarray(r), system)
    nuclei = np.asarray(system.positions)
    ee, nn = textbook(TRICLINIC, r, q[:3], 0.6), textbook(TRICLINIC, nuclei, q[3:], 0.6)
    assert float(parts["potential_ee"]) == pytest.approx(ee, abs=1e-8)
    assert float(parts["potential_nn"]) == pytest.approx(nn, abs=1e-8)


def test_pyscf_nuclear_energy():
    gto = pytest.importorskip("pyscf.pbc.gto")
    nuclei = np.array([[0.1, 0.2, 0.3], [1.5, 2.2, 1.7]])
    cell = gto.M(
        a=TRICLINIC,
        atom=[("Li", nuclei[0]), ("H", nuclei[1])],
        unit="B",
        basis={"Li": "sto-3g", "H": "sto-3g"},
        verbose=0,
    )
    system = crystal(TRICLINIC, (), [3.0, 1.0], nuclei)
    assert total(system, np.zeros((0, 3))) == pytest.approx(cell.ewald(), abs=1e-7)


def test_elongated_cell_of_a_chain_in_vacuum():
    lattice = np.diag([7.2, 100.0, 100.0])
    nuclei = np.array([[1.8 * i, 0, 0] for i in range(4)])
    system = crystal(lattice, electrons(2, 2), np.ones(4), nuclei)
    rng = np.random.default_rng(5)
    far = nuclei + rng.normal(size=(4, 3)) * np.array([1, 30, 30])
    ions = np.array([-1.0] * 4 + [1.0] * 4)
    energy = jax.jit(make_ewald(system, 1e-10))
    for walker in (nuclei + rng.normal(size=(4, 3)), far):
        expected = textbook_elongated(lattice, np.concatenate([walker, nuclei]), ions)
        found = float(sum(energy(jnp.asarray(walker), system).values()))
        assert found == pytest.approx(expected, abs=1e-8)


def textbook_elongated(lattice, r, q, alpha=0.2, shells=((4, 1, 1), (3, 36, 36))):
    """As `textbook` for neutral cells, over boxes instead of cubes."""
    volume, recip = abs(np.linalg.det(lattice)), 2 * np.pi * np.linalg.inv(lattice).T
    real, reciprocal = (
        np.stack(np.meshgrid(*(np.arange(-m, m + 1) for m in s), indexing="ij"), -1).reshape(-1, 3)
        for s in shells
    )
    d = r[:, None] - r
    d = d - np.round(d @ np.linalg.inv(lattice)) @ lattice
    d = np.linalg.norm(d[..., None, :] + real @ lattice, axis=-1)
    own = d < 1e-12
    d[own] = 1.0
    pairs = np.sum(np.where(own, 0.0, erfc(alpha * d) / d), axis=-1)
    g = reciprocal[np.any(reciprocal != 0, axis=1)] @ recip
    g2, s = np.sum(g**2, axis=1), np.exp(1j * g @ r.T) @ q
    waves = 2 * np.pi / volume * np.sum(np.exp(-g2 / (4 * alpha**2)) / g2 * abs(s) ** 2)
    return 0.5 * q @ pairs @ q + waves - alpha / np.sqrt(np.pi) * q @ q


@pytest.mark.parametrize("lattice", [TRICLINIC, SKEWED, np.diag([3.0, 20.0, 20.0])])
def test_moving_one_particle_by_lattice_vectors_changes_nothing(lattice):
    system, r, _ = mixture(lattice, seed=1)
    energy = jax.jit(make_ewald(system, 1e-8))
    here = sum(energy(jnp.asarray(r), system).values())
    for shift in np.array([[1, 0, 0], [0, -1, 0], [0, 0, 1], [5, -17, 40]]) @ lattice:
        moved = r.copy()
        moved[1] += shift
        there = sum(energy(jnp.asarray(moved), system).values())
        assert float(there) == pytest.approx(float(here), abs=1e-9)


def test_float32_walkers_lose_only_their_rounding():
    system, r, _ = mixture(TRICLINIC, seed=2)
    single = r.astype(np.float32)
    energy = jax.jit(make_ewald(system, 1e-8))
    a, b = energy(jnp.asarray(single), system), energy(jnp.asarray(single, jnp.float64), system)
    for name in a:
        assert a[name].dtype == jnp.float64
        assert float(a[name]) == pytest.approx(float(b[name]), abs=1e-13)
