"""Two electrons in a periodic cell: one relative coordinate, solved by plane waves.

The singlet of total momentum zero is a function of r = r_1 - r_2 alone, with
H = -nabla_r^2 + v(r) + xi. In plane waves exp(i G.r) the Ewald potential v is 4 pi / (V G^2). The
cusp at r = 0 makes the error of a basis with |G| < Q fall as Q^-3.
"""

import numpy as np
import pytest
import yaml
from scipy.sparse.linalg import LinearOperator, eigsh

from engine.mean_field.plane_waves import xi
from tests.chain import sections, stages
from tests.exact.test_electron_gas import gas

RS = 1.0


def lowest(edge, n):
    """Returns the energy with plane waves of |G| <= n 2 pi / edge, hartree per cell."""
    m = np.fft.fftfreq(4 * n, 1 / (4 * n))
    g2 = sum(x**2 for x in np.meshgrid(m, m, m)) * (2 * np.pi / edge) ** 2
    v = np.fft.ifftn(np.divide(4 * np.pi, g2, where=g2 > 0, out=np.zeros_like(g2))).real
    v *= g2.size / edge**3
    kept = np.flatnonzero(g2 <= (n * 2 * np.pi / edge) ** 2 * (1 + 1e-9))
    kinetic, grid = g2.ravel()[kept], np.zeros(g2.size)

    def times(c):
        grid[kept] = c.ravel()
        potential = np.fft.fftn(np.fft.ifftn(grid.reshape(g2.shape)) * v).real
        return kinetic * c.ravel() + potential.ravel()[kept]

    h = LinearOperator((len(kept),) * 2, matvec=times, dtype=float)
    start = 1 / (1 + kinetic) ** 2
    return eigsh(h, k=1, which="SA", v0=start, tol=1e-9)[0][0] + xi(edge * np.eye(3))


def exact(rs):
    """Returns the energy in the limit of all plane waves, hartree per cell."""
    edge = (2 * 4 * np.pi / 3) ** (1 / 3) * rs
    small, large = lowest(edge, 6), lowest(edge, 9)
    return large + (large - small) / ((9 / 6) ** 3 - 1)


def test_the_shipped_value_is_the_exact_one():
    with open("materials/electron-gas-2.yaml") as file:
        literature = yaml.safe_load(file)["literature"]
    assert 2 * literature["value"] == pytest.approx(exact(RS), abs=5e-6)


def test_without_correlation_only_the_images_are_left():
    edge = (2 * 4 * np.pi / 3) ** (1 / 3) * RS
    assert lowest(edge, 1) == pytest.approx(xi(edge * np.eye(3)), abs=0.02)
    assert exact(RS) < lowest(edge, 6) < lowest(edge, 1) < xi(edge * np.eye(3))


@pytest.mark.slow
def test_the_network_finds_the_exact_energy(tmp_path):
    method = {
        "ansatz": {"name": "ferminet", "determinants": 2, "layers": 2, "width": 32},
        "optimizer": {"name": "spring", "learning_rate": 0.02},
        "pretrain": {"steps": 200},
        "vmc": {"steps": 400},
        "evaluate": {"target_error_ha_per_cell": 8e-5, "max_steps": 2000},
    }
    result = stages(tmp_path, sections(gas(2, RS, 0), method, number="complex"))
    assert result["error_ha"] < 1.5e-4
    assert abs(result["energy_ha"] - exact(RS)) < 3e-4 + 3 * result["error_ha"]
    assert result["energy_ha"] > exact(RS) - 3.5 * result["error_ha"]
