"""The objective's gradient against quadrature, KFAC's metric against the exact one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from engine.config import OptimizerConfig
from engine.optimizer import kfac_repair, make_optimizer, natural
from engine.optimizer.objective import clipped_weights, make_value_and_grad
from engine.types import LogPsi, Wavefunction

GRID = 2 * jnp.pi * jnp.arange(64) / 64


def log_psi(params, x):
    return params["a"] * jnp.cos(x), params["b"] * jnp.sin(x) + 0.3 * jnp.sin(2 * x)


def apply(params, walker, system, reference):
    return LogPsi(*log_psi(params, walker[0, 0]))


def local_energy(params, x):
    """-psi''/2psi + cos x of psi = exp(f), f complex."""
    f = lambda x: jax.lax.complex(*log_psi(params, x))  # noqa: E731
    first = jax.jvp(f, (x,), (1.0,))[1]
    second = jax.jvp(lambda y: jax.jvp(f, (y,), (1.0,))[1], (x,), (1.0,))[1]
    return -(second + first**2) / 2 + jnp.cos(x)


def density(params):
    weight = jnp.exp(2 * log_psi(params, GRID)[0])
    return weight / weight.sum()


def energy(params):
    return (density(params) * jax.vmap(lambda x: local_energy(params, x))(GRID).real).sum()


def test_gradient_equals_the_derivative_of_the_energy_of_a_complex_state():
    params = {"a": jnp.array(0.4), "b": jnp.array(-0.7)}
    e_loc = jax.vmap(lambda x: local_energy(params, x))(GRID)
    weights = len(GRID) * density(params)
    walkers = jnp.zeros((64, 1, 3)).at[:, 0, 0].set(GRID)
    batch = (walkers, weights * (e_loc.real - energy(params)), weights * e_loc.imag, None, None)
    wavefunction = Wavefunction(lambda *_: params, apply)
    (_, _), gradient = make_value_and_grad(wavefunction)(params, None, batch)
    exact = jax.grad(energy)(params)
    for name in params:
        assert float(gradient[name]) == pytest.approx(float(exact[name]), abs=1e-12)


def test_clipping_bounds_outliers_and_centres():
    values = jnp.concatenate([jnp.linspace(-1, 1, 99), jnp.array([1e6])])
    real, imag = clipped_weights(values, -values, 5.0)
    median = np.median(values)
    bound = median + 5.0 * np.mean(np.abs(values - median))
    clipped = np.append(values[:-1], bound)
    assert 1.0 < bound < 1e5
    np.testing.assert_allclose(real, clipped - clipped.mean(), atol=1e-9)
    np.testing.assert_allclose(imag, -real, atol=1e-9)


def test_weights_of_well_behaved_energies_are_unchanged():
    values = jnp.sin(jnp.arange(50.0))
    real, _ = clipped_weights(values, values, 5.0)
    np.testing.assert_allclose(real, values - values.mean(), atol=1e-14)


@pytest.mark.parametrize("complex_part", [0.0, 2.0])
def test_kfac_metric_is_the_exact_one_for_a_linear_state(complex_part):
    """log = w a, arg = c w a: the metric is (1 + c^2) <a^2>, KFAC's 1 x 1 factors are exact.

    kfac-jax's normal distribution has variance 1/2, hence a metric of 2 Re <d log psi* d log psi>,
    which matches the 2 in the gradient.
    """

    def linear(params, walker, system, reference):
        y = (walker[0, :1] @ params["kernel"])[0]
        return LogPsi(y, complex_part * y)

    rng = np.random.default_rng(0)
    walkers = jnp.asarray(rng.normal(size=(32, 1, 3)))
    real, imag = jnp.asarray(rng.normal(size=(2, 32)))
    batch = (walkers, real, imag, jnp.zeros(()), jnp.zeros(()))
    params = {"kernel": jnp.array([[0.5]])}
    damping = 1e-3
    options = OptimizerConfig(
        learning_rate=0.1, decay_steps=1e9, damping=damping, norm_constraint=1e9
    )
    kfac = make_optimizer(Wavefunction(lambda *_: params, linear), options)
    key = jax.random.key(1)
    state, same = (kfac.init(params, jax.random.key(0), batch) for _ in range(2))
    a = walkers[:, 0, 0]
    gradient = float(2 * jnp.mean((real + complex_part * imag) * a))
    fisher = float(2 * (1 + complex_part**2) * jnp.mean(a**2))
    program = kfac.step.lower(params, same, key, batch).compile()
    settings = [kfac.step.lower.keywords[name] for name in ("momentum", "damping")]
    copy = {"kernel": params["kernel"].copy()}  # programs consume what they replace
    shown = program(copy, same, key, batch, None, None, *settings)[0]
    new, _, _ = kfac.step(params, state, key, batch)
    np.testing.assert_array_equal(shown["kernel"], new["kernel"])
    expected = -0.1 * gradient / (fisher + damping)
    assert float(new["kernel"][0, 0]) - 0.5 == pytest.approx(expected, rel=2e-3)


@pytest.mark.parametrize("name", ["kfac", "adam", "spring"])
def test_optimizers_find_the_ground_state_of_a_pendulum(name):
    """psi = exp(a cos x) for -d^2/2 + cos x: the variational minimum in a, by quadrature."""
    params = {"a": jnp.array([[0.0]])}

    def pendulum(params, walker, system, reference):
        y = jnp.cos(walker[0, :1]) @ params["a"]
        return LogPsi(y[0], jnp.zeros(()))

    def scalar(params):
        return {"a": params["a"][0, 0], "b": 0.0}

    def e_loc(a, x):
        f = lambda x: a * jnp.cos(x)  # noqa: E731
        return -(jax.grad(jax.grad(f))(x) + jax.grad(f)(x) ** 2) / 2 + jnp.cos(x)

    options = OptimizerConfig(name=name, learning_rate=0.05, norm_constraint=1e-1)
    optimizer = make_optimizer(Wavefunction(lambda *_: params, pendulum), options)
    walkers = jnp.zeros((64, 1, 3)).at[:, 0, 0].set(GRID)

    def batch(params):
        a = params["a"][0, 0]
        weight = jnp.exp(2 * a * jnp.cos(GRID))
        energies = jax.vmap(lambda x: e_loc(a, x))(GRID)
        centred = energies - (weight * energies).sum() / weight.sum()
        return (
            walkers,
            64 * weight / weight.sum() * centred,
            0 * centred,
            jnp.zeros(()),
            jnp.zeros(()),
        )

    state = optimizer.init(params, jax.random.key(0), batch(params))
    for step in range(150):
        params, state, _ = optimizer.step(params, state, jax.random.key(step), batch(params))
    candidates = jnp.linspace(-3, 1, 401)

    def mean_energy(a):
        weight = jnp.exp(2 * a * jnp.cos(GRID))
        return (weight * jax.vmap(lambda x: e_loc(a, x))(GRID)).sum() / weight.sum()

    best = candidates[jnp.argmin(jax.vmap(mean_energy)(candidates))]
    assert float(params["a"][0, 0]) == pytest.approx(float(best), abs=0.03)


@pytest.mark.parametrize("is_complex", [False, True])
def test_spring_is_the_damped_natural_gradient_in_parameter_space(is_complex):
    """O^T (O O^T + lambda)^-1 = (O^T O + lambda)^-1 O^T, and the prior shifts it by mu phi'."""
    rng = np.random.default_rng(3)
    params = {"a": jnp.asarray(rng.normal(size=3)), "b": jnp.asarray(rng.normal(size=2))}

    def state(params, walker, system, reference):
        return LogPsi(
            jnp.sin(walker[0] @ params["a"]), walker[0, :2] @ params["b"] + params["a"][0] ** 2
        )

    walkers = jnp.asarray(rng.normal(size=(20, 1, 3)))
    real, imag = (x - x.mean() for x in jnp.asarray(rng.normal(size=(2, 20))))
    options = OptimizerConfig(
        name="spring",
        learning_rate=0.1,
        decay_steps=1e9,
        norm_constraint=1e9,
        damping=0.01,
        momentum=0.8,
    )
    spring = make_optimizer(Wavefunction(lambda *_: params, state), options, is_complex=is_complex)
    batch = (walkers, real, imag, jnp.zeros(()), jnp.zeros(()))

    def rows(params):
        parts = jax.vmap(jax.jacobian(lambda p, w: jnp.stack(state(p, w, None, None))), (None, 0))
        tree = parts(params, walkers)
        flat = np.concatenate([tree["a"], tree["b"]], axis=-1)
        flat = (flat - flat.mean(0)) / np.sqrt(20)
        return np.concatenate([flat[:, 0], flat[:, 1]]) if is_complex else flat[:, 0]

    energies = np.concatenate([real, imag] if is_complex else [real]) / np.sqrt(20)
    opt_state, phi = spring.init(params, None, batch), np.zeros(5)
    for _ in range(3):
        o = rows(params)
        phi = 0.8 * phi - np.linalg.solve(
            o.T @ o + 0.01 * np.eye(5), o.T @ (energies + 0.8 * o @ phi)
        )
        before = np.concatenate([params["a"], params["b"]])
        params, opt_state, _ = spring.step(params, opt_state, None, batch)
        after = np.concatenate([params["a"], params["b"]])
        np.testing.assert_allclose(after - before, 0.1 * phi, rtol=1e-8, atol=1e-12)


def test_repair_accepts_both_forms_of_bind_params():
    jaxpr = jax.make_jaxpr(lambda x: jnp.sin(x))(1.0)
    equation = jaxpr.jaxpr.eqns[0]
    assert float(kfac_repair.eval_jaxpr_eqn(equation, [1.0])[0]) == pytest.approx(np.sin(1.0))


def test_large_derivatives_in_single_precision_leave_a_system_that_can_be_solved():
    """O O^T of low rank: its rounded zero eigenvalues are negative, and larger than the damping."""
    rng = np.random.default_rng(0)
    rows = [jnp.asarray(300 * rng.normal(size=(96, 12)), jnp.float32)]
    residual = jnp.asarray(rng.normal(size=96), jnp.float32)
    rounded = np.asarray(rows[0] @ rows[0].T, float)
    assert np.linalg.eigvalsh((rounded + rounded.T) / 2)[0] < -1e-3
    assert np.all(np.isfinite(natural.solve(rows, residual, 1e-3)))
