"""The mean-field stage from file to file, and the messages of input that cannot be computed."""

import logging

import jax.numpy as jnp
import numpy as np
import pytest

from engine.config import MeanFieldConfig
from engine.errors import ConfigError, DataError, NotConvergedError
from engine.io.mean_field import read_mean_field
from engine.io.system import write_system
from engine.mean_field.primitive import regular_rows, shorten_vacuum
from engine.mean_field.pyscf_solver import solve
from engine.mean_field.reference import make_reference
from engine.stage.mean_field import mean_field
from engine.system.cell import Cell
from engine.system.geometry import Geometry
from engine.system.supercell import expand
from engine.system.system import System, electrons

ONE = np.eye(3, dtype=int)
H2 = Geometry(("H", "H"), np.array([[0.0, 0, 0], [1.4, 0, 0]]))
CHAIN = Geometry(("H", "H"), np.array([[0.0, 0, 0], [1.4, 0, 0]]), np.diag([3.6, 30.0, 30.0]))
TINY = {"basis": "sto-3g", "integrals": "gdf"}


def run(geometry, **options):
    return solve(geometry, ONE, 1, 1, 0, np.zeros(3), MeanFieldConfig(**{**TINY, **options}))


def sections(**changes):
    return {
        "material": "chain",
        "mean_field": TINY | {"vacuum_bohr": 15},
        "charge": 0,
        "spin": 0,
        "twist": {"index": 1, "frac": [0.25, 0.0, 0.0]},
    } | changes


@pytest.fixture
def system(tmp_path):
    S = np.diag([2, 1, 1])
    write_system(tmp_path / "system.h5", expand(CHAIN, S), S, CHAIN, 2, 2, "system-fp")
    return tmp_path / "system.h5"


def test_stage_writes_what_it_returns(system, tmp_path, caplog):
    target = tmp_path / "mean_field" / "twist-001.h5"
    with caplog.at_level(logging.INFO):
        result = mean_field(sections(), system=system, mean_field=target)
    stored = read_mean_field(target)
    assert stored.total == result.total and stored.converged
    assert (stored.system_fingerprint, stored.n_cells, stored.twist[0]) == ("system-fp", 2, 0.25)
    assert stored.occupation.sum() == 4 and stored.lattice[1, 1] == 15
    assert "hartree per primitive cell, gap" in caplog.text


def test_stage_refuses_electrons_that_do_not_match(system, tmp_path):
    with pytest.raises(DataError, match=r"2 spin-up and 2 spin-down.*\n.*3 electrons"):
        mean_field(sections(charge=1, spin=1), system=system, mean_field=tmp_path / "x.h5")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"basis": "cc-pvdzz"}, ["key 'basis'", "cc-pvdzz", "element H", "'cc-pvdz'"]),
        ({"basis": "gth-szv"}, ["key 'basis'", "pseudopotential"]),
        ({"basis": "nothing at all"}, ["key 'basis'", "for H: sto-3g, 6-31g"]),
        ({"method": "rks", "functional": "pbbe"}, ["key 'functional'", "pbbe", "'pbe'"]),
        ({"auxiliary_basis": "weygend"}, ["key 'auxiliary_basis'", "weygend", "'weigend'"]),
    ],
)
def test_bad_options_name_their_key(options, words):
    with pytest.raises(ConfigError) as error:
        run(H2, **options)
    assert all(word in str(error.value) for word in words)


def test_bases_with_a_missing_core_are_refused():
    with pytest.raises(ConfigError, match="def2-svp' of element I .*pseudopotential"):
        run(Geometry(("I",), np.zeros((1, 3))), basis="def2-svp")


def test_an_element_without_the_basis_is_named_with_bases_that_have_it():
    cesium = Geometry(("H", "Cs"), np.array([[0.0, 0, 0], [4.7, 0, 0]]))
    with pytest.raises(ConfigError, match=r"(?s)'cc-pvtz' for element Cs.*for Cs: .*ano") as error:
        run(cesium, basis="cc-pvtz")
    assert "cc-pv" not in str(error.value).split("remedy")[1]


def test_closed_shell_method_refuses_open_shells():
    with pytest.raises(ConfigError, match=r"(?s)mean_field, key 'method'.*set method: uhf"):
        solve(H2, ONE, 2, 0, 0, np.zeros(3), MeanFieldConfig())


@pytest.mark.parametrize("geometry, S", [(H2, ONE), (CHAIN, np.diag([2, 1, 1]))])
def test_more_electrons_of_one_spin_than_orbitals_are_refused(geometry, S):
    orbitals = 2 * round(np.linalg.det(S))
    options = MeanFieldConfig(method="uhf", **TINY)
    with pytest.raises(ConfigError, match=f"{orbitals + 1} particles of one spin in {orbitals}"):
        solve(geometry, S, orbitals + 1, 0, -1, np.zeros(3), options)


def test_missing_convergence_says_what_to_do():
    with pytest.raises(
        NotConvergedError, match=r"(?s)1 cycles.*max_cycles.*level_shift_ha.*newton"
    ):
        solve(
            Geometry(("Be",), np.zeros((1, 3))),
            ONE,
            2,
            2,
            0,
            np.zeros(3),
            MeanFieldConfig(basis="6-31g", max_cycles=1, convergence_ha=1e-14),
        )


def test_degenerate_shell_is_said(caplog):
    """One electron on two far protons: bonding and antibonding orbital are degenerate."""
    far = Geometry(("H", "H"), np.array([[0.0, 0, 0], [60.0, 0, 0]]))
    with caplog.at_level(logging.WARNING):
        full = solve(far, ONE, 2, 0, 0, np.zeros(3), MeanFieldConfig(basis="sto-3g", method="uhf"))
        assert full.gap == np.inf and not caplog.text  # no virtual orbital is left
        cation = solve(
            far, ONE, 1, 0, 1, np.zeros(3), MeanFieldConfig(basis="sto-3g", method="uhf")
        )
    assert cation.gap < 1e-4 and "degenerate open shell" in caplog.text


@pytest.mark.parametrize("moments, words", [([1, -1], "are kept"), ([1, 1], "are lost")])
def test_what_becomes_of_moments_is_said(moments, words, caplog):
    far = Geometry(("H", "H"), np.array([[0.0, 0, 0], [6.0, 0, 0]]))
    with caplog.at_level(logging.INFO):
        found = run(far, method="uhf", magnetic_moments=[float(m) for m in moments])
    assert words in caplog.text
    system = System(
        Cell(None, periodic=False),
        jnp.asarray(far.positions),
        jnp.ones(2),
        jnp.zeros(3),
        far.symbols,
        electrons(1, 1),
    )
    reference = make_reference(found, system, ONE, complex_orbitals=False, dtype=jnp.float64)
    assert reference.broken == (words == "are kept")


@pytest.mark.parametrize("fraction", [0.0, 0.97])
def test_vacuum_is_cut_and_atoms_stay_together(fraction):
    lattice = np.diag([4.0, 50.0, 60.0])
    chain = Geometry(("H", "Li"), np.array([[0.0, 50 * fraction, 1.0], [2.0, 2.5, 59.0]]), lattice)
    short = shorten_vacuum(chain, 20.0, np.zeros((1, 3)))
    np.testing.assert_allclose(np.diag(short.lattice), [4, 20, 20])
    step = short.positions[1] - short.positions[0]
    np.testing.assert_allclose(step, [2.0, 4.0 if fraction else 2.5, -2.0], atol=1e-12)


def test_long_crystals_are_not_taken_for_vacuum():
    full = Geometry(("H",) * 8, np.arange(8)[:, None] * [0, 0, 5.0], np.diag([4.0, 4.0, 40.0]))
    np.testing.assert_array_equal(
        shorten_vacuum(full, 20.0, np.zeros((1, 3))).lattice, full.lattice
    )
    tilted = np.array([[4.0, 0, 0], [0, 4.0, 0], [2.0, 0, 40.0]])
    one = Geometry(("H",), np.zeros((1, 3)), tilted)
    np.testing.assert_array_equal(shorten_vacuum(one, 20.0, np.zeros((1, 3))).lattice, tilted)


def test_twist_along_vacuum_is_refused():
    with pytest.raises(
        ConfigError, match="mean_field, key 'vacuum_bohr': .*lattice vector 2, which is vacuum"
    ):
        solve(
            CHAIN, ONE, 1, 1, 0, np.array([0.0, 0.25, 0.0]), MeanFieldConfig(**TINY, vacuum_bohr=15)
        )


@pytest.mark.parametrize(
    "S",
    [
        np.diag([3, 1, 2]),
        np.array([[-1, 1, 1], [1, -1, 1], [1, 1, -1]]),
        np.array([[0, 2, 0], [0, 0, 3], [1, 0, 0]]),
        np.array([[3, 1, 4], [1, 5, 9], [2, 6, 5]]),
    ],
)
def test_every_supercell_is_diagonal_in_other_rows(S):
    W = regular_rows(S)
    assert round(np.linalg.det(W)) == 1
    # S W^-1 = U D: up to a unimodular U on the left, so the columns' divisors are D.
    left = np.round(S @ np.linalg.inv(W)).astype(int)
    divisors = np.gcd.reduce(left, axis=0)
    assert np.prod(divisors) == abs(round(np.linalg.det(S)))
