"""Estimators on samples whose averages are known in closed form."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from engine.config import EvaluateConfig
from engine.config.evaluate import OBSERVABLES
from engine.errors import ConfigError, Interrupted
from engine.estimator import ESTIMATORS, make_estimators
from engine.io import hdf5
from engine.io.observables import unpack
from engine.stage import evaluate as stage
from engine.system.cell import Cell
from engine.system.system import System, electrons
from engine.types import LogPsi, Wavefunction
from tests.chain import sections, stages
from tests.exact.test_electron_gas import gas, method

SIGMAS = 4.5
FCC = np.array([[0.0, 1, 1], [1, 0, 1], [1, 1, 0]]) / 2
SKEWED = np.array([[5.0, 0, 0.3], [1.2, 4.6, 0], [0, 0.7, 5.4]])


def close(found, expected, error):
    return np.all(np.abs(found - expected) < SIGMAS * np.asarray(error) + 1e-12)


def system(species, lattice=None, nuclei=(), charges=()):
    return System(
        Cell.open() if lattice is None else Cell(jnp.asarray(lattice), True),
        jnp.asarray(nuclei, float).reshape(-1, 3),
        jnp.asarray(charges, float),
        jnp.zeros(3),
        ("H",) * len(charges),
        species,
    )


def measured(name, here, draw, psi=None, steps=64, energy=None, **options):
    """Runs one estimator over `steps` batches of walkers drawn by draw(rng).

    Local energies are those of energy(walkers); zero, as if psi were exact, where it is left out.
    """
    wavefunction = Wavefunction(None, lambda params, r, system, reference: psi(r))
    options = EvaluateConfig(observables=[name], **options)
    estimator = make_estimators(options, wavefunction, here)[name]
    state, update, rng = estimator.init(), jax.jit(estimator.update), np.random.default_rng(8)
    for step in range(steps):
        walkers = jnp.asarray(draw(rng))
        local = jnp.zeros(len(walkers)) if energy is None else energy(walkers)
        state = update(state, {}, walkers, local, here, None, jax.random.key(step))
    return estimator.finish(state, here)


def test_every_name_of_the_configuration_has_an_estimator():
    assert set(ESTIMATORS) == set(OBSERVABLES)


# --- the plane-wave determinant ----------------------------------------------------------


@pytest.fixture(scope="module")
def plane_waves(tmp_path_factory):
    names = ["structure-factor", "pair-correlation", "momentum-distribution", "spin-squared"]
    run = method(128, 64)
    run["sampler"]["moves"] = 30  # nearly independent steps
    run["evaluate"] |= {"observables": [*names, "density"], "wave_shells": 6, "bins": 10, "grid": 3}
    folder = tmp_path_factory.mktemp("gas")
    stages(folder, sections(gas(14, 1.0, 0), run, number="complex"))
    return unpack(hdf5.read(folder / "result.h5", "energy").data)


def test_structure_factor_of_closed_shells(plane_waves):
    """S(G) = 1 - overlap of the Fermi sea with itself shifted by G."""
    found = plane_waves["structure_factor"]
    wave = found.axes["wavevector"][0]
    edge = (14 * 4 * np.pi / 3) ** (1 / 3)
    shells = np.round(np.sort(np.abs(wave), axis=1)[:, ::-1] * edge / (2 * np.pi)).astype(int)
    expected = {(1, 0, 0): 5 / 7, (1, 1, 0): 5 / 7, (1, 1, 1): 1.0, (2, 0, 0): 6 / 7, (2, 1, 0): 1}
    for shell, value in expected.items():
        chosen = np.all(shells == shell, axis=1)
        assert chosen.sum() > 2
        error = np.sqrt(np.sum(found.error[chosen] ** 2)) / chosen.sum()
        assert error < 0.02
        assert close(found.value[chosen].mean(), value, error)
    assert close(found.value, plane_waves["spin_structure_factor"].value, 2 * found.error)


def test_pair_correlation_of_closed_shells(plane_waves):
    """g(r) = 1 - |sum_k exp(i k.r) / N_s|^2 of equal spins, averaged over directions."""
    found = plane_waves["pair_correlation"]
    r, edge = found.axes["radius"][0], (14 * 4 * np.pi / 3) ** (1 / 3)
    sea = np.array([[0, 0, 0], *np.eye(3), *-np.eye(3)]) * 2 * np.pi / edge
    q = np.linalg.norm(sea[:, None] - sea, axis=-1).ravel()
    width = r[1] - r[0]
    fine = (r[:, None] + width * (np.arange(40) + 0.5 - 20) / 40)[..., None]
    hole = np.mean(np.sinc(q * fine / np.pi), axis=-1)
    weight = fine[..., 0] ** 2
    like = 1 - np.sum(hole * weight, axis=1) / np.sum(weight, axis=1)
    assert found.label == ("up-up", "up-down", "down-down")
    for row, expected in enumerate((like, np.ones_like(like), like)):
        # The first bin has few pairs, of equal spins mostly none: no error bar.
        assert close(found.value[row, 1:], expected[1:], found.error[row, 1:])
    assert like[0] < 0.02 and found.value[[0, 2], 0].max() < 0.1
    assert found.error[:, 3:].max() < 0.1


def test_momentum_distribution_is_the_fermi_sea(plane_waves):
    found = plane_waves["momentum_distribution"]
    k = np.linalg.norm(found.axes["wavevector"][0], axis=1)
    edge = (14 * 4 * np.pi / 3) ** (1 / 3)
    inside = k < 1.01 * 2 * np.pi / edge
    assert inside.sum() == 7 and found.label == ("up", "down")
    assert close(found.value, inside.astype(float), found.error)
    assert found.error.max() < 0.1


def test_a_closed_shell_has_no_spin_without_variance(plane_waves):
    assert abs(plane_waves["spin_squared"].value) < 1e-9


def test_the_gas_is_uniform(plane_waves):
    found, volume = plane_waves["density"], 14 * 4 * np.pi / 3
    assert found.label == ("up", "down", "charge", "spin")
    assert found.value.shape == (4, 3, 3, 3)
    expected = np.array([7, 7, -14, 0]) / volume
    assert close(found.value, expected[:, None, None, None], found.error)
    sums = found.value.sum(axis=(1, 2, 3)) * volume / 27
    np.testing.assert_allclose(sums, [7, 7, -14, 0], atol=1e-9)


# --- independent particles ---------------------------------------------------------------


def hydrogen(rng, n=200):
    """Exact samples of exp(-2 r)."""
    direction = rng.normal(size=(n, 1, 3))
    radius = rng.gamma(3.0, 0.5, size=(n, 1, 1))
    return radius * direction / np.linalg.norm(direction, axis=-1, keepdims=True)


def test_hydrogen_density():
    here = system(electrons(1, 0), nuclei=[[0.0, 0, 0]], charges=[1.0])
    found = measured("density", here, hydrogen, bins=16, grid=4)
    radial = found["radial_density"]
    assert radial.axes["nucleus"][0] == [1]
    r = radial.axes["radius"][0]
    edges = np.append(r - (r[1] - r[0]) / 2, r[-1] + (r[1] - r[0]) / 2)
    inside = 1 - np.exp(-2 * edges) * (1 + 2 * edges + 2 * edges**2)
    expected = np.diff(inside) / (4 * np.pi / 3 * np.diff(edges**3))
    assert close(radial.value[0, 0], expected, radial.error[0, 0] + 1e-6)
    corner, rows = found["density"].axes["box"][0][0], found["density"].axes["box"][0][1:]
    np.testing.assert_allclose((corner, np.diag(rows)), ([-6] * 3, [12] * 3))
    electron, charge, spin = found["density"].value
    assert electron.sum() * 3**3 == pytest.approx(1, abs=1e-3)
    np.testing.assert_array_equal((-charge, spin), (electron, electron))


def test_dipole_of_shifted_electrons():
    here = system(electrons(1, 1), nuclei=[[1.0, 2, 0]], charges=[2.0])
    shift = np.array([0.3, -0.2, 0.0])
    draw = lambda rng: np.array([1.0, 2, 0]) + shift + rng.normal(size=(100, 2, 3))
    found = measured("dipole", here, draw)["dipole"]
    assert found.unit == "e bohr"
    assert close(found.value, -2 * shift, found.error) and found.error.max() < 0.04


def test_structure_factor_leaves_out_the_average_density_wave():
    """Independent particles of density wave w have S(G) = 1 - |w|^2."""
    here = system(electrons(2, 1), SKEWED)
    width = np.array([0.12, 0.2, 0.15])  # of Gaussians, fractions of the cell
    draw = lambda rng: (0.3 + width * rng.normal(size=(200, 3, 3))) @ SKEWED
    found = measured("structure-factor", here, draw, wave_shells=5)["structure_factor"]
    frac = found.axes["wavevector"][0] @ SKEWED.T
    wave = np.exp(-0.5 * np.sum((frac * width) ** 2, axis=1))
    assert wave.max() > 0.3
    assert close(found.value, 1 - wave**2, found.error + 5e-3)


def test_errors_of_the_structure_factor_are_the_scatter_of_repetitions():
    """At a large density wave |rho|^2 and |<rho>|^2 fluctuate together."""
    here = system(electrons(2, 1), SKEWED)
    width = np.array([0.05, 0.06, 0.04])
    found = []
    for repetition in range(14):
        noise = lambda rng, k=repetition: np.random.default_rng([k, rng.integers(2**31)])
        draw = lambda rng: width * noise(rng).normal(size=(50, 3, 3)) @ SKEWED  # noqa: B023
        found.append(measured("structure-factor", here, draw, wave_shells=3)["structure_factor"])
    frac = found[0].axes["wavevector"][0] @ SKEWED.T
    wave = np.exp(-0.5 * np.sum((frac * width) ** 2, axis=1))
    scatter = np.std([f.value for f in found], axis=0, ddof=1)
    error = np.mean([f.error for f in found], axis=0)
    assert wave.min() > 0.9
    assert 0.7 < np.sqrt(np.mean((error / scatter) ** 2)) < 1.6


def test_pairs_do_not_see_which_vectors_span_the_lattice():
    found = []
    for rows in (SKEWED, np.array([[1, 0, 0], [3, 1, 0], [2, -2, 1]]) @ SKEWED):
        here = system(electrons(1, 1), rows)
        draw = lambda rng: rng.random((40, 2, 3)) @ SKEWED
        found.append(measured("pair-correlation", here, draw, bins=7)["pair_correlation"])
    np.testing.assert_allclose(found[1].axes["radius"][0], found[0].axes["radius"][0])
    np.testing.assert_allclose(found[1].value, found[0].value)
    assert close(found[0].value, 1.0, found[0].error)


def test_pair_density_counts_the_others_and_is_the_structure_factor():
    """N FT[n](G) = <|rho_G|^2> - N; particles at points of the grid, where it is exact."""
    n, drawn, here = 6, [], system(electrons(2, 1), SKEWED)

    def draw(rng):
        drawn.append(rng.integers(0, n, (40, 3, 3)) / n)
        return drawn[-1] @ SKEWED

    found = measured("pair-density", here, draw, grid=n)["pair_density"]
    voxel = np.linalg.det(SKEWED) / n**3
    assert np.sum(found.value) * voxel == pytest.approx(2)
    grid = np.stack(np.meshgrid(*[np.arange(n) / n] * 3, indexing="ij"), axis=-1)
    for wave in ([1, 0, 0], [1, -2, 1]):
        rho = np.exp(-2j * np.pi * np.concatenate(drawn) @ wave).sum(axis=1)
        transform = voxel * np.sum(found.value[0] * np.exp(-2j * np.pi * grid @ wave))
        assert transform == pytest.approx(np.mean(np.abs(rho) ** 2) / 3 - 1, abs=1e-9)


def test_a_single_particle_has_no_pairs():
    here = system(electrons(1, 0), SKEWED)
    draw = lambda rng: rng.random((10, 1, 3)) @ SKEWED
    found = measured("pair-correlation", here, draw, bins=7)["pair_correlation"]
    assert found.value.shape == (0, 7) and found.label == ()


def test_polarisation_is_the_place_of_the_charge():
    nucleus, offset, width = np.array([0.2, 0.1, 0.4]), np.array([0.1, -0.15, 0.3]), 0.06
    here = system(electrons(1, 0), SKEWED, nuclei=[nucleus @ SKEWED], charges=[1.0])
    draw = lambda rng: (nucleus + offset + width * rng.normal(size=(100, 1, 3))) @ SKEWED
    found = measured("polarisation", here, draw)["polarisation"]
    z = np.exp(-2j * np.pi * offset - 0.5 * (2 * np.pi * width) ** 2)
    assert close(found.value, np.concatenate([z.real, z.imag]), found.error)


@pytest.mark.parametrize("sign, expected", [(1, 0.0), (-1, 2.0)], ids=["singlet", "triplet"])
def test_spin_of_two_electrons(sign, expected):
    def psi(r):
        value = jnp.exp(-jnp.sum(r**2) / 2) * (r[0, 0] + sign * r[1, 0])
        return LogPsi(jnp.log(jnp.abs(value)), jnp.where(value < 0, jnp.pi, 0.0))

    here = system(electrons(1, 1), nuclei=[[0.0, 0, 0]], charges=[2.0])
    draw = lambda rng: rng.normal(size=(10, 2, 3))
    found = measured("spin-squared", here, draw, psi, steps=4)["spin_squared"]
    assert found.value == pytest.approx(expected, abs=1e-12)


def test_momentum_of_one_electron_in_two_plane_waves():
    """psi = 0.8 + 0.6 exp(i b_1.r) occupies two waves, the first with 0.64."""
    here = system(electrons(1, 0), SKEWED)
    b1 = 2 * np.pi * np.linalg.inv(SKEWED).T[0]

    def psi(r):
        value = jnp.log(0.8 + 0.6 * jnp.exp(1j * r[0] @ b1))
        return LogPsi(value.real, value.imag)

    def draw(rng):
        frac = rng.random((4000, 1, 3))
        density = 1 + 0.96 * np.cos(2 * np.pi * frac[:, 0, 0])
        return frac[rng.random(4000) < density / 1.96][:1000] @ SKEWED

    found = measured("momentum-distribution", here, draw, psi, steps=20, wave_shells=3)
    found = found["momentum_distribution"]
    frac = np.round(found.axes["wavevector"][0] @ SKEWED.T / (2 * np.pi)).astype(int)
    expected = [{(0, 0, 0): 0.64, (1, 0, 0): 0.36}.get(tuple(n), 0.0) for n in frac]
    assert sum(expected) == pytest.approx(1)
    assert close(found.value[0], np.array(expected), found.error[0])
    assert found.error.max() < 0.03


@pytest.mark.parametrize("width, shift", [(0.0, 0.0), (0.4, 3.0)])
def test_order_of_electrons_about_the_sites_of_a_crystal(width, shift):
    """Independent Gaussians about the sites: (1 - 1/N) exp(-b^2 width^2) + 1/N, anywhere."""
    sites, cell = np.array([2, 3, 1]), np.diag([4.0, 6.0, 2.0]) @ (np.eye(3) + 0.2 * FCC)
    grid = np.stack(np.meshgrid(*map(np.arange, sites), indexing="ij"), -1).reshape(-1, 3)
    here = system(electrons(4, 2), cell)
    draw = lambda rng: grid / sites @ cell + shift + width * rng.normal(size=(100, 6, 3))
    found = measured("order-parameter", here, draw, sites=sites.tolist())["order_parameter"]
    shortest = np.linalg.norm(2 * np.pi * np.linalg.inv(cell / sites[:, None]), axis=0)
    decay = np.exp(-((shortest.min() * width) ** 2))
    assert close(found.value, (1 - 1 / 6) * decay + 1 / 6, found.error)


def test_order_of_independent_electrons_and_of_the_wrong_number_of_sites():
    here = system(electrons(8, 0), np.eye(3) * 5)
    draw = lambda rng: 5 * rng.random((100, 8, 3))
    found = measured("order-parameter", here, draw, sites=[2, 2, 2])["order_parameter"]
    assert close(found.value, 1 / 8, found.error) and found.error < 0.005
    with pytest.raises(ConfigError, match="2 x 2 x 1 sites for 8 electrons"):
        measured("order-parameter", here, draw, sites=[2, 2, 1])


# --- the stage ---------------------------------------------------------------------------


def test_a_resumed_evaluation_has_the_same_observables(tmp_path, monkeypatch):
    run = method(16, 20)
    names = ["structure-factor", "density", "momentum-distribution", "electron-contact"]
    run["evaluate"] |= {"checkpoint_steps": 5, "observables": names}
    case = sections(gas(2, 5.0, 0), run, (0.1, 0.2, 0.3), "complex")
    stages(tmp_path / "whole", case)
    whole = hdf5.read(tmp_path / "whole" / "result.h5", "energy").data
    original = stage.make_measurement

    def killed(job, estimators):
        advance, prepare = original(job, estimators)

        def until(state, step):
            if step == 13:
                raise Interrupted("killed")
            return advance(state, step)

        return until, prepare

    monkeypatch.setattr(stage, "make_measurement", killed)
    with pytest.raises(Interrupted):
        stages(tmp_path / "again", case)
    monkeypatch.setattr(stage, "make_measurement", original)
    stages(tmp_path / "again", case)
    again = hdf5.read(tmp_path / "again" / "result.h5", "energy").data
    assert set(again) == set(whole) and "observables/density/value" in whole
    for name in whole:
        np.testing.assert_array_equal(again[name], whole[name], err_msg=name)
