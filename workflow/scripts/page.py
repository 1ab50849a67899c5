"""The report page: every number comes from the tables, every image is embedded."""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
import yaml

from engine import __version__
from engine.io import atomic
from engine.stage.show import compact, sigma

CAPTIONS = {
    "training": "Optimisation. Above: running median of the energy with its error band; the "
    "diamond is the evaluation with frozen parameters, which is the result. Below: distance of "
    "each twist to its own result, linear up to 1 mHa and logarithmic beyond.",
    "twists": "Energy over the zone of boundary phases, its weighted average and error.",
    "observables": "What the evaluation measured beside the energy, averaged over the twists, with "
    "one standard error. Spherical averages are about the first nucleus.",
    "literature": "Difference to the literature per atom, with its error; grey where the "
    "published value has an uncertainty that can be seen.",
    "references": "Distance of each method to the exact energy of the same integrals (FCI, else "
    "DMRG), linear up to 0.1 mHa and logarithmic beyond. Coupled cluster may lie below.",
    "learning": "Training of a learned Hamiltonian: error of matrix elements on the batches, and "
    "on the validation set with averaged parameters, of which the best are kept.",
    "parity": "Predicted against true on geometries that were not trained on. Above: elements of "
    "the correction to the initial guess. Below: errors of the filled levels and the lowest empty "
    "one of a molecule.",
    "sizes": "Error on test geometries over the size of the training set and of the network; lines "
    "join models that differ in nothing else.",
    "family": "Energies along a family of materials: beside established methods, with the distance "
    "to the exact energy below; extrapolated in 1/N; fitted with an equation of state; or, of an "
    "electron gas, relative to plane waves, with the order and the density around an electron.",
}
OVERVIEW = ("literature", "references", "family")
"""Figures of the campaign as a whole."""
LEARNED = ("learning", "parity", "sizes")
"""Figures of learned Hamiltonians."""
MISSING = "–"


@dataclasses.dataclass(frozen=True)
class Content:
    """What the page shows.

    Attributes:
        title: The campaign's description.
        energies: Rows of `energies.csv`.
        twists: Rows of `twists.csv`.
        runs: Per run: material, method, and the configuration of both.
        figures: SVG files, `.../<material>/<method>/<figure>.svg`, `.../literature.svg`,
            `.../references.svg`, `.../families/<family>.svg` or
            `.../learned/<model>/<figure>.svg`.
        contrasts: Rows of `contrasts.csv`.
        references: Rows of `references.csv`.
        learned: Rows of `learned.csv`.
        families: Name of a table of families -> its rows.
    """

    title: str
    energies: Sequence[Mapping[str, Any]]
    twists: Sequence[Mapping[str, Any]]
    runs: Sequence[Mapping[str, Any]]
    figures: Sequence[str]
    contrasts: Sequence[Mapping[str, Any]] = ()
    references: Sequence[Mapping[str, Any]] = ()
    learned: Sequence[Mapping[str, Any]] = ()
    families: Mapping[str, Sequence[Mapping[str, Any]]] = dataclasses.field(default_factory=dict)


def render(content: Content, *, template: str | Path, target: str | Path) -> None:
    """Fills the template and writes the page."""
    template = Path(template)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(template.parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": number, "mha": mha, "yaml": as_yaml}
    page = environment.get_template(template.name).render(
        title=content.title or "Psilattice campaign",
        version=__version__,
        summary=[
            dict(row)
            | {
                "text": compact(row["energy_ha_per_cell"], row["error_ha_per_cell"]),
                "sigma": sigma(row),
            }
            for row in content.energies
        ],
        contrasts=[
            dict(row) | {"text": compact(row["value_ha"], row["error_ha"])}
            for row in content.contrasts
        ],
        references=content.references,
        learned=content.learned,
        learned_figures=[image(path) for path in content.figures if _kind(path) in LEARNED],
        families=[_family(name, rows) for name, rows in content.families.items() if rows],
        overview=[image(path) for path in content.figures if _kind(path) in OVERVIEW],
        sections=[_section(content, row) for row in content.energies],
    )
    with atomic.replaced(target) as temporary:
        temporary.write_text(page, encoding="utf-8")


FAMILY_COLUMNS = {
    "sizes": {
        "family": "family",
        "method": "method",
        "n_particles": "particles",
        "energy_ha_per_particle": "energy / Ha",
        "error_ha_per_particle": "error",
        "size_correction_ha_per_particle": "size correction / Ha",
        "limit_ha_per_particle": "infinite size / Ha",
        "limit_error_ha_per_particle": "error ",
        "literature_ha_per_particle": "literature / Ha",
    },
    "equations_of_state": {
        "family": "family",
        "method": "method",
        "lattice_constant_angstrom": "lattice constant / angstrom",
        "lattice_constant_error_angstrom": "error",
        "bulk_modulus_gpa": "bulk modulus / GPa",
        "bulk_modulus_error_gpa": "error ",
        "bulk_modulus_derivative": "its derivative",
        "order": "order",
        "minimum_ha_per_cell": "minimum / Ha",
    },
    "phases": {
        "family": "family",
        "x": "along",
        "method": "method",
        "energy_ha_per_electron": "energy / Ha",
        "error_ha_per_electron": "error",
        "to_plane_waves_ha_per_electron": "to plane waves / Ha",
        "to_localised_ha_per_electron": "to Gaussians / Ha",
        "order_parameter": "order",
        "order_parameter_error": "error ",
    },
}
"""Table -> columns of the page and their headings."""


def _family(name: str, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Returns title, headings and cells of a table of families."""
    columns = FAMILY_COLUMNS[name]
    cells = [[_cell(row[column]) for column in columns] for row in rows]
    return {"title": name.replace("_", " "), "headings": list(columns.values()), "rows": cells}


def _cell(value: Any) -> str:
    """Returns text and whole numbers as they are, other numbers with six decimals."""
    return str(value) if isinstance(value, str | int) else number(value)


def _section(content: Content, row: Mapping[str, Any]) -> dict[str, Any]:
    name = (row["material"], row["method"])
    run = next(r for r in content.runs if (r["material"], r["method"]) == name)
    return {
        "row": row,
        "run": run,
        "anchor": f"{row['material']}.{row['method']}",
        "text": compact(row["energy_ha_per_cell"], row["error_ha_per_cell"]),
        "twists": [
            dict(t) | {"text": compact(t["energy_ha_per_cell"], t["error_ha_per_cell"])}
            for t in content.twists
            if (t["material"], t["method"]) == name
        ],
        "figures": [image(path) for path in content.figures if Path(path).parts[-3:-1] == name],
    }


def image(path: str | Path) -> dict[str, str]:
    """Returns a figure as a data address with its caption."""
    path = Path(path)
    data = base64.b64encode(path.read_bytes()).decode()
    return {"source": f"data:image/svg+xml;base64,{data}", "caption": CAPTIONS[_kind(path)]}


def _kind(path: str | Path) -> str:
    """Returns which caption belongs to a figure."""
    path = Path(path)
    return "family" if path.parent.name == "families" else path.stem


def number(value: float | int | bool | None, form: str = ".6f") -> str:
    """Returns a number as text; a dash where there is none."""
    if value is None:
        return MISSING
    if isinstance(value, bool):
        return "yes" if value else "no"
    return format(value, form)


def mha(value: float | None, form: str = "+.2f") -> str:
    """Returns an energy of the tables (hartree) in millihartree."""
    return number(None if value is None else 1e3 * value, form)


def as_yaml(value: Any) -> str:
    """Returns settings as the YAML they came from, without the keys left out there."""
    return yaml.safe_dump(
        _given(value), sort_keys=False, default_flow_style=None, allow_unicode=True
    )


def _given(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {k: _given(v) for k, v in value.items() if v is not None and v != {}}
    return value
