"""Real orbitals of an electron gas: pairs of plane waves as cosine and sine."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from engine.campaign import load
from engine.errors import ConfigError
from engine.mean_field import reference
from engine.stage import job, vmc
from engine.system.electron_gas import occupied, paired
from engine.wavefunction import orbitals
from tests.chain import TINY, inputs, sections
from tests.exact.test_electron_gas import gas

HALF = (0.5, 0.5, 0.5)


def test_pairs_of_waves():
    waves = occupied(np.eye(3), np.zeros(3), 7, open_shell="refuse", where="")
    found = paired(waves, np.zeros(3))
    np.testing.assert_array_equal(found[0], [0, 0, 0])
    np.testing.assert_array_equal(found[1:4], found[4:])
    assert {tuple(w) for w in found[1:4]} == {(1, 0, 0), (0, 1, 0), (0, 0, 1)}


def test_pairs_at_a_twist_of_one_half():
    twist = np.array(HALF)
    found = paired(occupied(np.eye(3), twist, 8, open_shell="refuse", where=""), twist)
    assert len(found) == 8 and len(np.unique(found, axis=0)) == 4


@pytest.mark.parametrize(
    ("twist", "count", "shell"), [((0.25, 0, 0), 1, "refuse"), ((0, 0, 0), 3, "ordered")]
)
def test_waves_without_their_opposites_are_no_pairs(twist, count, shell):
    waves = occupied(np.eye(3), np.array(twist), count, open_shell=shell, where="")
    assert paired(waves, np.array(twist)) is None


def jobs(folder, material, twist, method, numbers=("real", "complex")):
    """Returns the job of each kind of number on the same files."""
    found = []
    for number in numbers:
        run = sections(material, method, twist, number)
        found.append(job.load("pretrain", run, **inputs(folder, run)))
    return found


CELLS = {
    "closed shell": (gas(14, 1.0, 0), (0, 0, 0)),
    "half": (gas(8, 2.0, 1), HALF),
    "one spin": (gas(7, 5.0, 1), (0, 0, 0)),
}


def walkers(system, count=3):
    rng = np.random.default_rng(4)
    return jnp.asarray(rng.uniform(size=(count, system.n_particles, 3)) @ system.cell.lattice)


@pytest.mark.parametrize("name", CELLS)
def test_real_and_complex_waves_have_the_same_determinant(tmp_path, name):
    method = TINY | {"precision": "float64"}
    real, full = jobs(tmp_path, *CELLS[name], method)
    values = []
    for one in (real, full):
        apply = jax.vmap(one.slater.apply, (None, 0, None, None))
        values.append(apply({}, walkers(one.system), one.system, one.reference))
    np.testing.assert_allclose(values[0].log, values[1].log, atol=1e-9)
    assert set(np.asarray(values[0].arg)) <= {0.0, np.pi}
    phase = np.exp(1j * (values[0].arg - values[1].arg))
    np.testing.assert_allclose(phase, phase[0], atol=1e-9)


@pytest.mark.parametrize("name", CELLS)
def test_a_real_network_keeps_total_momentum_and_twist(tmp_path, name):
    """Moving all particles changes nothing; moving one by a lattice vector, the twist's sign."""
    (real,) = jobs(tmp_path, *CELLS[name], TINY | {"precision": "float64"}, ("real",))
    params, system = real.fresh()[0], real.system
    noise = iter(jax.random.split(jax.random.key(1), 99))
    params = jax.tree.map(lambda x: x + 0.3 * jax.random.normal(next(noise), x.shape), params)
    apply = jax.jit(jax.vmap(real.wavefunction.apply, (None, 0, None, None)))
    r = walkers(system)
    psi = apply(params, r, system, real.reference)
    moved = apply(params, r + jnp.array([0.3, -0.7, 1.1]), system, real.reference)
    np.testing.assert_allclose(moved.log, psi.log, atol=1e-8)
    if sum(real.system.counts) % 2 or not any(CELLS[name][1]):
        np.testing.assert_allclose(moved.arg, psi.arg)
    crossed = apply(params, r.at[:, 0].add(system.cell.lattice[1]), system, real.reference)
    np.testing.assert_allclose(crossed.log, psi.log, atol=1e-8)
    sign = np.cos(crossed.arg - psi.arg)
    np.testing.assert_allclose(sign, np.cos(2 * np.pi * CELLS[name][1][1]), atol=1e-8)


@pytest.mark.parametrize("number", ["real", "complex"])
def test_a_network_begins_at_the_plane_waves(tmp_path, number, monkeypatch):
    monkeypatch.setattr(orbitals, "NOISE", 1e-6)
    method = TINY | {"precision": "float64"}
    method["ansatz"] = TINY["ansatz"] | {"determinants": 2}
    (one,) = jobs(tmp_path, *CELLS["closed shell"], method, (number,))
    params, walker = one.fresh()[0], walkers(one.system)[0]
    found = one.wavefunction.orbitals(params, walker, one.system, one.reference)
    up, down = reference.evaluate_orbitals(one.reference, walker, one.system)
    target = jnp.zeros((14, 14), found.dtype).at[:7, :7].set(up[:7]).at[7:, 7:].set(down[7:])
    np.testing.assert_allclose(found, np.stack([target] * 2), atol=1e-4)


def test_real_orbitals_of_other_waves_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="pairs k and -k"):
        jobs(tmp_path, gas(2, 1.0, 0), (0.25, 0, 0), TINY, ("real",))


def number(folder, material, ansatz=()):
    """Returns what a campaign chooses."""
    for name in ("materials", "methods"):
        (folder / name).mkdir()
    (folder / "materials/m.yaml").write_text(json.dumps(material))
    (folder / "methods/f.yaml").write_text(json.dumps({"ansatz": dict(ansatz)}))
    (folder / "campaign.yaml").write_text("runs: {m: [f]}")
    return load(root=folder).number("m", "f")


def test_a_campaign_takes_real_orbitals_where_it_can(tmp_path):
    cases = [
        (gas(14, 1.0, 0), "real"),
        (gas(8, 1.0, 1) | {"twists": {"points": [HALF]}}, "real"),
        (gas(14, 1.0, 0) | {"twists": {"points": [[0, 0, 0], [0.25, 0.1, 0]]}}, "complex"),
        (gas(6, 1.0, 0) | {"mean_field": {"method": "plane-waves", "open_shell": "ordered"}}, None),
    ]
    for i, (material, expected) in enumerate(cases):
        (tmp_path / str(i)).mkdir()
        assert number(tmp_path / str(i), material) == (expected or "complex")
    (tmp_path / "refused").mkdir()
    with pytest.raises(ConfigError, match="has plane waves that are not pairs"):
        number(tmp_path / "refused", cases[2][0], {"number": "real"})


def test_the_gradient_of_a_gas_is_in_units_of_its_plasma_frequency(tmp_path, monkeypatch):
    seen = []

    class Still:
        init = staticmethod(lambda params, key, batch: ())

        @staticmethod
        def step(params, state, key, batch):
            seen.append([np.asarray(w) for w in batch[1:3]])
            return params, state, {}

    monkeypatch.setattr(vmc, "make_optimizer", lambda *args, **keys: Still)
    (one,) = jobs(tmp_path, gas(2, 30.0, 0), (0, 0, 0), TINY, ("real",))
    assert float(one.system.frequency) == pytest.approx((3 / 30.0**3) ** 0.5)
    advance, state, _ = vmc.make_iteration(one, *one.fresh(), steps=1)
    _, row = advance(state, 0)
    spread = np.sqrt(row["variance_ha2"]) / float(one.system.frequency)
    assert seen[0][0].std() == pytest.approx(spread, rel=0.3)  # but for the clipping
