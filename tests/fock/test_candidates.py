"""Connected sets, their scores and the effective Hamiltonian against dense matrices."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from engine.fock import slater_condon as sc
from engine.fock import subspace
from engine.fock.candidates import (
    GUARD,
    SCORES,
    best,
    drawn,
    make_candidates,
    make_crowding,
)
from engine.fock.determinants import (
    NONE,
    FockSpace,
    _compiled_keys,
    _compiled_order,
    aufbau,
    enumerate_all,
    sorted_order,
    valid,
)
from engine.fock.subspace import make_subspace
from tests.fock.systems import hydrogen
from tests.fock.test_slater_condon import matrix, random_integrals

pytestmark = pytest.mark.slow  # programs of many shapes: minutes of compilation


@functools.cache
def dense(n=6, up=3, down=2, is_complex=False):
    """Returns (space, H, dense matrix, all determinants)."""
    space = FockSpace(n, up, down)
    H = sc.make_operator(*random_integrals(n, 11, is_complex), 0.3)
    return space, H, *matrix(space, H)


@pytest.mark.parametrize("is_complex", [False, True])
def test_slices_of_the_outside_are_the_whole_in_parts(is_complex):
    """Each determinant is in one slice, with all its contributions, in a tenth of the memory."""
    space, H, _, every = dense(is_complex=is_complex)
    core, psi = every[chosen(every, 20)], jnp.asarray(amplitudes(20, is_complex))
    whole = listed(make_candidates(space, chunk=7, buffer=10**6)(H, core, psi))
    candidates, found, parts = make_candidates(space, chunk=7, buffer=400), {}, 13
    assert not bool(candidates(H, core, psi).complete)
    for part in range(parts):
        piece = candidates(H, core, psi, part, parts)
        assert bool(piece.complete)
        assert not found.keys() & listed(piece).keys()
        found |= listed(piece)
    assert found.keys() == whole.keys()
    for name, values in whole.items():
        assert found[name] == pytest.approx(values, abs=1e-12)


def listed(found):
    """Returns {determinant: (residual, sum, max, diagonal)}."""
    good = np.asarray(valid(found.words))
    columns = (found.residual, found.sum, found.max, found.diagonal)
    values = np.stack([np.asarray(c)[good] for c in columns], axis=1)
    return {tuple(w.ravel()): v for w, v in zip(np.asarray(found.words)[good], values, strict=True)}


def chosen(every, size, seed=0):
    return np.random.default_rng(seed).choice(len(every), size, replace=False)


def amplitudes(size, is_complex, seed=1):
    rng = np.random.default_rng(seed)
    return rng.normal(size=size) + (1j * rng.normal(size=size) if is_complex else 0)


def scores(H, core, psi, energy):
    """Returns the four scores of all determinants from the dense matrix."""
    terms = H[:, core] * psi
    residual = np.abs(terms.sum(axis=1))
    gaps = np.maximum(np.abs(energy - np.diag(H).real), GUARD)
    return dict(
        zip(
            SCORES,
            (np.abs(terms).max(1), np.abs(terms).sum(1), residual, residual / gaps),
            strict=True,
        )
    )


@pytest.mark.parametrize("is_complex", [False, True])
@pytest.mark.parametrize("chunk", [4, 7, 100])
def test_scores_are_those_of_the_dense_matrix(is_complex, chunk):
    space, H, full, every = dense(is_complex=is_complex)
    core, psi = chosen(every, 20), amplitudes(20, is_complex)
    found = make_candidates(space, chunk=chunk, buffer=10**6)(H, every[core], jnp.asarray(psi))
    good = np.asarray(valid(found.words))
    place = {tuple(w.ravel()): k for k, w in enumerate(np.asarray(every))}
    listed = [place[tuple(w.ravel())] for w in np.asarray(found.words)[good]]
    outside = np.setdiff1d(np.flatnonzero(np.abs(full[:, core]).max(axis=1) > 0), core)
    assert sorted(listed) == sorted(outside)
    for name, wanted in scores(full, core, psi, -1.5).items():
        assert np.asarray(found.score(name, -1.5))[good] == pytest.approx(wanted[listed], rel=1e-10)
        assert (np.asarray(found.score(name, -1.5))[~good] == -1).all()


def test_the_whole_connected_space_of_one_determinant_is_found():
    integrals = hydrogen(10, 1.8, orbitals="oao")
    space, H = FockSpace(10, 5, 5), sc.hamiltonian(integrals)
    found = make_candidates(space, chunk=1, buffer=10**6)(H, aufbau(space)[None], jnp.ones(1))
    assert int(valid(found.words).sum()) <= space.n_connected == 875


def test_a_full_buffer_keeps_the_largest_contributions():
    space, H, full, every = dense()
    core, psi = chosen(every, 20), amplitudes(20, False)
    found = make_candidates(space, chunk=20, buffer=50)(H, every[core], jnp.asarray(psi))
    terms = np.abs(full[:, core] * psi)
    terms[core] = 0  # contributions to the core itself are dropped later, but they fill slots
    everything = np.sort((np.abs(full[:, core] * psi) * (1 - np.eye(len(every))[:, core])).ravel())
    assert np.asarray(found.sum).sum() <= everything[-50:].sum() + 1e-9
    assert float(found.max.max()) == pytest.approx(terms.max())


@pytest.mark.parametrize("buffer", [400, 10**6])
def test_crowding_is_known_before_anything_is_sorted(buffer):
    space, H, _, every = dense()
    core, psi = every[chosen(every, 20)], jnp.asarray(amplitudes(20, False))
    found = make_candidates(space, chunk=7, buffer=buffer)(H, core, psi)
    crowding = make_crowding(space, chunk=7, buffer=buffer)(H, core, psi)
    assert float(crowding) == float(found.crowding)
    assert bool(found.complete) == (float(crowding) <= 1) == (buffer > 400)


@pytest.mark.parametrize("n", [6, 40, 70])
def test_lists_have_one_order_whatever_sorts_them(n):
    """One key, two, four; equal determinants side by side, empty slots last."""
    rng, space = np.random.default_rng(n), FockSpace(n, 3, 2)
    top = np.array([min(n, 64), max(n - 64, 0)][: space.words], np.uint64)
    words = rng.integers(0, 2, (200, 2, space.words), np.uint64) << (top - (top > 0))
    words = words | rng.integers(0, 4, words.shape, np.uint64)
    words[::9] = NONE
    order = np.asarray(sorted_order(space, jnp.asarray(words)))
    other = np.asarray(_compiled_order(_compiled_keys(space, jnp.asarray(words))))
    assert sorted(order) == list(range(200))
    assert (words[order] == words[other]).all()
    assert (words[order][-23:] == NONE).all() and (words[order][:-23] != NONE).any((1, 2)).all()
    changes = (words[order][1:] != words[order][:-1]).any((1, 2)).sum()
    assert changes + 1 == len(np.unique(words.reshape(200, -1), axis=0))


def test_empty_slots_in_the_core_change_nothing():
    space, H, _, every = dense()
    core, psi = every[chosen(every, 9)], jnp.asarray(amplitudes(9, False))
    run = make_candidates(space, chunk=4, buffer=10**6)
    empty = jnp.full((3, 2, 1), NONE, jnp.uint64)
    plain = run(H, core, psi)
    padded = run(H, jnp.concatenate([core, empty]), jnp.concatenate([psi, jnp.ones(3)]))
    count = int(valid(plain.words).sum())
    assert int(valid(padded.words).sum()) == count
    assert (plain.words[:count] == padded.words[:count]).all()
    assert plain.residual[:count] == pytest.approx(np.asarray(padded.residual)[:count], abs=1e-12)


def test_best_takes_the_highest_scores_and_says_where_there_are_too_few():
    space, H, _, every = dense()
    core, psi = every[chosen(every, 3)], jnp.asarray(amplitudes(3, False))
    found = make_candidates(space, chunk=4, buffer=10**6)(H, core, psi)
    score = found.score("residual", 0.0)
    top = best(found, score, 5)
    order = np.argsort(-np.asarray(score), kind="stable")[:5]
    assert (np.asarray(top) == np.asarray(found.words)[order]).all()
    many = best(found, score, len(score) + 100)
    assert int(valid(many).sum()) == int(valid(found.words).sum())


def test_a_share_of_the_survivors_is_drawn_as_often_as_the_squared_score_says():
    """The best stay, the others come without replacement; nothing drawn is the plain choice."""
    space, H, _, every = dense()
    core, psi = every[chosen(every, 3)], jnp.asarray(amplitudes(3, False))
    found = make_candidates(space, chunk=4, buffer=10**6)(H, core, psi)
    score = found.score("residual", 0.0)
    top = best(found, score, 8)
    none = drawn(found, score, 8, 0.0, jax.random.key(0))
    assert {w.tobytes() for w in np.asarray(none)} == {w.tobytes() for w in np.asarray(top)}
    every_draw = jax.vmap(lambda key: drawn(found, score, 8, 1 / 8, key))(
        jax.random.split(jax.random.key(1), 2000)
    )
    words = [{w.tobytes() for w in draw} for draw in np.asarray(every_draw)]
    assert all(len(w) == 8 for w in words)
    order = np.argsort(-np.asarray(score), kind="stable")
    names = [np.asarray(found.words)[k].tobytes() for k in order]
    assert all(set(names[:7]) <= w for w in words)
    rest = np.asarray(score)[order[7:]].clip(0) ** 2
    for k in (7, 8, 12):
        share = np.mean([names[k] in w for w in words])
        assert share == pytest.approx(rest[k - 7] / rest.sum(), abs=0.04)
    many = drawn(found, score, len(score) + 9, 0.5, jax.random.key(2))
    assert int(valid(many).sum()) == int(valid(found.words).sum())


@pytest.fixture(params=["comparison", "search"])
def route(request, monkeypatch):
    """Both ways to the lists of neighbours, which sizes choose between elsewhere."""
    searched = request.param == "search"
    monkeypatch.setattr(subspace, "_searched", lambda space, columns: searched)


@pytest.mark.parametrize("is_complex", [False, True])
def test_the_effective_hamiltonian_has_the_four_blocks(is_complex, route):
    space, H, full, every = dense(is_complex=is_complex)
    places = chosen(every, 30, 4)
    core, survivors = places[:12], places[12:]
    sub = make_subspace(space)(H, every[core], every[survivors])
    wanted = full[np.ix_(places, places)].copy()
    wanted[12:, 12:] = np.diag(np.diag(wanted[12:, 12:]))
    columns = jax.vmap(sub.apply, in_axes=1, out_axes=1)(jnp.eye(30, dtype=full.dtype))
    assert np.abs(columns - wanted).max() < 1e-12
    inner = jax.vmap(sub.apply_core, in_axes=1, out_axes=1)(jnp.eye(12, dtype=full.dtype))
    assert np.abs(inner - wanted[:12, :12]).max() < 1e-12


def test_empty_slots_are_coupled_to_nothing(route):
    space, H, full, every = dense()
    empty = jnp.full((2, 2, 1), NONE, jnp.uint64)
    sub = make_subspace(space)(H, jnp.concatenate([every[:4], empty]), every[4:6])
    columns = np.asarray(jax.vmap(sub.apply, in_axes=1, out_axes=1)(jnp.eye(8)))
    assert list(sub.filled) == [1, 1, 1, 1, 0, 0, 1, 1]
    off = columns - np.diag(np.diag(columns))
    assert not off[4:6].any() and not off[:, 4:6].any()
    assert np.abs(columns[np.ix_([0, 1, 2, 3], [6, 7])] - full[:4, 4:6]).max() < 1e-12


def test_determinants_of_two_words_per_spin_work_throughout(route):
    """70 orbitals: the exact residual of a core of three determinants, by pairs."""
    n = 70
    h, g = random_integrals(n, 1)
    space, H = FockSpace(n, 2, 1), sc.make_operator(h, g, 0.0)
    first = aufbau(space)
    neighbours = sc.connected(space)(first)
    core, psi = jnp.stack([first, neighbours[5], neighbours[-1]]), jnp.array([0.9, 0.3, -0.2])
    found = make_candidates(space, chunk=3, buffer=30000)(H, core, psi)
    place = int(jnp.argmax(found.score("residual", 0.0)))
    pairs = [
        sc.between(space, H, found.words[place], x) * c for x, c in zip(core, psi, strict=True)
    ]
    assert float(found.residual[place]) == pytest.approx(float(sum(pairs)), rel=1e-10)
    every = enumerate_all(FockSpace(4, 2, 1))
    assert every.shape == (24, 2, 1)


def test_what_symmetry_forbids_needs_no_buffer():
    """Half of the elements of a chain vanish by its mirror symmetry: half a buffer is complete."""
    space, H = FockSpace(6, 3, 3), sc.hamiltonian(hydrogen(6, 1.8))
    core = enumerate_all(space)[:4]
    psi, total = jnp.array([1.0, -0.4, 0.3, 0.2]), 4 * space.n_connected
    found = {
        share: make_candidates(space, chunk=1, buffer=int(share * total))(H, core, psi)
        for share in (0.3, 0.6, 1)
    }
    assert [bool(c.complete) for c in found.values()] == [False, True, True]
    residuals = [np.sort(np.abs(c.residual))[::-1][: total // 4] for c in found.values()]
    assert residuals[1] == pytest.approx(residuals[2], abs=1e-9)
    assert np.abs(residuals[0] - residuals[2]).max() > 1e-6
