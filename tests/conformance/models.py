"""Every registered ansatz in every kind of system, each compiled once.

Cases that differ in their twist alone share one compiled program, as the twists of a material do.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from engine.config import AnsatzConfig
from engine.hamiltonian.kinetic import ROUTES
from engine.system.cell import Cell
from engine.system.system import System, electrons
from engine.types import AtomicOrbitals, Basis, LogPsi, Psi, Reference, Wavefunction
from engine.wavefunction import ANSAETZE, features, make_wavefunction

LATTICE = np.array([[4.1, 0.0, 0.2], [0.9, 4.6, 0.0], [-0.5, 0.3, 7.3]])
NUCLEI = np.array([[0.1, 0.2, 0.3], [1.2, -0.4, 2.0], [2.3, 2.1, 0.4], [0.2, 2.6, 5.1]])
CHARGES, SYMBOLS = [1.0, 3.0, 1.0, 1.0], ("H", "Li", "H", "H")
TWIST = (0.23, -0.37, 0.11)
SMALL = AnsatzConfig(determinants=2, layers=1, width=8, pair_width=4, heads=2)
LAYERS = {"ferminet": 2}
"""Pair features of FermiNet change from its second layer on."""
BATCH = 32
FAST_COMPILATION = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}
WAVES = np.array([[0, 0, 0], [1, 0, 0], [-1, 0, 0], [0, 0, 1]])


@dataclasses.dataclass(frozen=True)
class Case:
    """One kind of system.

    Attributes:
        routes: To the Laplacian. They take long to compile: "loop" is in the kind with the most
            operations, and a kind whose operations are those of others has none.
    """

    species: tuple
    periodic: bool = False
    twist: tuple = (0.0, 0.0, 0.0)
    nuclei: int = 2
    complex_orbitals: bool = False
    routes: tuple = ("forward",)


TWISTED = functools.partial(Case, periodic=True, twist=TWIST, complex_orbitals=True)
CASES = {
    "open": Case(electrons(2, 1)),
    "periodic-twist": TWISTED(electrons(2, 2), routes=tuple(ROUTES)),
    "complex-gamma": TWISTED(electrons(2, 2), routes=tuple(ROUTES), twist=(0.0, 0.0, 0.0)),
    "one-electron": TWISTED(electrons(1, 0)),
    "polarised-gamma": Case(electrons(3, 0), periodic=True, routes=()),
    "electron-gas": TWISTED(electrons(2, 1), nuclei=0),
}
MODELS = [(name, case) for name in ANSAETZE for case in CASES]


def make_system(case):
    """Returns the system of a case, in double precision."""
    cell = Cell(jnp.asarray(LATTICE), True) if case.periodic else Cell.open()
    charges = jnp.asarray(CHARGES[: case.nuclei])
    return System(
        cell,
        jnp.asarray(NUCLEI[: case.nuclei]),
        charges,
        jnp.asarray(case.twist),
        SYMBOLS[: case.nuclei],
        case.species,
    )


def make_reference(system, dtype=jnp.float64, complex_orbitals=False):
    """Returns a mean field of Bloch vectors, and of combinations of atomic functions on nuclei."""
    reciprocal = system.cell.reciprocal if system.cell.periodic else jnp.zeros((3, 3))
    kpoints = tuple(((WAVES[:c] + system.twist) @ reciprocal).astype(dtype) for c in system.counts)
    number = jnp.result_type(dtype, jnp.complex64) if complex_orbitals else dtype
    atomic = make_atomic(system, dtype, number) if system.symbols else None
    return Reference((), kpoints, Basis((), (), (), ()), ((0, 0, 0),), atomic=atomic)


def make_atomic(system, dtype, number):
    """Returns orbitals of an s shell of two functions and a p shell on every nucleus."""
    atoms = len(system.symbols)
    exponents = [np.array([2.0, 0.5]), np.array([0.4])]
    tables = [np.array([[0.6, 0.0], [0.4, 0.5]]), np.array([[0.3]])]
    basis = Basis(
        tuple(jnp.asarray(e, dtype) for e in exponents) * atoms,
        tuple(jnp.asarray(c, dtype) for c in tables) * atoms,
        tuple(np.repeat(range(atoms), 2).tolist()),
        (0, 1) * atoms,
    )
    rng = np.random.default_rng(1)
    shapes = [(count, basis.size) for count in system.counts]
    parts = [rng.normal(size=(2, *shape)) for shape in shapes]
    is_complex = jnp.issubdtype(number, jnp.complexfloating)
    orbitals = [p[0] + 1j * p[1] if is_complex else p[0] for p in parts]
    return AtomicOrbitals(tuple(jnp.asarray(c, number) for c in orbitals), basis)


def reference_orbitals(reference, walker, system):
    """Stands in for a mean field: smooth, lattice-periodic functions times Bloch phases."""
    seen = features.one_body(walker, system, anchored=True)
    width = seen.shape[-1]
    values = []
    for s, k in enumerate(reference.kpoints):
        weights = np.cos(np.arange(width * len(k)) * (1.3 + s)).reshape(width, len(k))
        phi = 0.3 + jnp.sin(seen @ jnp.asarray(weights, walker.dtype))
        if system.cell.periodic and _is_complex(reference):
            phi = phi * jnp.exp(1j * (walker @ k.T.astype(walker.dtype)))
        values.append(phi)
    return tuple(values)


def _is_complex(reference):
    """Returns whether a hand-made reference is marked complex (by its static images)."""
    return len(reference.images) > 1


class Single(NamedTuple):
    """What is known at one walker without a batch.

    Attributes:
        psi: LogPsi.
        orbitals: (D, n, n) matrices of the determinants, or None.
        derivatives: Route -> `Derivatives`.
    """

    psi: LogPsi
    orbitals: jax.Array | None
    derivatives: dict


class Programs(NamedTuple):
    """What is compiled for an ansatz, at most once per kind of system.

    Attributes:
        wavefunction: The ansatz.
        init: Its parameters from (key, system, reference).
        evaluate: (params, walkers, system, reference) -> LogPsi, its gradients in the walker and
            in the parameters, each with a leading walker axis.
        single: (params, walker, system, reference) -> `Single`.
    """

    wavefunction: Wavefunction
    init: Callable
    evaluate: Callable
    single: Callable


@dataclasses.dataclass(frozen=True)
class Model:
    """A wavefunction with its inputs and its programs."""

    programs: Programs
    system: System
    reference: Reference
    params: dict
    walkers: jax.Array
    case: Case

    @property
    def wavefunction(self):
        return self.programs.wavefunction

    def evaluate(self, walkers, *, params=None, system=None, reference=None):
        """Returns (LogPsi, its gradient in the walker, its gradient in the parameters)."""
        count = len(walkers)
        full = jnp.concatenate([walkers, jnp.repeat(walkers[-1:], BATCH - count, axis=0)])
        out = self.programs.evaluate(
            self.params if params is None else params,
            full,
            system or self.system,
            reference or self.reference,
        )
        return jax.tree.map(lambda x: x[:count], out)

    def psi(self, walkers, **kwargs):
        """Returns the phases and logarithms of a few walkers."""
        return self.evaluate(walkers, **kwargs)[0]

    def single(self, walker):
        """Returns what the program without a batch says of one walker."""
        return self.programs.single(self.params, walker, self.system, self.reference)


def _compiled(function):
    return jax.jit(function, compiler_options=FAST_COMPILATION)


def _evaluation(apply):
    def one(params, walker, system, reference):
        def both(params, walker):
            psi = apply(params, walker, system, reference)
            return psi, psi

        jacobian, psi = jax.jacrev(both, argnums=(0, 1), has_aux=True)(params, walker)
        in_params, in_walker = zip(*jacobian, strict=True)
        return psi, LogPsi(*in_walker), LogPsi(*in_params)

    return _compiled(jax.vmap(one, (None, 0, None, None)))


def _single(wavefunction, routes):
    def single(params, walker, system, reference):
        arguments = (params, walker, system, reference)
        psi = Psi(wavefunction, params, system, reference)
        return Single(
            wavefunction.apply(*arguments),
            wavefunction.orbitals and wavefunction.orbitals(*arguments),
            {name: ROUTES[name](psi, walker, system.particle_masses) for name in routes},
        )

    return _compiled(single)


def build(name, case, dtype):
    """Returns the wavefunction of a case, its system and its reference."""
    system = make_system(case)
    reference = make_reference(system, dtype, case.complex_orbitals)
    if case.complex_orbitals:
        reference = dataclasses.replace(reference, images=((0, 0, 0), (1, 0, 0)))
    wavefunction = make_wavefunction(
        dataclasses.replace(SMALL, name=name, layers=LAYERS.get(name, SMALL.layers)),
        system,
        reference,
        dtype=dtype,
        complex_orbitals=case.complex_orbitals,
        reference_orbitals=reference_orbitals,
    )
    return wavefunction, system, reference


@functools.cache
def _programs(name, untwisted):
    wavefunction = build(name, untwisted, jnp.float64)[0]
    return Programs(
        wavefunction,
        _compiled(wavefunction.init),
        _evaluation(wavefunction.apply),
        _single(wavefunction, untwisted.routes),
    )


@functools.cache
def model(name, case_name):
    """Returns the double-precision model; what it needs is compiled at its first use."""
    case = CASES[case_name]
    _, system, reference = build(name, case, jnp.float64)
    programs = _programs(name, dataclasses.replace(case, twist=Case.twist))
    params = programs.init(jax.random.key(3, impl="rbg"), system, reference)
    rng = np.random.default_rng(5)
    walkers = jnp.asarray(rng.normal(size=(4, system.n_particles, 3)) * 1.5)
    return Model(programs, system, reference, params, walkers, case)
