"""Evaluations of three twists, made up, and their average."""

import numpy as np

from engine.io import hdf5
from engine.io.trace import write_trace
from engine.stage.aggregate import twist_average

TWISTS = [
    {"index": 0, "frac": [0.0, 0.0, 0.0], "spin": 0, "weight": 0.25},
    {"index": 1, "frac": [0.25, 0.0, 0.0], "spin": 0, "weight": 0.5},
    {"index": 2, "frac": [0.5, 0.0, 0.0], "spin": 0, "weight": 0.25},
]
SECTIONS = {
    "material": "chain",
    "method": "net",
    "seed": 5,
    "n_atoms": 2,
    "n_electrons": 2.0,
    "n_cells": 2,
    "twists": TWISTS,
    "literature": {
        "value": -0.5,
        "unit": "ha_per_atom",
        "source": "a paper",
        "what": "",
        "uncertainty": 0.001,
    },
}
ENERGIES = [-2.0, -2.4, -2.2]  # per simulation cell of two primitive cells
ERRORS = [0.02, 0.01, 0.04]


def evaluation(path, twist, energy, error, **changes):
    facts = {
        "energy_ha": energy,
        "error_ha": error,
        "error_blocking_ha": error,
        "kinetic_ha": 1.0,
        "potential_ha": energy - 1.0,
        "mean_field_ha": energy + 0.1,
        "imag_ha": 0.0,
        "variance_ha2": 0.3,
        "tau_steps": 2.0 + abs(energy),
        "samples": 1000,
        "steps": 10,
        "walkers": 100,
        "acceptance": 0.5,
        "seconds": 36.0,
        "compile_seconds": 3.0,
        "device": "cpu",
        "converged": True,
        "twist": twist,
        "engine_version": "0.1.0",
        "commit": "abc",
    } | changes
    hdf5.write(path, "energy", {"energy_ha": energy}, fingerprint=f"f{energy}", attributes=facts)
    return path


def trace(path, seconds, compile_seconds):
    write_trace(
        path,
        {"energy_ha": np.zeros(len(seconds)), "seconds": np.array(seconds)} if seconds else {},
        fingerprint="t",
        attributes={"compile_seconds": compile_seconds},
    )
    return path


def average_in(folder):
    """Writes `energy.csv` and `twists.csv` of the three twists; returns the folder."""
    results = [
        evaluation(folder / f"{t['index']}.h5", t["frac"], e, s)
        for t, e, s in zip(TWISTS, ENERGIES, ERRORS, strict=True)
    ]
    training = [
        (
            trace(folder / f"p{k}.h5", [], 7.5),
            trace(folder / f"v{k}.h5", [180.0, 144.0], 20.0 / (1 + k)),
        )
        for k in range(3)
    ]
    twist_average(
        SECTIONS,
        results=results,
        training=training,
        energy=folder / "energy.csv",
        twists=folder / "twists.csv",
    )
    return folder
