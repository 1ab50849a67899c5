"""Stage `learned_hamiltonian`: H(R) of a crystal from a model, once for all of its twists."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from engine import keys
from engine.config import MeanFieldConfig, fingerprint, parse
from engine.errors import DataError
from engine.io import hdf5
from engine.io.lattice_hamiltonian import LatticeHamiltonian, write_hamiltonian
from engine.io.system import read_system
from engine.learned import crystal, lattice
from engine.learned.model import Trained
from engine.mean_field import pyscf_crystal
from engine.mean_field.primitive import shorten_vacuum
from engine.stage import runtime
from engine.stage.learned_model import check_shells, crystal_novelty, error_of, load
from engine.system.geometry import Geometry

log = logging.getLogger(__name__)

AS_DENSE = 0.95
"""The mesh reaches at least this part of what the meshes of the training set do."""


def learned_hamiltonian(
    sections: Mapping[str, Any], *, system: Path, model: Path, hamiltonian: Path
) -> LatticeHamiltonian:
    """Predicts H(R) of a crystal's primitive cell and writes it.

    Args:
        sections: "material", "learned" (name) and "pseudopotentials" where there are some.
        system: Input system.h5.
        model: Input, kind "learned_hamiltonian".
        hamiltonian: Output, kind "lattice_hamiltonian".

    Raises:
        DataError: The model is of another schema, of molecules, of other pseudopotentials or basis,
            or without an element.
    """
    runtime.configure()
    file, trained = read_system(system), load(model)
    named = dict(sections.get("pseudopotentials", {}))
    check_crystal_model(trained, file.primitive, named, model)
    made = predict(trained, file.primitive, named)
    inputs = [file.fingerprint, hdf5.content(model)]
    write_hamiltonian(hamiltonian, made, fingerprint(dict(sections), inputs))
    log.info("H(R) at %d translations, novelty %.2f", len(made.cells), made.novelty)
    return made


def check_crystal_model(
    trained: Trained, geometry: Geometry, named: Mapping[str, str], path: Path
) -> None:
    """Refuses a model of molecules, of other elements, shells or pseudopotentials."""
    if not trained.facts.get("reach_bohr"):
        raise DataError(
            "the model was trained on molecules",
            where=str(path),
            expected="a model of crystals",
            remedy="train one with labels.kmesh, or use reference: scf",
        )
    trained.model.basis.species(geometry.symbols)
    theirs = trained.facts["pseudopotentials"]
    for symbol in set(geometry.symbols):
        if theirs.get(symbol) != named.get(symbol):
            raise DataError(
                f"pseudopotential {named.get(symbol)} of {symbol}, and the model has "
                f"{theirs.get(symbol)}",
                where=str(path),
                expected="the pseudopotentials the model was trained with",
                remedy="change those of the material, or train a model for it",
            )
    options = mean_field_of(trained)
    check_shells(trained, pyscf_crystal.crystal_shells(geometry, options, named), path)


def mean_field_of(trained: Trained) -> MeanFieldConfig:
    """Returns the mean field a model has learned."""
    return parse(MeanFieldConfig, trained.facts["mean_field"], where="the model")


def predict(
    trained: Trained, geometry: Geometry, named: Mapping[str, str], mesh: np.ndarray | None = None
) -> LatticeHamiltonian:
    """Returns H(R) of a primitive cell: the initial guess on a mesh, and what the model adds.

    Args:
        trained: A model of crystals.
        geometry: Primitive cell.
        named: Element -> pseudopotential.
        mesh: (3,) k-points; as dense as in the training set when left out.
    """
    options, model = mean_field_of(trained), trained.model
    if mesh is None:
        mesh = mesh_of(trained, geometry, options)
    guess, points = pyscf_crystal.guess_matrices(
        geometry, mesh, options, trained.facts["guess"], named
    )
    a, r = points.geometry.lattice, points.geometry.positions
    crystal.check_reach(a, mesh, model.options.cutoff_bohr, "learned Hamiltonian")
    own = crystal.real_blocks(guess, points.kpoints, mesh, a)
    key = keys.root(0, "learned-hamiltonian")
    found = crystal.make_predict_crystal(model)(
        trained.params, trained.scales, geometry.symbols, a, r, mesh, own, key
    )
    atoms, _ = model.basis.places(geometry.symbols)
    start = lattice.shortest(own, lattice.translations(mesh), mesh, a, r, atoms)
    matrices, cells = total(start, found)
    correction, _ = total((np.zeros_like(start[0]), start[1]), found)
    far, strange = crystal_novelty(trained, geometry.symbols, a, r, mesh, own)
    return LatticeHamiltonian(
        symbols=geometry.symbols,
        matrices=matrices,
        correction=correction,
        cells=cells,
        lattice=a,
        positions=r,
        novelty=far,
        facts={
            "model": trained.facts["name"],
            "error_ha": error_of(trained),
            "guess": trained.facts["guess"],
            "mean_field": trained.facts["mean_field"],
            "mesh": [int(n) for n in mesh],
            "never_seen": strange,
        },
    )


def mesh_of(trained: Trained, geometry: Geometry, options: MeanFieldConfig) -> np.ndarray:
    """Returns the mesh of a primitive cell that reaches as far as those of the training set."""
    if options.vacuum_bohr is not None:
        geometry = shorten_vacuum(geometry, options.vacuum_bohr, np.zeros((1, 3)))
    wanted = max(AS_DENSE * trained.facts["reach_bohr"], trained.model.options.cutoff_bohr)
    length = np.linalg.norm(geometry.lattice, axis=1)
    mesh = np.ones(3, int)
    odd = int(geometry.charges.sum()) % 2
    while lattice.reach(geometry.lattice, mesh) < wanted - 1e-9 or (odd and mesh.prod() % 2):
        mesh[np.argmin(mesh * length)] += 1
    return mesh


def total(*parts: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Returns the sum of matrices (M, n, n) given at their translations (M, 3)."""
    found: dict[tuple[int, ...], np.ndarray] = {}
    for matrices, cells in parts:
        for matrix, cell in zip(matrices, cells, strict=True):
            place = tuple(map(int, cell))
            found[place] = found.get(place, 0.0) + matrix
    order = sorted(found)
    return np.array([found[cell] for cell in order]), np.array(order, int)
