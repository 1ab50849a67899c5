"""What every registered ansatz must satisfy, in every kind of system."""

import dataclasses
import itertools

import flax.traverse_util
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from engine.config import AnsatzConfig, OptimizerConfig
from engine.errors import ConfigError
from engine.io import checkpoint, hdf5
from engine.optimizer import make_optimizer
from engine.wavefunction import ANSAETZE, features, make_wavefunction
from tests.conformance import models
from tests.conformance.models import CASES, MODELS


@pytest.fixture(params=MODELS, ids=lambda m: "-".join(m))
def named(request):
    return request.param


@pytest.fixture
def model(named):
    return models.model(*named)


def same_phase(a, b, **tolerance):
    np.testing.assert_allclose(np.exp(1j * np.asarray(a)), np.exp(1j * np.asarray(b)), **tolerance)


DIRECTION = jnp.asarray([0.6, -0.48, 0.64])


@pytest.fixture
def single(model):
    """The program without a batch."""
    if not model.case.routes:
        pytest.skip("the operations of 'open' and 'periodic-twist'; compiling them takes long")
    return model.single


def test_antisymmetric_within_a_species(model):
    psi = model.psi(model.walkers)
    for part in features.species_slices(model.system):
        for i, j in itertools.combinations(range(part.start, part.stop), 2):
            order = np.arange(model.system.n_particles)
            order[[i, j]] = j, i
            swapped = model.psi(model.walkers[:, order])
            np.testing.assert_allclose(swapped.log, psi.log, atol=1e-9)
            same_phase(swapped.arg, psi.arg + np.pi, atol=1e-9)


def test_gains_the_bloch_phase_when_one_particle_crosses_the_cell(model):
    if not model.case.periodic:
        pytest.skip("an open cell has no lattice")
    psi = model.psi(model.walkers)
    for particle, axis in itertools.product({0, model.system.n_particles - 1}, range(3)):
        moved = model.psi(model.walkers.at[:, particle].add(models.LATTICE[axis]))
        np.testing.assert_allclose(moved.log, psi.log, atol=1e-8)
        same_phase(moved.arg, psi.arg + 2 * np.pi * model.case.twist[axis], atol=1e-8)


def test_real_orbitals_give_a_real_psi(model):
    if model.case.complex_orbitals:
        pytest.skip("complex")
    assert set(np.asarray(model.psi(model.walkers).arg)) <= {0.0, np.pi}


def test_all_twists_share_one_program(model):
    if not any(model.case.twist):
        pytest.skip("the program of 'periodic-twist', or real orbitals, which know no other twist")
    psi = model.psi(model.walkers)
    compiled = model.programs.evaluate._cache_size()
    system = model.system.with_twist((0.5, 0.0, 0.25))
    kpoints = models.make_reference(system).kpoints
    reference = dataclasses.replace(model.reference, kpoints=kpoints)
    other = model.psi(model.walkers, system=system, reference=reference)
    assert np.abs(np.asarray(other.arg - psi.arg)).max() > 0.01
    assert model.programs.evaluate._cache_size() == compiled


def test_a_batch_equals_a_loop_of_single_calls(model, single):
    psi = model.psi(model.walkers)
    for w, walker in enumerate(model.walkers):
        one = single(walker).psi
        np.testing.assert_allclose(one.log, psi.log[w], rtol=1e-9, atol=1e-9)
        same_phase(one.arg, psi.arg[w], atol=1e-9)


def test_every_laplacian_route_gives_the_trace_of_the_hessian(model, single):
    walker, step = model.walkers[0], 1e-4
    routes = single(walker).derivatives
    steps = step * jnp.eye(walker.size).reshape(-1, *walker.shape)
    sides = model.evaluate(jnp.concatenate([walker + steps, walker - steps]))[1]
    gradients = model.evaluate(walker[None])[1]
    for k in range(2):
        rows = np.asarray(sides[k]).reshape(2, walker.size, walker.size)
        hessian = (rows[0] - rows[1]) / (2 * step)
        size = 1 + 2 * np.abs(hessian).max()
        for route in routes.values():
            laplacian, gradient = route.laplacian[k], route.gradient[k]
            np.testing.assert_allclose(laplacian, np.trace(hessian), atol=1e-5 * size)
            np.testing.assert_allclose(gradient, gradients[k].reshape(-1), atol=1e-10 * size)


def test_both_laplacian_routes_agree(model, single):
    if len(model.case.routes) < 2:
        pytest.skip("a single route is compiled")
    for walker in model.walkers:
        forward, loop = (single(walker).derivatives[route] for route in ("forward", "loop"))
        for a, b in zip(jax.tree.leaves(forward), jax.tree.leaves(loop), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9 * (1 + np.abs(a).max()))


@pytest.mark.parametrize("equal", [True, False], ids=["same-spin", "opposite-spin"])
def test_electron_electron_cusp(model, named, equal):
    slices = features.species_slices(model.system)
    if (equal and slices[0].stop < 2) or (not equal and len(slices) < 2):
        pytest.skip("no such pair")
    i, j = 0, 1 if equal else slices[1].start
    cusp = 0.0 if named[0] == "slater" else 0.25 if equal else 0.5
    step = 3e-4  # the next term goes with its cube; a node may be near
    walker = model.walkers[0]
    pair = jnp.stack([walker.at[j].set(walker[i] + t * step * DIRECTION) for t in (1, -1, 2, -2)])
    logarithm, phase = model.evaluate(pair)[1]
    for gradient, expected in ((logarithm, cusp), (phase, 0.0)):
        slopes = (gradient[:, j] @ DIRECTION).reshape(2, 2) @ jnp.array([0.5, -0.5])
        if equal and gradient is logarithm:
            slopes = slopes - 1 / (step * jnp.array([1, 2]))  # the node itself
        np.testing.assert_allclose(2 * slopes[0] - slopes[1], expected, atol=1e-3)


def test_finite_gradients_far_away(model):
    far = model.walkers.at[:, 0].add(jnp.array([2000.0, 0.3, 0.0]))
    assert_finite(model.evaluate(far))


@pytest.mark.parametrize("distance", [1e-6, 0.0])
def test_finite_gradients_at_and_near_a_nucleus(model, distance):
    if not model.case.nuclei:
        pytest.skip("no nuclei")
    near = model.system.positions[-1] + distance * DIRECTION
    assert_finite(model.evaluate(model.walkers.at[:, 0].set(near)))


def test_finite_gradients_where_two_particles_meet(model):
    n = model.system.n_particles
    if n == 1:
        pytest.skip("a single particle")
    for other in {1, n - 1}:  # of the same and of the other species, where there are both
        near = model.walkers[:, 0] + 1e-6 * DIRECTION
        assert_finite(model.evaluate(model.walkers.at[:, other].set(near)))


def assert_finite(tree):
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        assert np.isfinite(leaf).all(), jax.tree_util.keystr(path)


def test_every_parameter_matters(model):
    gradients = model.evaluate(model.walkers)[2]
    flat = flax.traverse_util.flatten_dict(dict(enumerate(gradients)), sep=None)
    size = {}
    for path, leaf in flat.items():
        size[path[1:]] = size.get(path[1:], 0.0) + float(jnp.abs(leaf).max())
    assert [path for path, largest in size.items() if largest == 0] == []


def through_a_file(tree, path):
    """Returns a pytree as the stages save and load it; no two leaves may share a dataset."""
    flat = checkpoint.flatten(tree)
    assert len(flat) == len(jax.tree.leaves(tree))
    hdf5.write(path, "state", flat, fingerprint="f")
    empty = jax.tree.map(jnp.zeros_like, tree)
    loaded = checkpoint.unflatten(empty, hdf5.read(path, "state").data)
    assert jax.tree.structure(loaded) == jax.tree.structure(tree)
    return loaded


def test_saved_and_loaded_parameters_give_the_same_bits(model, tmp_path):
    loaded = through_a_file(model.params, tmp_path / "params.h5")
    for a, b in zip(model.psi(model.walkers), model.psi(model.walkers, params=loaded), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", ["kfac", "adam"])
def test_saved_and_loaded_optimizer_state_keeps_every_leaf_apart(name, tmp_path):
    model = models.model("psiformer", "open")
    weights = jnp.ones(len(model.walkers))
    batch = (model.walkers, weights, weights, model.system, model.reference)
    optimizer = make_optimizer(model.wavefunction, OptimizerConfig(name=name))
    state = optimizer.init(model.params, jax.random.key(0), batch)
    leaves, structure = jax.tree.flatten(state)
    numbered = [jnp.full_like(leaf, i) for i, leaf in enumerate(leaves)]
    loaded = through_a_file(jax.tree.unflatten(structure, numbered), tmp_path / "state.h5")
    assert len(leaves) > len(jax.tree.leaves(model.params))
    for expected, found in zip(numbered, jax.tree.leaves(loaded), strict=True):
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_precision_is_that_of_parameters_and_walkers(named, dtype):
    name, case = named
    wavefunction, system, reference = models.build(name, CASES[case], dtype)
    params = jax.eval_shape(lambda: wavefunction.init(jax.random.key(0), system, reference))
    assert {leaf.dtype for leaf in jax.tree.leaves(params)} <= {jnp.dtype(dtype)}
    walker = jax.ShapeDtypeStruct((system.n_particles, 3), dtype)
    psi = jax.eval_shape(lambda p, x: wavefunction.apply(p, x, system, reference), params, walker)
    assert [x.dtype for x in psi] == [dtype, dtype]


def test_orbitals_are_the_matrices_of_the_determinants(model, single):
    matrices = single(model.walkers[0]).orbitals
    if matrices is None:
        pytest.skip("nothing to pretrain")
    n = model.system.n_particles
    assert matrices.shape == (models.SMALL.determinants, n, n)
    assert jnp.iscomplexobj(matrices) == model.case.complex_orbitals
    phase = np.angle(np.linalg.det(matrices).sum())
    same_phase(phase, model.psi(model.walkers).arg[0], atol=1e-9)


def test_an_unknown_name_is_refused_with_the_nearest_one():
    system = models.make_system(CASES["open"])
    with pytest.raises(ConfigError, match="did you mean 'ferminet'"):
        make_wavefunction(
            AnsatzConfig(name="fermynet"),
            system,
            models.make_reference(system),
            complex_orbitals=False,
            dtype=jnp.float64,
            reference_orbitals=None,
        )


def test_a_width_that_does_not_split_among_heads_is_refused():
    system = models.make_system(CASES["open"])
    with pytest.raises(ConfigError, match="take width 12"):
        make_wavefunction(
            AnsatzConfig(name="psiformer", width=10, heads=4),
            system,
            models.make_reference(system),
            complex_orbitals=False,
            dtype=jnp.float64,
            reference_orbitals=None,
        )


def test_the_configuration_names_exactly_the_registered_ansaetze():
    assert set(AnsatzConfig.__dataclass_fields__["name"].metadata["choices"]) == set(ANSAETZE)
