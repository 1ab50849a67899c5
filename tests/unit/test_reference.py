"""Reference orbitals: images, phases, refusals, and use inside JAX transformations."""

import dataclasses
import logging

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from engine.errors import ConfigError, DataError
from engine.io.mean_field import MeanField, Shell
from engine.mean_field import lattice_sums
from engine.mean_field.lattice_sums import cheapest, distance_to_cell
from engine.mean_field.reference import evaluate_orbitals, make_reference
from engine.mean_field.unfold import first_zone
from engine.system.cell import Cell
from engine.system.geometry import Geometry
from engine.system.supercell import expand, folded_kpoints
from engine.system.system import System, electrons

LATTICE = np.array([[4.0, 0, 0], [1.0, 4.5, 0], [0.3, -0.6, 5.0]])
S = np.array([[1, 1, 0], [-1, 1, 0], [0, 0, 1]])
GEOMETRY = Geometry(("He", "H"), np.array([[0.1, 0.2, 0.3], [2.0, 1.5, 2.5]]), LATTICE)


def fake(twist, seed=0) -> MeanField:
    """Random orthonormal orbitals, closed under complex conjugation at Gamma."""
    rng = np.random.default_rng(seed)
    kpoints = (
        2
        * np.pi
        * (folded_kpoints(S) + np.asarray(twist) @ np.linalg.inv(S).T)
        @ np.linalg.inv(LATTICE).T
    )
    shells = (
        Shell(0, 0, np.array([1.5, 0.6]), np.array([[1.0], [0.4]])),
        Shell(1, 1, np.array([0.9]), np.array([[0.7]])),
    )
    coeff = np.stack([np.linalg.qr(rng.normal(size=(4, 4)))[0] for _ in kpoints])
    occupation = np.zeros((2, 2, 4))
    occupation[0, :, :2] = occupation[1, :, :1] = 1
    return MeanField(
        kpoints=kpoints,
        coeff=np.stack([coeff, coeff]).astype(complex),
        energy=np.tile(np.arange(4.0), (2, 2, 1)),
        occupation=occupation,
        shells=shells,
        symbols=GEOMETRY.symbols,
        positions=GEOMETRY.positions,
        lattice=LATTICE,
        twist=np.asarray(twist, float),
        total=-1.0,
        nuclear=0.5,
        gap=1.0,
        converged=True,
        n_cells=2,
        method="rhf",
        basis="test",
    )


def system_at(twist, n_up=4, n_down=2) -> System:
    big = expand(GEOMETRY, S)
    return System(
        Cell(jnp.asarray(big.lattice), periodic=True),
        jnp.asarray(big.positions),
        jnp.asarray(big.charges, float),
        jnp.asarray(twist, float),
        big.symbols,
        electrons(n_up, n_down),
    )


def brute_force(mean_field, r):
    """Orbitals of spin up summed over primitive lattice vectors in a large box, plain numpy."""
    box = np.arange(-9, 10)
    T = np.stack(np.meshgrid(box, box, box, indexing="ij"), -1).reshape(-1, 3) @ LATTICE
    d = r - GEOMETRY.positions[:, None] - T
    s = np.exp(-np.outer((d[0] ** 2).sum(-1), [1.5, 0.6])) @ [1.0, 0.4] / np.sqrt(4 * np.pi)
    p = 0.7 * np.exp(-0.9 * (d[1] ** 2).sum(-1))[:, None] * d[1] * np.sqrt(3 / (4 * np.pi))
    chi = np.exp(1j * mean_field.kpoints @ T.T) @ np.concatenate([s[:, None], p], axis=1)
    return np.concatenate(
        [x @ c[:, :2] for x, c in zip(chi, mean_field.coeff[0], strict=True)]
    ) / np.sqrt(2)


TWIST = [0.17, -0.31, 0.44]


def test_orbitals_equal_the_sum_over_the_primitive_lattice():
    mean_field, system = fake(TWIST), system_at(TWIST)
    reference = make_reference(mean_field, system, S, complex_orbitals=True, dtype=jnp.float64)
    r = np.random.default_rng(1).uniform(-9, 12, size=(6, 3))
    up, down = evaluate_orbitals(reference, jnp.asarray(r), system)
    assert (up.shape, down.shape) == ((6, 4), (6, 2))
    np.testing.assert_allclose(up, [brute_force(mean_field, x) for x in r], atol=1e-7)
    np.testing.assert_allclose(down, up[:, ::2], atol=1e-14)


@pytest.mark.parametrize("twist", [TWIST, [0.0, 0.0, 0.0]])
def test_plane_waves_and_images_give_the_same_orbitals(twist, monkeypatch):
    """Diffuse Gaussians by either kind of sum, complex and real."""
    mean_field, system = fake(twist), system_at(twist)

    def make(cost):
        monkeypatch.setattr(lattice_sums, "WAVE_COST", cost)
        return make_reference(mean_field, system, S, complex_orbitals=any(twist), dtype=jnp.float64)

    free, dear = make(0.0), make(1e9)
    assert dear.waves == () and len(free.waves) > 100
    assert len(free.basis.exponents) < len(dear.basis.exponents)  # the p shell is all waves
    r = jnp.asarray(np.random.default_rng(1).uniform(-9, 12, size=(6, 3)))
    for one, other in zip(
        evaluate_orbitals(free, r, system), evaluate_orbitals(dear, r, system), strict=True
    ):
        assert one.dtype == other.dtype
        np.testing.assert_allclose(one, other, atol=1e-7)


def test_lists_of_vectors_do_not_depend_on_the_twist():
    found = [
        make_reference(fake(t), system_at(t), S, complex_orbitals=True, dtype=jnp.float64)
        for t in ([0.0, 0.0, 0.0], TWIST)
    ]
    assert found[0].images == found[1].images and found[0].waves == found[1].waves


def test_diffuse_functions_do_not_need_many_images():
    fcc = 3.8 * np.array([[0.0, 1, 1], [1, 0, 1], [1, 1, 0]])
    shell = Shell(0, 0, np.array([10.0, 1.0, 0.02]), np.ones((3, 1)))
    split = cheapest([shell], 1, fcc)
    assert len(split.images) + len(split.waves) < 400  # 1200 images of the last one alone


def test_kpoints_are_the_shortest_of_their_class():
    """A chain at twist 1/2: its two k-points are +-1/4, not 1/4 and 3/4."""
    reciprocal = 2 * np.pi * np.linalg.inv(LATTICE).T
    k = np.array([[0.25, 0, 0], [0.75, 0, 0], [-0.5, 2, 1]]) @ reciprocal
    found = first_zone(k, LATTICE) @ np.linalg.inv(reciprocal)
    np.testing.assert_allclose(found[:2], [[0.25, 0, 0], [-0.25, 0, 0]], atol=1e-12)
    assert (
        np.linalg.norm(first_zone(k, LATTICE)[2])
        <= np.linalg.norm([0.5, 0, 0] @ reciprocal) + 1e-12
    )


def test_kpoints_differ_from_the_twist_by_reciprocal_vectors():
    system = system_at(TWIST)
    reference = make_reference(fake(TWIST), system, S, complex_orbitals=True, dtype=jnp.float64)
    turns = (reference.kpoints[0] - system.twist_vector) @ system.cell.lattice.T / (2 * np.pi)
    np.testing.assert_allclose(turns, np.round(turns), atol=1e-10)


def test_works_under_jit_vmap_and_reverse_mode():
    system = system_at(TWIST)
    reference = make_reference(fake(TWIST), system, S, complex_orbitals=True, dtype=jnp.float64)
    value = lambda w, ref, sys: jnp.linalg.slogdet(evaluate_orbitals(ref, w, sys)[0][:4, :4])[1]
    walkers = jnp.asarray(np.random.default_rng(2).uniform(0, 5, size=(3, 6, 3)))
    batched = jax.jit(jax.vmap(jax.value_and_grad(value), (0, None, None)))
    values, gradients = batched(walkers, reference, system)
    np.testing.assert_allclose(values, [value(w, reference, system) for w in walkers], rtol=1e-10)
    step = 1e-5 * jnp.zeros((6, 3)).at[1, 2].set(1.0)
    slope = (
        value(walkers[0] + step, reference, system) - value(walkers[0] - step, reference, system)
    ) / 2e-5
    np.testing.assert_allclose(gradients[0, 1, 2], slope, rtol=1e-6)
    # Another twist is the same compiled program.
    other = system_at([0.05, 0.25, -0.4])
    reference = make_reference(
        fake(other.twist), other, S, complex_orbitals=True, dtype=jnp.float64
    )
    before = batched._cache_size()
    batched(walkers, reference, other)
    assert batched._cache_size() == before


def test_forward_laplacian_traces_them():
    folx = pytest.importorskip("folx")
    system = system_at(TWIST)
    reference = make_reference(fake(TWIST), system, S, complex_orbitals=True, dtype=jnp.float64)
    first = lambda w: evaluate_orbitals(reference, w, system)[0][0, 1].imag
    w = jnp.asarray(np.random.default_rng(3).uniform(0, 5, size=(2, 3)))
    laplacian = jax.jit(lambda w: folx.forward_laplacian(first)(w).laplacian)(w)
    hessian = jax.jit(jax.hessian(first))(w).reshape(6, 6)
    np.testing.assert_allclose(laplacian, jnp.trace(hessian), rtol=1e-9)


def test_images_hold_every_point_within_reach():
    ordered = lattice_sums._within(S @ LATTICE, 5.5)
    found = set(ordered)
    assert ordered[0] == (0, 0, 0)
    assert all((-x, -y, -z) in found for x, y, z in found)
    lattice = S @ LATTICE
    frac = np.random.default_rng(0).uniform(-0.5, 0.5, size=(4000, 3))
    box = np.stack(np.meshgrid(*[np.arange(-3, 4)] * 3, indexing="ij"), -1).reshape(-1, 3)
    exact = distance_to_cell(lattice, box)
    sampled = np.linalg.norm((box[:, None] - frac) @ lattice, axis=-1).min(axis=1)
    assert (sampled >= exact - 1e-9).all() and (sampled - exact).max() < 0.8
    assert {tuple(m) for m in box[sampled < 5.5]} <= found


@pytest.mark.parametrize("twist", [(0.5, 0.0, 0.0), (0.5, -0.5, 0.0), (0.25, 0.0, 0.0)])
def test_real_orbitals_are_for_twists_of_zero_and_one_half(twist):
    build = {"complex_orbitals": False, "dtype": jnp.float64}
    with pytest.raises(ConfigError, match="real orbitals at twist"):
        make_reference(fake(twist), system_at(twist), S, **build)
    if twist[0] == 0.5:
        made = make_reference(fake(twist), system_at(twist), S, antiperiodic=True, **build)
        assert made.antiperiodic and made.coefficients[0].dtype == jnp.float64
        return
    with pytest.raises(ConfigError, match="real orbitals at twist"):
        make_reference(fake(twist), system_at(twist), S, antiperiodic=True, **build)


def test_conjugation_breaking_orbitals_warn(caplog):
    zero = [0.0, 0.0, 0.0]
    mean_field = fake(zero)
    with caplog.at_level(logging.WARNING):
        make_reference(mean_field, system_at(zero), S, complex_orbitals=False, dtype=jnp.float64)
    assert not caplog.text  # k = 0 and a zone-boundary point: real orbitals
    rng = np.random.default_rng(0)
    turned = np.linalg.qr(rng.normal(size=(2, 2, 4, 4)) + 1j * rng.normal(size=(2, 2, 4, 4)))[0]
    with caplog.at_level(logging.WARNING):
        reference = make_reference(
            dataclasses.replace(mean_field, coeff=turned),
            system_at(zero),
            S,
            complex_orbitals=False,
            dtype=jnp.float64,
        )
    assert "not closed under complex conjugation" in caplog.text
    assert reference.coefficients[0].dtype == jnp.float64
    assert jnp.linalg.matrix_rank(reference.coefficients[0]) == 4


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (dict(twist=[0.1, 0, 0]), DataError, "twist"),
        (dict(counts=(3, 2)), DataError, "4 occupied orbitals"),
        (dict(real=True), ConfigError, "ansatz.number"),
        (dict(moved=0.5), DataError, "other places"),
        (dict(symbols=("H", "H")), DataError, "atoms H H"),
    ],
)
def test_what_does_not_fit_is_refused(change, error, words):
    mean_field = fake(TWIST)
    system = system_at(change.get("twist", TWIST), *change.get("counts", (4, 2)))
    if "moved" in change:
        moved = mean_field.positions + [[0, 0, 0], [change["moved"], 0, 0]]
        mean_field = dataclasses.replace(mean_field, positions=moved)
    mean_field = dataclasses.replace(mean_field, symbols=change.get("symbols", mean_field.symbols))
    with pytest.raises(error, match=words):
        make_reference(
            mean_field, system, S, complex_orbitals=not change.get("real"), dtype=jnp.float64
        )
