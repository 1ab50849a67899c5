"""Model cards, parity files and figures of learned Hamiltonians, from made-up numbers."""

import numpy as np
import pytest
from plots.learned import learning_figure, parity_figure, sizes_figure
from plots.style import save

from engine.io import table
from engine.io.learned import LearnedFile, write_learned
from engine.io.parity import points_of, read_parity, write_parity
from engine.stage.learned_cards import learned_cards


def facts(name, train, parameters):
    return {
        "name": name,
        "shells": {"H": [0]},
        "model": {"pair_update": "both", "convolution": "so2"},
        "flow": {"enabled": False},
        "mean_field": {"method": "rks", "functional": "pbe", "basis": "sto-3g"},
        "guess": "minao",
        "novelty_reference": 1.0,
        "molecules": ["h2"],
        "geometries": [train],
        "parameters": parameters,
        "steps": 100,
        "validation_ha": 1e-5,
        "pyscf_version": "2",
        "commit": "abc",
    }


def errors(name, h):
    known = {"hamiltonian_uha": h, "guess_hamiltonian_uha": 9000.0, "cycles_predicted": 4.0}
    return [
        {"model": name, "material": "h2", "quantity": q, "mean": v, "worst": 3 * v, "geometries": 7}
        for q, v in known.items()
    ]


@pytest.fixture
def cards(tmp_path):
    """Returns the cards of three models: two sizes of data, two of the network."""
    models, measured = [], []
    for name, train, parameters, h in (
        ("a", 50, 1000, 40.0),
        ("b", 500, 1000, 12.0),
        ("c", 500, 9000, 8.0),
    ):
        models.append(tmp_path / f"{name}.h5")
        measured.append(tmp_path / f"{name}.csv")
        write_learned(
            models[-1], LearnedFile({"w": np.ones(2)}, {}, facts(name, train, parameters)), "f"
        )
        table.write(measured[-1], errors(name, h))
    return learned_cards(models, measured, tmp_path / "learned.csv")


def test_a_card_says_what_a_model_is_and_how_far_it_is_off(cards, tmp_path):
    stored = table.read(tmp_path / "learned.csv")
    assert [row["model"] for row in stored] == ["a", "b", "c"]
    card = stored[1]
    assert (
        card["kind"] == "molecule"
        and card["mean_field"] == "pbe"
        and card["target"] == "regression"
    )
    assert card["hamiltonian_uha_mean"] == 12 and card["hamiltonian_uha_worst"] == 36
    assert card["train_geometries"] == 500 and card["test_geometries"] == 7
    assert card["forces_mev_per_angstrom_mean"] is None
    assert card["validation_uha"] == pytest.approx(10)


def test_parity_files_hold_true_and_predicted_numbers_of_real_and_complex_matrices(tmp_path):
    rng = np.random.default_rng(0)
    true, guess = rng.normal(size=(2, 3, 3))
    real = points_of(true, true + 1e-3, guess, np.arange(3.0), np.arange(3.0) + 0.1)
    twisted = points_of(1j * true, 1j * true, guess + 0j, np.zeros(2), np.zeros(2))
    write_parity(tmp_path / "parity.h5", {"h2": [real, real], "chain": [twisted]}, "f")
    found = read_parity(tmp_path / "parity.h5")
    np.testing.assert_allclose(found["h2"].correction[1] - found["h2"].correction[0], 1e-3)
    np.testing.assert_allclose(found["h2"].levels[1] - found["h2"].levels[0], 0.1)
    assert found["h2"].correction.shape == (2, 18) and found["chain"].correction.shape == (2, 18)
    np.testing.assert_allclose(found["chain"].correction[0, 9:], true.ravel())


def test_figures_are_drawn_and_models_that_differ_in_one_size_are_joined(cards, tmp_path):
    step = np.arange(100)
    validation = np.where(step < 9, 1e9, 1e-4 / (1 + step // 10))
    trace = {"step": step, "error_h_ha": 1e-3 / (1.0 + step), "validation_ha": validation}
    learning = learning_figure(trace, cards[0])
    drawn = learning.axes[0].lines[1].get_xydata()
    assert len(drawn) == 10 and drawn[0, 0] == 9 and drawn[0, 1] == pytest.approx(100)
    sizes = sizes_figure(cards)
    lengths = [sorted(len(line.get_xdata()) for line in ax.lines[::2]) for ax in sizes.axes]
    assert lengths == [[1, 2], [1, 2]]
    rng = np.random.default_rng(1)
    true, guess = rng.normal(size=(2, 8, 8)) / 30
    points = points_of(
        true, true + rng.normal(size=(8, 8)) / 900, guess, -np.arange(5), -np.arange(5.0) + 1e-4
    )
    parity = parity_figure({"h2": points, "h4": points}, "a")
    for name, figure in (("learning", learning), ("sizes", sizes), ("parity", parity)):
        save(figure, svg=tmp_path / f"{name}.svg", png=tmp_path / f"{name}.png")
        assert (tmp_path / f"{name}.svg").stat().st_size > 5000
