"""Contrasts: differences of energies, resolved at parse time and evaluated from the table."""

import math

import pytest

from engine import config
from engine.config.contrast import resolve
from engine.errors import ConfigError, DataError
from engine.io import table
from engine.stage.contrasts import COLUMNS, evaluate, write

RUNS = {"lih": ("net",), "li": ("net", "bare"), "h": ("net",)}
ROWS = [
    {"material": "lih", "method": "net", "energy": -8.07, "error": 3e-4},
    {"material": "li", "method": "net", "energy": -7.478, "error": 4e-4},
    {"material": "li", "method": "bare", "energy": -7.43, "error": 1e-3},
    {"material": "h", "method": "net", "energy": -0.5, "error": 1e-5},
]


def rows():
    found = [
        {
            "material": r["material"],
            "method": r["method"],
            "energy_ha_per_cell": r["energy"],
            "error_ha_per_cell": r["error"],
            "target_reached": r["method"] == "net",
        }
        for r in ROWS
    ]
    return {(r["material"], r["method"]): r for r in found}


def contrast(terms, **keys):
    parsed = config.parse(config.ContrastConfig, {"terms": terms} | keys, where="here")
    listed = resolve(parsed, RUNS, "here").items()
    terms = [{"material": m, "method": k, "coefficient": c} for (m, k), c in listed]
    return {
        "name": "x",
        "terms": terms,
        "description": parsed.description,
        "literature_ha": parsed.literature_ha,
        "literature_error_ha": parsed.literature_error_ha,
        "literature_source": parsed.literature_source,
    }


def test_a_binding_energy_has_the_errors_of_its_terms_in_squares():
    found = evaluate(contrast({"lih": -1, "li/net": 1, "h": 1}, literature_ha=0.09), rows())
    assert found["value_ha"] == pytest.approx(8.07 - 7.978)
    assert found["error_ha"] == pytest.approx(math.sqrt(3e-4**2 + 4e-4**2 + 1e-5**2))
    assert found["difference_ha"] == pytest.approx(0.002)
    assert found["target_reached"] is True


def test_a_run_named_twice_correlates_with_itself():
    once = evaluate(contrast({"h": 2}), rows())
    twice = evaluate(contrast({"h": 1, "h/net": 1}), rows())
    assert once["error_ha"] == twice["error_ha"] == pytest.approx(2e-5)
    assert twice["value_ha"] == pytest.approx(-1.0)
    assert twice["difference_ha"] is None


def test_a_missed_target_shows():
    assert evaluate(contrast({"li/bare": 1, "lih": -1}), rows())["target_reached"] is False


@pytest.mark.parametrize("name", ["be", "li", "lih/bare", "li/other"])
def test_a_term_is_one_run(name):
    with pytest.raises(ConfigError, match="of the runs"):
        contrast({name: 1})


@pytest.mark.parametrize("terms", [{}, {"lih": 0}, {"lih": "one"}, {"lih": True}])
def test_coefficients_are_numbers(terms):
    with pytest.raises(ConfigError, match="key 'terms'"):
        contrast(terms)


def test_the_table(tmp_path):
    table.write(tmp_path / "energies.csv", list(rows().values()))
    write([contrast({"lih": 1})], tmp_path / "energies.csv", tmp_path / "contrasts.csv")
    (row,) = table.read(tmp_path / "contrasts.csv")
    assert tuple(row) == COLUMNS and row["terms"] == "+1*lih/net"
    assert row["value_ha"] == -8.07
    with pytest.raises(DataError, match="no row"):
        evaluate(contrast({"lih": 1}), {})
