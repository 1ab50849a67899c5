"""Elements and pairs of elements that no training geometry has: nothing is predicted of them."""

import dataclasses
import logging

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from engine.config.learned import FlowConfig, UseConfig
from engine.io.lattice_hamiltonian import LatticeHamiltonian, read_hamiltonian, write_hamiltonian
from engine.learned import flow
from engine.learned.graph import Blocks, molecule_graph, to_blocks
from engine.learned.model import Trained, init, make_model, make_predict
from engine.learned.novelty import SLACK_BOHR, beyond, ranges, unseen
from engine.learned.orbitals import OrbitalBasis
from engine.learned.scales import Scales, fit_scale
from engine.stage.crystal_mean_field import accepted
from engine.stage.learned_model import never_seen, novelty_of
from tests.learned.molecules import BASES, positions, symmetric
from tests.learned.test_network import TINY

BASIS = OrbitalBasis.of(BASES["split valence"])
TRAINING = (("O", "H", "H"), ("C", "H", "H"))
STRANGE = ("O", "H", "C")


def matrix_of(symbols, rng):
    return symmetric(rng, sum(2 * l + 1 for s in symbols for l in dict(BASIS.shells)[s]))


def blocks_of(symbols, count, rng):
    matrices = np.stack([matrix_of(symbols, rng) for _ in range(count)])
    graph = molecule_graph(BASIS, symbols, np.stack([positions(rng, len(symbols))] * count))
    return graph, to_blocks(BASIS, symbols, matrices)


@pytest.fixture(scope="module")
def trained():
    """Returns a model of O-H, C-H and H-H with random parameters; O-C is in no geometry."""
    rng = np.random.default_rng(3)
    fitted = fit_scale(BASIS, [blocks_of(symbols, 4, rng) for symbols in TRAINING])
    model = make_model(BASIS, TINY, FlowConfig())
    params = init(model, jax.random.key(0))
    facts = {"novelty_reference": 1.0}
    return Trained(model, params, Scales(fitted, fitted, jnp.asarray(1.0)), facts)


def graph_of(symbols):
    return molecule_graph(BASIS, symbols, positions(np.random.default_rng(5), len(symbols)))


def test_a_pair_that_was_never_seen_keeps_its_initial_guess(trained):
    rng = np.random.default_rng(1)
    guess, r = matrix_of(STRANGE, rng), positions(rng, 3)
    predict = make_predict(trained.model)
    found = predict(trained.params, trained.scales, STRANGE, r, guess, jax.random.key(0)) - guess
    atoms, _ = BASIS.places(STRANGE)
    o, h, c = (atoms == a for a in range(3))
    assert np.abs(found[np.ix_(o, c)]).max() == 0 and np.abs(found[np.ix_(c, o)]).max() == 0
    assert all(np.abs(found[np.ix_(*ends)]).max() > 1e-3 for ends in ((o, h), (h, c), (c, c)))


def test_its_novelty_is_infinite_and_it_has_a_name(trained):
    rng = np.random.default_rng(2)
    for symbols, names in ((STRANGE, ["C-O"]), (("O", "H", "H"), [])):
        r = positions(rng, 3)
        far = novelty_of(trained, symbols, r, matrix_of(symbols, rng))
        assert np.isinf(far) == bool(names) and not np.isnan(far)
        assert never_seen(trained, graph_of(symbols)) == names


WATER = np.array([[0.0, 0, 0], [0, 1.43, 1.1], [0, -1.43, 1.1]])


def water(shift=0.0, angle=0.0):
    """Returns the graph of a water molecule: one bond longer, both hydrogens turned outwards."""
    r, bond = WATER.copy(), np.linalg.norm(WATER[1])
    own = np.arctan2(1.43, 1.1) + angle
    for k, sign in ((1, 1), (2, -1)):
        r[k] = (bond + (shift if k == 1 else 0)) * np.array([0, sign * np.sin(own), np.cos(own)])
    return molecule_graph(BASIS, ("O", "H", "H"), r)


def test_distances_outside_their_ranges_are_noticed():
    rng = np.random.default_rng(6)
    training = [
        molecule_graph(BASIS, ("O", "H", "H"), WATER + 0.1 * rng.normal(size=(3, 3)))
        for _ in range(40)
    ]
    known = ranges(BASIS.elements, training)
    assert sorted(known) == ["H-H", "H-O", "O-H"]
    assert [len(known[name]) for name in sorted(known)] == [1, 1, 2]
    assert all(low < high for spans in known.values() for low, high in spans)
    found = [beyond(known, BASIS.elements, g) for g in (water(), water(1.2), water(angle=0.6))]
    assert found[0] == 0 and found[1] > 2 and found[2] > 1
    far = molecule_graph(BASIS, ("O", "H"), np.array([[0.0, 0, 0], [0, 0, 5.0]]))
    spans = (known["O-H"][0], known["H-O"][0])
    expected = max(1 + (5 - high) / (high - low + SLACK_BOHR) for low, high in spans)
    assert beyond(known, BASIS.elements, far) == pytest.approx(expected)
    assert beyond({}, BASIS.elements, far) == 0


def test_more_neighbours_count_only_where_they_are_near():
    two = [np.array([[0.0, 0, 0], [0, 0, 2.0], [0, 0, -2.2]])]
    known = ranges(BASIS.elements, [molecule_graph(BASIS, ("O", "H", "H"), r) for r in two])
    for distance, near in ((1.0, True), (9.0, False)):
        r = np.vstack([two[0], [[0, distance, 0.0]]])
        hydrogens = molecule_graph(BASIS, ("O", "H", "H", "H"), r)
        spans = {"O-H": known["O-H"]}
        assert (beyond(spans, BASIS.elements, hydrogens) > 0) == near


def test_pairs_beyond_the_cutoff_do_not_count(trained):
    graph = graph_of(STRANGE)
    ends = np.sort(graph.species[np.stack([graph.rows, graph.columns])], axis=0)
    closed = graph._replace(window=np.where((ends == [[0], [2]]).all(axis=0), 0.0, 1.0))
    assert unseen(trained.scales, graph) == [(0, 2)] and unseen(trained.scales, closed) == []


def test_an_element_or_pairs_without_samples_have_no_spread():
    rng = np.random.default_rng(4)
    graph, blocks = blocks_of(("O", "H"), 3, rng)
    outside = graph._replace(window=np.zeros_like(graph.window))
    for kept, names in ((graph, [(0,), (0, 2)]), (outside, [(0,), (0, 2), (1, 2)])):
        fitted = fit_scale(BASIS, [(kept, blocks)])
        assert all(np.all(np.isfinite(x)) for x in jax.tree.leaves(fitted))
        assert not np.any(fitted.atom_spread[0]) and not np.any(fitted.atom_mean[0])
        scales = Scales(fitted, fitted, jnp.asarray(1.0))
        asked = [where for where in unseen(scales, graph_of(STRANGE)) if where != (0, 1)]
        assert asked == names


@pytest.mark.parametrize("prior", ["goe", "tensor", "path"])
def test_there_is_no_noise_where_nothing_is_predicted(trained, prior):
    graph = jax.tree.map(jnp.asarray, graph_of(STRANGE))
    draw = flow.make_prior(BASIS, FlowConfig(enabled=True, prior=prior), trained.scales.correction)
    noise = draw(jax.random.key(0), graph, jnp.float32)
    strange = (graph.species[graph.rows] != 1) & (graph.species[graph.columns] != 1)
    assert all(np.all(np.isfinite(x)) for x in noise)
    assert np.all(np.where(strange[:, None], noise.pairs, 0.0) == 0) and np.any(noise.pairs != 0)
    assert isinstance(noise, Blocks) and int(strange.sum()) == 2


@pytest.mark.parametrize("limit", [2.0, float("inf")])
def test_the_gate_of_crystals_names_the_pair(tmp_path, caplog, limit):
    made = LatticeHamiltonian(
        symbols=("C", "O"),
        matrices=np.zeros((1, 2, 2)),
        correction=np.zeros((1, 2, 2)),
        cells=np.zeros((1, 3), int),
        lattice=np.eye(3),
        positions=np.zeros((2, 3)),
        novelty=float("inf"),
        facts={"guess": "minao", "never_seen": ["C-O"]},
    )
    write_hamiltonian(tmp_path / "hamiltonian.h5", made, "x")
    made = read_hamiltonian(tmp_path / "hamiltonian.h5")
    with caplog.at_level(logging.WARNING):
        assert accepted(made, None, dataclasses.replace(UseConfig(), max_novelty=limit)) is None
    assert "not used: novelty inf: its training never saw C-O" in caplog.text
