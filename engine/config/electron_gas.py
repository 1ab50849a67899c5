"""The section `structure` of an electron gas."""

from __future__ import annotations

import dataclasses
import math

from engine.config.schema import key
from engine.errors import ConfigError


@dataclasses.dataclass(frozen=True)
class ElectronGasStructure:
    """Electrons in a uniform positive background that neutralises them; no nuclei."""

    kind: str = key("structure source", choices=("electron-gas",))
    rs: float = key(
        "density parameter: one electron per sphere of this radius", unit="bohr", above=0
    )
    electrons: int = key("electrons in the cell", at_least=1)
    polarisation: float = key("(N_up - N_down) / N", default=0.0, at_least=0, at_most=1)
    lattice: str = key(
        "Bravais lattice of the simulation cell", default="sc", choices=("sc", "bcc", "fcc")
    )
    lattice_rows: list[list[float]] | None = key(
        "any other cell: lattice vectors as rows, scaled to the density", default=None
    )
    sites: list[int] | None = key(
        "crystal the electrons may form, one per site: repetitions along each lattice vector of "
        "the cell; for reference: localised and the order parameter",
        default=None,
    )

    @property
    def spin(self) -> int:
        """N_up - N_down."""
        return round(self.polarisation * self.electrons)

    def check(self, where: str) -> None:
        """Raises ConfigError where so many electrons cannot have the polarisation or the sites."""
        check_sites(self.sites, self.electrons, f"{where}, key 'sites'")
        exact = abs(self.polarisation * self.electrons - self.spin) < 1e-6
        if exact and (self.electrons - self.spin) % 2 == 0:
            return
        n = self.electrons
        possible = [spin / n for spin in range(n % 2, n + 1, 2)]
        near = min(possible, key=lambda p: abs(p - self.polarisation))
        raise ConfigError(
            f"polarisation {self.polarisation:g} is impossible with {n} electrons",
            where=f"{where}, key 'polarisation'",
            expected=f"(N_up - N_down) / N with whole numbers, e.g. {near:.9g}",
            remedy="change the polarisation or the number of electrons",
        )


def check_sites(sites: list[int] | None, electrons: int, where: str) -> None:
    """Raises ConfigError where a crystal has not one site per electron."""
    if sites is None:
        return
    if len(sites) == 3 and min(sites) > 0 and math.prod(sites) == electrons:
        return
    raise ConfigError(
        f"{' x '.join(map(str, sites))} sites for {electrons} electrons",
        where=where,
        expected=f"three positive numbers whose product is {electrons}",
        remedy="give the repetitions of the crystal along each lattice vector of the cell",
    )
