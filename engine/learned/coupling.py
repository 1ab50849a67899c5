"""Real Clebsch-Gordan coefficients: products of spherical harmonics by total degree."""

from __future__ import annotations

import functools
from fractions import Fraction
from math import factorial, sqrt

import numpy as np


@functools.cache
def clebsch_gordan(l1: int, l2: int, l: int) -> np.ndarray:
    """Returns C (2 l1 + 1, 2 l2 + 1, 2 l + 1), real, orthonormal over (m1, m2) for each m.

    z_m = sum C[m1, m2, m] x_m1 y_m2 rotates as degree l. Under inversion x and y with the parity
    of their harmonics make z with (-1)^(l1 + l2), that of harmonics only where l1 + l2 + l is even.

    Source: Racah's formula for complex harmonics, taken to real ones; odd l1 + l2 + l comes out
    imaginary there and is multiplied by i.
    """
    if not abs(l1 - l2) <= l <= l1 + l2:
        return np.zeros((2 * l1 + 1, 2 * l2 + 1, 2 * l + 1))
    table = np.zeros((2 * l1 + 1, 2 * l2 + 1, 2 * l + 1))
    for m1 in range(-l1, l1 + 1):
        for m2 in range(-l2, l2 + 1):
            if abs(m1 + m2) <= l:
                table[m1 + l1, m2 + l2, m1 + m2 + l] = _racah(l1, m1, l2, m2, l, m1 + m2)
    u1, u2, u = _real_from_complex(l1), _real_from_complex(l2), _real_from_complex(l)
    real = np.einsum("am,bn,ck,mnk->abc", u1.conj(), u2.conj(), u, table)
    return np.ascontiguousarray(real.imag if (l1 + l2 + l) % 2 else real.real)


def _racah(j1: int, m1: int, j2: int, m2: int, j: int, m: int) -> float:
    """Returns <j1 m1 j2 m2 | j m> with the Condon-Shortley phase."""
    f = factorial
    triangle = Fraction(
        (2 * j + 1) * f(j + j1 - j2) * f(j - j1 + j2) * f(j1 + j2 - j), f(j1 + j2 + j + 1)
    )
    ends = f(j + m) * f(j - m) * f(j1 - m1) * f(j1 + m1) * f(j2 - m2) * f(j2 + m2)
    total = Fraction(0)
    for k in range(j1 + j2 - j + 1):
        terms = (j1 + j2 - j - k, j1 - m1 - k, j2 + m2 - k, j - j2 + m1 + k, j - j1 - m2 + k)
        if min(terms) >= 0:
            total += Fraction((-1) ** k, f(k) * np.prod([f(t) for t in terms], dtype=object))
    return float(total) * sqrt(triangle * ends)


def _real_from_complex(l: int) -> np.ndarray:
    """Returns U with (real harmonics) = U (complex harmonics with the Condon-Shortley phase)."""
    u = np.zeros((2 * l + 1, 2 * l + 1), complex)
    u[l, l] = 1
    for m in range(1, l + 1):
        sign = (-1) ** m
        u[l + m, l + m], u[l + m, l - m] = sign / sqrt(2), 1 / sqrt(2)
        u[l - m, l + m], u[l - m, l - m] = -1j * sign / sqrt(2), 1j / sqrt(2)
    return u
