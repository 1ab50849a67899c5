"""Conversion constants, CODATA 2022. Inside the engine everything is in Hartree atomic units."""

BOHR_ANGSTROM = 0.529177210544
HARTREE_EV = 27.211386245981

LENGTH_UNITS = {"bohr": 1.0, "angstrom": 1.0 / BOHR_ANGSTROM}
"""Bohr per unit, for keys that end in `_bohr` or `_angstrom`."""

FINE_STRUCTURE = 7.2973525643e-3
ATOMIC_TIME_NS = 2.4188843265864e-8
"""Nanoseconds per hbar / hartree."""
HARTREE_PER_BOHR3_GPA = 29421.015756393
"""Gigapascal per hartree / bohr^3."""
