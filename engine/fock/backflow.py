"""Neural backflow: orbitals that depend on the configuration.

psi(x) = sum_d det[ (Phi_0 + f_d(x))_jk ], j over the occupied spin orbitals of x, k = 1..N, with
Phi_0 the mean-field orbitals and f_d a residual network of the occupations. The determinant is
over spin orbitals: rows of both spins share their columns. Above half filling the rows are the
empty spin orbitals and psi has the sign (-1)^(sum of their numbers), which makes the
determinant of the complement equal to that of the occupied orbitals (Jacobi).

Source: D. Luo and B. K. Clark, Phys. Rev. Lett. 122, 226401 (2019); A.-J. Liu and B. K. Clark,
Phys. Rev. B 110, 115137 (2024).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from engine.config.fock import FockAnsatzConfig
from engine.errors import ConfigError
from engine.fock.determinants import FockSpace, orbitals_of, unpack
from engine.fock.symmetry import Orbit, Translations, make_representative
from engine.io.integrals import Integrals
from engine.types import LogPsi, Wavefunction


class Backflow(NamedTuple):
    """A trial state of the Fock space.

    Attributes:
        wavefunction: init and apply; a walker is a determinant (2, w), the system a FockSpace,
            the reference the matrix of `reference_orbitals`.
        derivatives: (params, x, reference) -> (LogPsi, inputs, slopes): per dense layer its input
            a and the derivatives (1 or 2, out) of log (and arg) by its output; the derivative by
            the weights is their product a x slope, by the bias the slope.
        representative: x -> Orbit: which determinant gives the amplitude of x by symmetry; None
            without symmetries.
    """

    wavefunction: Wavefunction
    derivatives: Callable[..., tuple[LogPsi, dict[str, Array], dict[str, Array]]]
    representative: Callable[[Array], Orbit] | None = None


class Corrections(nn.Module):
    """The network f: occupations (2 n,) as +-1 -> (D, 2 n, columns)."""

    layers: int
    width: int
    shape: tuple[int, int, int]
    scale: float
    is_complex: bool
    dtype: Any

    @nn.compact
    def __call__(self, x: Array) -> Array:
        outputs = int(np.prod(self.shape)) * (2 if self.is_complex else 1)
        x = jnp.tanh(self._dense(x, self.width, "layer_0"))
        for layer in range(1, self.layers):
            x = x + jnp.tanh(self._dense(x, self.width, f"layer_{layer}"))
        small = nn.initializers.variance_scaling(self.scale**2, "fan_in", "normal")
        out = self._dense(x, outputs, "head", small, nn.initializers.normal(self.scale / 10))
        out = out.reshape(-1, *self.shape)
        return out[0] + 1j * out[1] if self.is_complex else out[0]

    def _dense(self, x, width, name, kernel=None, bias=None):
        layer = nn.Dense(
            width,
            dtype=self.dtype,
            param_dtype=self.dtype,
            kernel_init=kernel or nn.initializers.lecun_normal(),
            bias_init=bias or nn.initializers.zeros_init(),
            name=name,
        )
        self.sow("inputs", f"in_{name}", x)
        return self.perturb(f"out_{name}", layer(x))


def uses_holes(space: FockSpace) -> bool:
    """Returns whether determinants are those of the empty spin orbitals: above half filling."""
    return space.n_electrons > space.n_orbitals


def reference_orbitals(integrals: Integrals) -> np.ndarray:
    """Returns Phi_0 (2 n, N), block-diagonal in the spins; of the holes above half filling."""
    n = integrals.n_orbitals
    space = FockSpace(n, integrals.n_up, integrals.n_down)
    up, down = integrals.up, integrals.down
    if uses_holes(space):
        up, down = (_complement(c).conj() for c in (up, down))
    zero = np.zeros_like
    return np.block([[up, zero(down)], [zero(up), down]])


def _complement(occupied: np.ndarray) -> np.ndarray:
    """Returns orthonormal columns orthogonal to `occupied`."""
    values, vectors = np.linalg.eigh(occupied @ occupied.conj().T)
    return vectors[:, : len(values) - occupied.shape[1]]


def make_backflow(
    config: FockAnsatzConfig,
    space: FockSpace,
    *,
    is_complex: bool,
    dtype: Any,
    translations: Translations | None = None,
) -> Backflow:
    """Builds the ansatz.

    Args:
        config: The section `ansatz`.
        space: Orbitals and electrons.
        is_complex: Whether amplitudes are complex.
        dtype: Floating-point type of the network.
        translations: Those under which amplitudes are symmetric; None for none.

    Raises:
        ConfigError: Spin-flip symmetry of a polarised system.
    """
    if config.spin_flip and space.n_up != space.n_down:
        raise ConfigError(
            f"spin-flip symmetry of {space.n_up} + {space.n_down} electrons",
            where="ansatz, key 'spin_flip'",
            expected="equal numbers of both spins",
            remedy="set spin_flip: false",
        )
    n = space.n_orbitals
    columns = 2 * n - space.n_electrons if uses_holes(space) else space.n_electrons
    shape = (config.determinants, 2 * n, columns)
    network = Corrections(config.layers, config.width, shape, config.scale, is_complex, dtype)
    representative = None
    if config.spin_flip or translations:
        representative = make_representative(
            space, spin_flip=config.spin_flip, translations=translations
        )

    def init(key, system, reference):
        del system, reference
        return network.init(key, jnp.zeros(2 * n, dtype))["params"]

    def evaluate(variables, x, reference, **options):
        orbit = representative(x) if representative else None
        x = orbit.words if representative else x
        occupation = (2.0 * unpack(x, n).reshape(-1) - 1.0).astype(dtype)
        output, extra = network.apply(variables, occupation, mutable=["inputs"])
        orbitals = output + reference.astype(output.dtype)
        psi = _amplitude(space, x, orbitals)
        return _turned(psi, orbit) if orbit else psi, extra["inputs"]

    def apply(params, x, system, reference):
        del system
        return evaluate({"params": params}, x, reference)[0]

    def derivatives(params, x, reference):
        zeros = jax.eval_shape(network.init, jax.random.key(0), jnp.zeros(2 * n, dtype))
        zeros = jax.tree.map(lambda a: jnp.zeros(a.shape, a.dtype), zeros["perturbations"])

        def parts(perturbations):
            psi, inputs = evaluate({"params": params, "perturbations": perturbations}, x, reference)
            return jnp.stack(psi) if is_complex else psi.log[None], (psi, inputs)

        slopes, (psi, inputs) = jax.jacrev(parts, has_aux=True)(zeros)
        named = {name.removeprefix("in_"): value[0] for name, value in inputs.items()}
        return psi, named, {name.removeprefix("out_"): value for name, value in slopes.items()}

    return Backflow(Wavefunction(init, apply), derivatives, representative)


def _turned(psi: LogPsi, orbit: Orbit) -> LogPsi:
    """Returns the amplitude of a determinant from that of the orbit's representative."""
    log = jnp.where(orbit.vanishes, -jnp.inf, psi.log).astype(psi.log.dtype)
    return LogPsi(log, psi.arg + (2 * np.pi * orbit.turns).astype(psi.arg.dtype))


def _amplitude(space: FockSpace, x: Array, orbitals: Array) -> LogPsi:
    """Returns the sum of determinants of the rows of x; `orbitals` is (D, 2 n, columns)."""
    occupied, empty = orbitals_of(space, x)
    rows = empty if uses_holes(space) else occupied
    signs, logs = jnp.linalg.slogdet(orbitals[:, rows, :])
    if uses_holes(space):
        signs = signs * (1 - 2 * (jnp.sum(rows) % 2))
    top = jax.lax.stop_gradient(jnp.max(logs))
    total = jnp.sum(signs * jnp.exp(logs - top))
    log = top + jnp.log(jnp.abs(total))
    return LogPsi(log, jnp.angle(total).astype(log.dtype))
