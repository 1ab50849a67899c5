"""KFAC's blocks of the real networks against log-derivatives counted walker by walker."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from engine.config import OptimizerConfig
from engine.optimizer.kfac import kfac_optimizer
from engine.types import LogPsi
from engine.wavefunction.layers import Dense
from tests.conformance.models import CASES, FAST_COMPILATION, build

WALKERS = 5
MODELS = [(a, c) for a in ("ferminet", "psiformer") for c in ("open", "complex-gamma")]


def compiled(function, *arguments):
    return jax.jit(function, compiler_options=FAST_COMPILATION)(*arguments)


@functools.cache
def model(name, case, walkers):
    """Returns wavefunction, parameters, walkers, system and reference of a tiny network."""
    wavefunction, system, reference = build(name, CASES[case], jnp.float64)
    params = wavefunction.init(jax.random.key(1), system, reference)
    rng = np.random.default_rng(2)
    noisy = jax.tree.map(lambda p: p + 0.1 * rng.normal(size=p.shape), params)
    batch = jnp.asarray(1.5 * rng.normal(size=(walkers, system.n_particles, 3)))
    return wavefunction, noisy, batch, system, reference


def parts(psi: LogPsi, is_complex):
    return jnp.stack([psi.log, psi.arg] if is_complex else [psi.log])


@functools.cache
def blocks(name, case, walkers=WALKERS):
    """Returns KFAC's (block, its state) by the names of its parameters, after one batch."""
    wavefunction, params, batch, system, reference = model(name, case, walkers)
    options, is_complex = OptimizerConfig(), CASES[case].complex_orbitals
    kfac = kfac_optimizer(wavefunction, options, is_complex=is_complex)
    weights = jnp.ones(walkers)
    inputs = (batch, weights, weights, system, reference)
    kfac.init(params, jax.random.key(0), inputs)
    estimator = kfac._estimator
    empty = estimator.init(jax.random.key(0), None, (), ())

    def update(params, inputs):
        return estimator.update_curvature_matrix_estimate(
            state=empty,
            ema_old=0.0,
            ema_new=1.0,
            identity_weight=0.0,
            batch_size=walkers,
            rng=jax.random.key(0),
            func_args=(params, jax.random.key(0), inputs),
        )

    states = compiled(update, params, inputs).blocks_states
    names = list(flat(params))
    keys = [tuple(names[i] for i in leaves) for leaves in estimator.jaxpr.layer_indices]
    return dict(zip(keys, zip(estimator.blocks, states, strict=True), strict=True))


def flat(tree):
    """Returns the leaves of a nested dict by paths a/b/c."""
    leaves = jax.tree_util.tree_flatten_with_path(tree)[0]
    return {"/".join(key.key for key in path): leaf for path, leaf in leaves}


@functools.cache
def derivatives(name, case, walkers=WALKERS):
    """Returns (W, parts, ...) derivatives of log (and arg) by every parameter, walker by walker."""
    wavefunction, params, batch, system, reference = model(name, case, walkers)
    is_complex = CASES[case].complex_orbitals

    def one(params, walker):
        return jax.jacrev(
            lambda p: parts(wavefunction.apply(p, walker, system, reference), is_complex)
        )(params)

    return flat(compiled(jax.vmap(one, (None, 0)), params, batch))


def applications(name, case):
    """Returns, per dense layer, inputs (W, R, f) and derivatives by outputs (W, parts, R, g).

    R is how often a walker applies the layer. An offset is added to each output.
    """
    wavefunction, params, batch, system, reference = model(name, case, WALKERS)
    is_complex = CASES[case].complex_orbitals

    def run(offsets, walker):
        seen = {}

        def intercept(call, args, kwargs, context):
            out = call(*args, **kwargs)
            if not isinstance(context.module, Dense) or context.method_name != "__call__":
                return out
            path = "/".join(context.module.path)
            assert path not in seen, f"{path} is applied twice"
            seen[path] = (args[0], out)
            return out if offsets is None else out + offsets[path]

        with nn.intercept_methods(intercept):
            psi = wavefunction.apply(params, walker, system, reference)
        return parts(psi, is_complex), seen

    shapes = jax.eval_shape(functools.partial(run, None), batch[0])[1]
    zeros = {path: jnp.zeros(out.shape, out.dtype) for path, (_, out) in shapes.items()}
    dy, seen = compiled(jax.vmap(lambda w: jax.jacrev(run, has_aux=True)(zeros, w)), batch)
    return {
        path: (
            x.reshape(WALKERS, -1, x.shape[-1]),
            dy[path].reshape(*dy[path].shape[:2], -1, dy[path].shape[-1]),
        )
        for path, (x, _) in seen.items()
    }


@pytest.mark.parametrize(("name", "case"), MODELS)
def test_factors_are_the_exact_averages_over_applications_of_a_layer(name, case):
    """A = <sum_r x x^T>, G = 2 Re <sum_r dy* dy^T>, block = A x G / R, for R applications."""
    layers, exact, seen = applications(name, case), derivatives(name, case), set()
    for names, (block, state) in blocks(name, case).items():
        path = names[0].rpartition("/")[0]
        if path not in layers:
            continue
        seen.add(path)
        x, dy = layers[path]
        np.testing.assert_allclose(
            exact[f"{path}/kernel"], np.einsum("wrf,wprg->wpfg", x, dy), atol=1e-10
        )
        if f"{path}/bias" in names:
            np.testing.assert_allclose(exact[f"{path}/bias"], dy.sum(2), atol=1e-10)
            x = np.concatenate([x, np.ones_like(x[..., :1])], axis=-1)
        a = np.einsum("wrf,wrh->fh", x, x) / WALKERS
        g = 2 * np.einsum("wprg,wprh->gh", dy, dy) / WALKERS
        found = np.kron(*[factor.value for factor in state.factors]) * block.scale(state, False)
        expected = np.kron(a, g) / x.shape[1]
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7 * expected.max())
    assert seen == set(layers)


@pytest.mark.parametrize(("name", "case"), MODELS)
def test_other_parameters_have_the_exact_diagonal(name, case):
    """Lengths of the pair factor and exponents of the envelope are not part of dense layers."""
    exact, others = derivatives(name, case), set()
    for names, (_, state) in blocks(name, case).items():
        if hasattr(state, "factors"):
            continue
        (path,), (found,) = names, state.diagonal_factors
        expected = 2 * np.sum(np.mean(exact[path] ** 2, axis=0), axis=0)
        np.testing.assert_allclose(found.value, expected, rtol=1e-5, err_msg=path)
        others.add(path)
    assert others == {"pair_factor/length", "head/decay/sigma"}


@pytest.mark.parametrize("name", ["ferminet", "psiformer"])
def test_blocks_of_one_particle_and_one_walker_are_the_exact_metric(name):
    """There each layer is applied once, and 2 Re d log psi* d log psi is a Kronecker product."""
    exact, dense = derivatives(name, "one-electron", 1), 0
    for names, (block, state) in blocks(name, "one-electron", 1).items():
        rows = [exact[f"{names[0].rpartition('/')[0]}/kernel"]] if hasattr(state, "factors") else []
        rows += [exact[n][:, :, None] for n in names if n.endswith("bias")]
        if not rows:
            continue
        o = np.concatenate(rows, axis=2)[0].reshape(2, -1)
        found = np.kron(*[factor.value for factor in state.factors]) * block.scale(state, False)
        np.testing.assert_allclose(found, 2 * o.T @ o, rtol=1e-5, atol=1e-9)
        dense += 1
    assert dense >= 4
