"""The sampler draws from the density it is given."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from engine.config import SamplerConfig
from engine.config.method import ACCEPTANCES
from engine.sampler.initial import home_nuclei, initial_walkers
from engine.sampler.metropolis import make_metropolis, room
from engine.system.cell import Cell
from engine.system.system import Species, System, electrons


def system(cell=None, species=None, positions=((0.0, 0.0, 0.0),), charges=(1.0,)):
    return System(
        cell=cell or Cell.open(),
        positions=jnp.asarray(positions, float).reshape(-1, 3),
        charges=jnp.asarray(charges, float),
        twist=jnp.zeros(3),
        symbols=("H",) * len(charges),
        species=species or electrons(1, 0),
    )


def sampled(log_density, here, walkers=2000, steps=60, **options):
    sampler = make_metropolis(SamplerConfig(walkers=walkers, moves=10, **options))
    start = initial_walkers(jax.random.key(0), here, walkers, jnp.float64)
    state = sampler.init(start, here)
    step = jax.jit(lambda key, state, adapt: sampler.step(key, log_density, state, here, adapt))
    infos = []
    for i in range(steps):
        state, info = step(jax.random.key(i), state, 1.0 if i < steps // 2 else 0.0)
        infos.append(info)
    return state, infos


PROPOSALS = pytest.mark.parametrize("proposal", sorted(ACCEPTANCES))


@PROPOSALS
def test_hydrogen_density_moments_and_acceptance(proposal):
    density = lambda r: -2 * jnp.linalg.norm(r, axis=-1).sum(-1)
    state, infos = sampled(density, system(), proposal=proposal)
    radius = np.linalg.norm(state.walkers[:, 0], axis=-1)
    assert radius.mean() == pytest.approx(1.5, abs=4 * 0.87 / np.sqrt(2000))
    assert (1 / radius).mean() == pytest.approx(1.0, abs=0.1)
    wanted = ACCEPTANCES[proposal]
    assert float(infos[-1]["acceptance"]) == pytest.approx(wanted, abs=0.05)


@PROPOSALS
def test_a_density_with_a_node_is_drawn_from(proposal):
    """2p of hydrogen: x^2 has mean and variance 6, 108, z^2 18, 396, and |z| < 1/2 a share 0.00491.

    The gradient of log psi has no bound at z = 0.
    """
    density = lambda r: 2 * jnp.log(jnp.abs(r[:, 0, 2])) - jnp.linalg.norm(r[:, 0], axis=-1)
    state, _ = sampled(density, system(), walkers=8000, steps=100, proposal=proposal)
    place = np.asarray(state.walkers)[:, 0]
    error = np.sqrt(np.array([108, 108, 396]) / 8000)
    assert np.abs(np.mean(place**2, axis=0) - [6, 6, 18]) / error == pytest.approx(0, abs=4)
    near = np.mean(np.abs(place[:, 2]) < 0.5)
    assert near == pytest.approx(0.00491, abs=4 * np.sqrt(0.00491 / 8000))


@PROPOSALS
def test_electrons_and_positrons_have_widths_of_their_own(proposal):
    """A density that holds the electrons thirty times tighter than the positron."""
    tight, wide = 0.1, 3.0
    spread = np.array([tight, tight, wide])
    both = system(species=(*electrons(1, 1), Species("positron_up", 1, 1.0)))
    log_density = lambda r: -((r / spread[:, None]) ** 2 / 2).sum((-1, -2))
    state, infos = sampled(log_density, both, steps=200, proposal=proposal)
    found = np.asarray(state.walkers).std(axis=(0, 2))
    assert found == pytest.approx(spread, rel=5 / np.sqrt(2 * 3 * 2000))
    last = infos[-1]
    assert last["width_bohr"] < 3 * tight and last["width_positron_up_bohr"] > 0.5 * wide
    assert float(last["acceptance"]) == pytest.approx(ACCEPTANCES[proposal], abs=0.05)


def test_width_is_frozen_without_adaptation():
    _, infos = sampled(lambda r: -(r**2).sum((-1, -2)), system())
    widths = [float(i["width_bohr"]) for i in infos]
    assert widths[1] != widths[0] and len(set(widths[30:])) == 1


@PROPOSALS
def test_periodic_walkers_stay_in_the_cell_and_follow_the_density(proposal):
    lattice = jnp.array([[4.0, 0.0, 0.0], [1.0, 5.0, 0.0], [0.0, 0.5, 6.0]])
    here = system(cell=Cell(lattice, periodic=True))
    b = here.cell.reciprocal

    def log_density(r):
        return jnp.log(1 + 0.8 * jnp.cos(r[:, 0] @ b[0]))

    state, _ = sampled(log_density, here, walkers=4000, proposal=proposal)
    frac = np.asarray(here.cell.fractional(state.walkers))
    assert frac.min() >= 0 and frac.max() < 1 + 1e-12
    mean = np.cos(np.asarray(state.walkers[:, 0]) @ np.asarray(b[0])).mean()
    assert mean == pytest.approx(0.4, abs=4 * 0.65 / np.sqrt(4000))


@pytest.mark.parametrize(
    ("charge", "skew"), [(1.0, (1.0, 0.5)), (8.0, (1.0, 0.5)), (3.0, (3.5, 3.0))]
)
def test_moves_that_grow_with_the_distance_from_nuclei_leave_a_flat_density_flat(charge, skew):
    lattice = jnp.array([[4.0, 0.0, 0.0], [skew[0], 4.0, 0.0], [0.0, skew[1], 4.0]])
    here = system(Cell(lattice, periodic=True), electrons(1, 1), charges=(charge,))
    state, _ = sampled(lambda r: jnp.zeros(len(r)), here, walkers=4000, width_bohr=0.4)
    images = np.array(list(itertools.product((-1, 0, 1), repeat=3))) @ np.asarray(lattice)
    d = np.asarray(here.cell.nearest_image(state.walkers - here.positions))[..., None, :] + images
    inside = np.sum(np.linalg.norm(d, axis=-1).min(axis=-1) < 1.0)
    share = 4 * np.pi / 3 / 64
    assert inside == pytest.approx(8000 * share, abs=4 * np.sqrt(8000 * share * (1 - share)))


def test_the_length_of_moves_is_that_of_the_shell_and_positrons_have_none():
    both = system(
        species=(*electrons(1, 1), Species("positron_up", 1, 1.0)),
        positions=((0, 0, 0), (3, 0, 0)),
        charges=(3.0, 1.0),
    )
    walkers = jnp.array([[[0, 0, 0], [3, 0, 4], [0, 0, 0.5]]], float)
    assert room(walkers, both) == pytest.approx(np.array([[1 / 3, 5.0, 1.0]]))


def test_electrons_start_at_their_nuclei():
    lih = system(species=electrons(2, 2), positions=((0, 0, 0), (3, 0, 0)), charges=(3.0, 1.0))
    homes = home_nuclei(lih)
    assert sorted(np.bincount(homes)) == [1, 3]
    chain = system(
        species=electrons(2, 2), positions=[(i, 0, 0) for i in range(4)], charges=(1.0,) * 4
    )
    assert sorted(home_nuclei(chain)) == [0, 1, 2, 3]


def test_no_nuclei_and_positrons():
    cell = Cell(3 * jnp.eye(3), periodic=True)
    gas = System(
        cell,
        jnp.zeros((0, 3)),
        jnp.zeros(0),
        jnp.zeros(3),
        (),
        (Species("up", 2), Species("positron", 1, 1.0)),
    )
    walkers = initial_walkers(jax.random.key(1), gas, 16, jnp.float32)
    assert walkers.shape == (16, 3, 3) and walkers.dtype == jnp.float32
    assert float(walkers.min()) >= 0 and float(walkers.max()) < 3


def test_a_flat_density_does_not_widen_the_moves_beyond_the_cell():
    gas = System(
        Cell(2.5 * jnp.eye(3), True),
        jnp.zeros((0, 3)),
        jnp.zeros(0),
        jnp.zeros(3),
        (),
        electrons(1, 1),
    )
    sampler = make_metropolis(SamplerConfig(moves=1, width_bohr=0.5))
    walkers = initial_walkers(jax.random.key(1), gas, 4, jnp.float32)
    state = sampler.init(walkers, gas)
    rs = (3 * 2.5**3 / (8 * np.pi)) ** (1 / 3)
    assert state.width == pytest.approx(0.5 * rs, rel=1e-6)
    for step in range(20):
        flat = lambda r: jnp.zeros(len(r))
        state, _ = sampler.step(jax.random.key(step), flat, state, gas, 1.0)
    assert state.width == pytest.approx(2.5, rel=1e-6)


@pytest.mark.parametrize("nowhere", [-jnp.inf, jnp.nan])
@PROPOSALS
def test_walkers_that_start_where_there_is_no_density_move_to_where_there_is(nowhere, proposal):
    here = system()
    options = SamplerConfig(walkers=200, moves=20, width_bohr=0.5, proposal=proposal)
    sampler = make_metropolis(options)
    start = jnp.full((200, 1, 3), 2.0).at[:100].set(0.5)

    def log_density(walkers):
        r = jnp.linalg.norm(walkers[:, 0], axis=-1)
        return jnp.where(r < 2.5, -2 * r, nowhere)

    state, info = sampler.step(jax.random.key(3), log_density, sampler.init(start, here), here, 0)
    inside = jnp.linalg.norm(state.walkers[:, 0], axis=-1) < 2.5
    assert inside[:100].all() and inside[100:].sum() > 80
    assert 0 < info["acceptance"] < 1


@PROPOSALS
def test_the_density_stands_in_the_program_once(proposal):
    """With its gradient: forwards and backwards."""
    here = system(species=(*electrons(1, 1), Species("positron_up", 1, 1.0)))
    sampler = make_metropolis(SamplerConfig(walkers=8, moves=3, proposal=proposal))
    calls = []

    @jax.jit
    def log_density(walkers):
        calls.append(len(walkers))
        return -jnp.linalg.norm(walkers, axis=-1).sum(-1)

    state = sampler.init(jnp.ones((8, 3, 3)), here)
    step = lambda state: sampler.step(jax.random.key(1), log_density, state, here, 0.0)
    text = jax.jit(step).lower(state).as_text()
    assert text.count("call @log_density") == (2 if proposal == "langevin" else 1)


def test_the_acceptance_counts_moves_alone():
    """A flat density accepts them all, and the move that goes nowhere is none of them."""
    flat = lambda walkers: jnp.zeros(len(walkers))
    here = system(positions=(), charges=(), species=(*electrons(1, 1), Species("p", 1, 1.0)))
    sampler = make_metropolis(SamplerConfig(walkers=16, moves=4))
    state = sampler.init(jnp.ones((16, 3, 3)), here)
    _, info = sampler.step(jax.random.key(1), flat, state, here, 0.0)
    assert info["acceptance"] == 1.0
