"""Frozen-parameter energies of accuracy.yaml against exact and published numbers.

The campaign runs in the repository's own results folder, where it is resumed if it was stopped.
"""

import subprocess
import sys
from pathlib import Path

import pytest

from engine.io import table

ROOT = Path(__file__).resolve().parents[2]

BARS = {
    # material: (largest |difference|, mHa per primitive cell; whether the literature is exact)
    "h2": (0.3, True),
    "he": (0.3, True),
    "be": (1.0, True),
    "lih": (1.0, True),
    "h4-chain": (0.5 * 2, False),
    "lih-cell": (2.0, False),
    "h10-chain-gamma": (1.0 * 2, False),
}
"""Chains have two atoms in the primitive cell."""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def rows():
    command = [
        sys.executable,
        "-m",
        "snakemake",
        "--profile",
        "profiles/local",
        "energies",
        "--config",
        "campaign=accuracy.yaml",
    ]
    subprocess.run(command, cwd=ROOT, check=True)
    return {name: table.read(ROOT / f"results/{name}/ferminet/energy.csv")[0] for name in BARS}


@pytest.mark.parametrize("name", BARS)
def test_energy_is_within_the_bar(rows, name):
    bar, exact = BARS[name]
    row = rows[name]
    difference, error = 1e3 * row["difference_ha_per_cell"], 1e3 * row["error_ha_per_cell"]
    assert error < bar / 2, f"{name}: error bar {error:.2f} mHa"
    assert abs(difference) < bar + 2 * error, f"{name}: {difference:+.2f} +- {error:.2f} mHa"
    if exact:
        assert difference > -3 * error, f"{name}: {-difference:.2f} mHa below the exact energy"


def test_twists_of_the_chain_agree_one_by_one(rows):
    """Published per twist (0, 1/4, 1/2): -0.523846, -0.582824, -0.606323 Ha per atom."""
    twists = table.read(ROOT / "results/h4-chain/ferminet/twists.csv")
    published = [-0.523846, -0.582824, -0.606323]
    assert [t["weight"] for t in twists] == [0.25, 0.5, 0.25]
    for row, value in zip(twists, published, strict=True):
        assert row["energy_ha_per_cell"] / 2 == pytest.approx(value, abs=1e-3)
