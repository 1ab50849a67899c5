"""Every registered ansatz in every kind of system, each compiled once."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np

from engine.config import AnsatzConfig
from engine.system.cell import Cell
from engine.system.system import System, electrons
from engine.types import Basis, LogPsi, Reference
from engine.wavefunction import ANSAETZE, features, make_wavefunction

LATTICE = np.array([[4.1, 0.0, 0.2], [0.9, 4.6, 0.0], [-0.5, 0.3, 7.3]])
NUCLEI = np.array([[0.1, 0.2, 0.3], [1.2, -0.4, 2.0]])
TWIST = (0.23, -0.37, 0.11)
SMALL = AnsatzConfig(determinants=2, layers=2, width=8, pair_width=4, heads=2)
BATCH = 32
FAST_COMPILATION = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}
WAVES = np.array([[0, 0, 0], [1, 0, 0], [-1, 0, 0], [0, 0, 1]])


@dataclasses.dataclass(frozen=True)
class Case:
    """One kind of system; twisted ones have complex orbitals."""

    species: tuple
    periodic: bool = False
    twist: tuple = (0.0, 0.0, 0.0)
    nuclei: int = 2

    @property
    def complex_orbitals(self):
        return any(self.twist)


CASES = {
    "open": Case(electrons(2, 1)),
    "periodic-gamma": Case(electrons(2, 1), periodic=True),
    "periodic-twist": Case(electrons(2, 2), periodic=True, twist=TWIST),
    "one-electron": Case(electrons(1, 0), periodic=True, twist=TWIST),
    "polarised": Case(electrons(3, 0)),
    "electron-gas": Case(electrons(2, 1), periodic=True, twist=TWIST, nuclei=0),
}
MODELS = [(name, case) for name in ANSAETZE for case in CASES]


def make_system(case):
    """Returns the system of a case, in double precision."""
    cell = Cell(jnp.asarray(LATTICE), True) if case.periodic else Cell.open()
    charges = jnp.asarray([1.0, 3.0][: case.nuclei])
    return System(
        cell,
        jnp.asarray(NUCLEI[: case.nuclei]),
        charges,
        jnp.asarray(case.twist),
        ("H", "Li")[: case.nuclei],
        case.species,
    )


def make_reference(system, dtype=jnp.float64):
    """Returns a mean field that consists of its Bloch vectors alone."""
    reciprocal = system.cell.reciprocal if system.cell.periodic else jnp.zeros((3, 3))
    kpoints = tuple(((WAVES[:c] + system.twist) @ reciprocal).astype(dtype) for c in system.counts)
    return Reference((), kpoints, Basis((), (), (), ()), ((0, 0, 0),))


def reference_orbitals(reference, walker, system):
    """Stands in for a mean field: smooth, lattice-periodic functions times Bloch phases."""
    seen = features.one_body(walker, system, anchored=True)
    width = seen.shape[-1]
    values = []
    for s, k in enumerate(reference.kpoints):
        weights = np.cos(np.arange(width * len(k)) * (1.3 + s)).reshape(width, len(k))
        phi = 0.3 + jnp.sin(seen @ jnp.asarray(weights, walker.dtype))
        if system.cell.periodic and any_twist(reference):
            phi = phi * jnp.exp(1j * (walker @ k.T.astype(walker.dtype)))
        values.append(phi)
    return tuple(values)


def any_twist(reference):
    """Returns whether a hand-made reference is marked complex (by its static images)."""
    return len(reference.images) > 1


@dataclasses.dataclass(frozen=True)
class Model:
    """A wavefunction with its inputs and its one compiled program."""

    wavefunction: object
    system: System
    reference: Reference
    params: dict
    walkers: jax.Array
    program: object
    case: Case

    def evaluate(self, walkers, *, params=None, system=None, reference=None):
        """Returns (LogPsi, its gradient in the walker, its gradient in the parameters)."""
        count = len(walkers)
        full = jnp.concatenate([walkers, jnp.repeat(walkers[-1:], BATCH - count, axis=0)])
        out = self.program(
            self.params if params is None else params,
            full,
            system or self.system,
            reference or self.reference,
        )
        return jax.tree.map(lambda x: x[:count], out)

    def apply(self, walker):
        """Returns LogPsi of one walker, outside the program."""
        return self.wavefunction.apply(self.params, walker, self.system, self.reference)

    def psi(self, walkers, **kwargs):
        """Returns the phases and logarithms of a few walkers."""
        return self.evaluate(walkers, **kwargs)[0]


def _program(apply):
    def one(params, walker, system, reference):
        def both(params, walker):
            psi = apply(params, walker, system, reference)
            return psi, psi

        jacobian, psi = jax.jacrev(both, argnums=(0, 1), has_aux=True)(params, walker)
        in_params, in_walker = zip(*jacobian, strict=True)
        return psi, LogPsi(*in_walker), LogPsi(*in_params)

    return jax.jit(jax.vmap(one, (None, 0, None, None)), compiler_options=FAST_COMPILATION)


def build(name, case, dtype):
    """Returns the wavefunction of a case, its system and its reference."""
    system = make_system(case)
    reference = make_reference(system, dtype)
    if case.complex_orbitals:
        reference = dataclasses.replace(reference, images=((0, 0, 0), (1, 0, 0)))
    wavefunction = make_wavefunction(
        dataclasses.replace(SMALL, name=name),
        system,
        reference,
        dtype=dtype,
        complex_orbitals=case.complex_orbitals,
        reference_orbitals=reference_orbitals,
    )
    return wavefunction, system, reference


@functools.cache
def model(name, case_name):
    """Returns the double-precision model; compiled at its first use."""
    case = CASES[case_name]
    wavefunction, system, reference = build(name, case, jnp.float64)
    init = jax.jit(wavefunction.init, compiler_options=FAST_COMPILATION)
    params = init(jax.random.key(3), system, reference)
    rng = np.random.default_rng(5)
    walkers = jnp.asarray(rng.normal(size=(4, system.n_particles, 3)) * 1.5)
    program = _program(wavefunction.apply)
    return Model(wavefunction, system, reference, params, walkers, program, case)
