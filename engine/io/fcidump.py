"""FCIDUMP: one Hamiltonian for every program of the field, as text.

Header `&FCI NORB=, NELEC=, MS2=, ... &END`, then lines `value i j k l` of (ij|kl), of h_ij
(k = l = 0) and of the constant (all four zero), indices from 1. The constant holds everything
that determinants have in common: nuclei, Madelung term and frozen core.
Complex integrals are written as `(re,im)` without assuming real permutational symmetry.

Source: P. J. Knowles and N. C. Handy, Comput. Phys. Commun. 54, 75 (1989).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from engine.errors import DataError
from engine.io import atomic
from engine.io.integrals import Integrals, check_integrals

ZERO = 1e-12
"""Smaller integrals are not written, hartree."""


def write_fcidump(path: str | Path, integrals: Integrals) -> None:
    """Writes real integrals with eightfold, complex ones with twofold symmetry."""
    n, electrons = integrals.n_orbitals, integrals.n_up + integrals.n_down
    spin = integrals.n_up - integrals.n_down
    lines = [f"&FCI NORB={n},NELEC={electrons},MS2={spin},", f"  ORBSYM={'1,' * n}", "  ISYM=1,"]
    lines += ["&END", *_lines(integrals)]
    with atomic.replaced(path) as temporary:
        Path(temporary).write_text("\n".join(lines) + "\n", encoding="ascii")


def _lines(integrals: Integrals) -> Iterator[str]:
    n = integrals.n_orbitals
    pairs = [(i, j) for i in range(n) for j in range(n if integrals.is_complex else i + 1)]
    for a, (i, j) in enumerate(pairs):
        for k, l in pairs[: a + 1]:
            if abs(value := integrals.two_body[i, j, k, l]) > ZERO:
                yield _line(value, i + 1, j + 1, k + 1, l + 1)
    for i, j in pairs:
        if abs(integrals.one_body[i, j]) > ZERO:
            yield _line(integrals.one_body[i, j], i + 1, j + 1, 0, 0)
    yield _line(integrals.constant, 0, 0, 0, 0)


def _line(value: complex, *indices: int) -> str:
    number = f"({value.real:.16e},{value.imag:.16e})" if np.iscomplexobj(value) else f"{value:.16e}"
    return f" {number} {' '.join(map(str, indices))}"


def read_fcidump(path: str | Path) -> Integrals:
    """Reads a FCIDUMP; the reference determinant is the first orbitals, the twist is unknown (0).

    Raises:
        DataError: No header, an index out of range, or not Hermitian.
    """
    text = Path(path).read_text(encoding="ascii")
    match = re.search(r"^\s*(&END|/)\s*$", text, re.MULTILINE | re.IGNORECASE)
    if not match:
        raise DataError(
            "no end of the header",
            where=str(path),
            expected="&FCI NORB=..., NELEC=..., MS2=... &END, then the integrals",
            remedy="write it with a standard program",
        )
    header, rows = text[: match.start()], text[match.end() :].split("\n")
    n, electrons, spin = (_header(header, name, path) for name in ("NORB", "NELEC", "MS2"))
    up, down = (electrons + spin) // 2, (electrons - spin) // 2
    if (electrons + spin) % 2 or not 0 <= down <= n or not 0 <= up <= n:
        raise DataError(
            f"NELEC={electrons} and MS2={spin} in NORB={n} orbitals",
            where=str(path),
            expected="(NELEC + MS2) / 2 and (NELEC - MS2) / 2 electrons, whole, at most NORB each",
            remedy="correct the header",
        )
    h, g, constant = _fill(rows, n, path)
    result = Integrals(
        one_body=h,
        two_body=g,
        kinetic=np.zeros_like(h),
        up=np.eye(n)[:, :up],
        down=np.eye(n)[:, :down],
        nuclear=constant,
        madelung=0.0,
        frozen=0.0,
        frozen_kinetic=0.0,
        mean_field=np.nan,
        orbitals="file",
        twist=np.zeros(3),
        n_cells=1,
    )
    check_integrals(result, path)
    return result


def _header(header: str, name: str, path: str | Path) -> int:
    match = re.search(rf"\b{name}\s*=\s*(-?\d+)", header, re.IGNORECASE)
    if not match:
        if name == "MS2":
            return 0
        raise DataError(f"{name} is missing", where=str(path), expected=f"{name}=<integer>")
    return int(match.group(1))


def _fill(rows: list[str], n: int, path: str | Path) -> tuple[np.ndarray, np.ndarray, float]:
    is_complex = any("(" in row for row in rows)
    dtype = complex if is_complex else float
    h, g, constant = np.zeros((n, n), dtype), np.zeros((n, n, n, n), dtype), 0.0
    for row in filter(str.strip, rows):
        value, i, j, k, l = _row(row, path)
        if max(i, j, k, l) > n:
            raise DataError(f"index above NORB in '{row.strip()}'", where=str(path))
        if not i:
            constant = value.real
        elif not k and j:
            h[i - 1, j - 1], h[j - 1, i - 1] = value, np.conj(value)
        elif k:
            for a, b, c, d in {(i, j, k, l), (k, l, i, j)}:
                g[a - 1, b - 1, c - 1, d - 1] = value
                g[b - 1, a - 1, d - 1, c - 1] = np.conj(value)
                if not is_complex:
                    g[b - 1, a - 1, c - 1, d - 1] = g[a - 1, b - 1, d - 1, c - 1] = value
    return h, g, constant


def _row(row: str, path: str | Path) -> tuple[complex, int, int, int, int]:
    try:
        number, *indices = re.sub(r"\(\s*(\S+)\s*,\s*(\S+)\s*\)", r"(\1,\2)", row).split()
        i, j, k, l = map(int, indices)
        if number.startswith("("):
            re_part, im_part = number.strip("()").split(",")
            return complex(float(re_part), float(im_part)), i, j, k, l
        return float(number.replace("D", "e").replace("d", "e")), i, j, k, l
    except ValueError as error:
        raise DataError(
            f"unreadable line '{row.strip()}'", where=str(path), expected="value i j k l"
        ) from error
