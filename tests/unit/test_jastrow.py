"""The pair factor: Kato's cusps for any charges and masses, smoothness at the boundary."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from engine.system.cell import Cell
from engine.system.system import Species, System, electrons
from engine.wavefunction.jastrow import PairFactor, pair_kinds

LATTICE = jnp.asarray([[5.0, 0.0, 0.0], [1.0, 6.0, 0.0], [0.0, 0.5, 7.0]])
POSITRON = (Species("up", 2), Species("down", 1), Species("positron", 1, charge=1.0))
MUON = (Species("up", 1), Species("muon", 1, mass=206.768))


def _system(species, *, periodic):
    cell = Cell(LATTICE, True) if periodic else Cell.open()
    return System(cell, jnp.zeros((1, 3)), jnp.ones(1), jnp.zeros(3), ("H",), species)


def _slope(system, i, j, step=1e-6):
    """Returns dJ/dr of particles i and j meeting in a random direction, others elsewhere."""
    walker = jnp.asarray(np.random.default_rng(0).uniform(0, 4, (system.n_particles, 3)))
    direction = jnp.asarray([0.6, -0.48, 0.64])
    factor = PairFactor(jnp.float64)
    params = factor.init(jax.random.key(0), walker, system)

    def along(t, sign):
        return factor.apply(params, walker.at[j].set(walker[i] + sign * t * direction), system)

    slopes = [jax.grad(along)(step, sign) for sign in (1.0, -1.0)]
    return float(slopes[0] + slopes[1]) / 2


@pytest.mark.parametrize("periodic", [False, True])
@pytest.mark.parametrize(
    ("species", "i", "j", "cusp"),
    [
        (electrons(2, 1), 0, 1, 1 / 4),
        (electrons(2, 1), 0, 2, 1 / 2),
        (POSITRON, 0, 3, -1 / 2),
        (POSITRON, 2, 3, -1 / 2),
        (MUON, 0, 1, 206.768 / 207.768),
    ],
)
def test_cusps(species, i, j, cusp, periodic):
    np.testing.assert_allclose(_slope(_system(species, periodic=periodic), i, j), cusp, atol=1e-5)


def test_kinds_are_numbered_without_gaps():
    kinds = pair_kinds(_system(POSITRON, periodic=False))[2]
    assert sorted(set(kinds.tolist())) == [0, 1, 2, 3]


def test_a_single_particle_has_no_factor_and_no_parameters():
    system = _system(electrons(1, 0), periodic=False)
    factor = PairFactor(jnp.float32)
    params = factor.init(jax.random.key(0), jnp.zeros((1, 3), jnp.float32), system)
    assert not params
    value = factor.apply(params, jnp.zeros((1, 3), jnp.float32), system)
    assert float(value) == 0 and value.dtype == jnp.float32


def test_even_and_smooth_at_the_cell_boundary():
    system = _system(electrons(1, 1), periodic=True)
    factor = PairFactor(jnp.float64)
    params = factor.init(jax.random.key(0), jnp.eye(2, 3), system)

    def across(t):
        return factor.apply(params, jnp.stack([jnp.zeros(3), (0.5 + t) * LATTICE[0]]), system)

    first, third = jax.grad(across), jax.grad(jax.grad(jax.grad(across)))
    np.testing.assert_allclose(across(0.1), across(-0.1), rtol=1e-12)
    np.testing.assert_allclose([first(0.0), third(0.0)], 0, atol=1e-10)


@pytest.mark.parametrize("periodic", [False, True])
def test_finite_where_two_particles_meet(periodic):
    system = _system(electrons(1, 1), periodic=periodic)
    factor = PairFactor(jnp.float64)
    params = factor.init(jax.random.key(0), jnp.eye(2, 3), system)
    value, slope = jax.value_and_grad(lambda x: factor.apply(params, x, system))(jnp.ones((2, 3)))
    np.testing.assert_allclose(value, -0.5, rtol=1e-9)
    assert np.isfinite(slope).all()
