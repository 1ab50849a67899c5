"""Whether orbitals are real or complex, and whether real ones change sign from cell to cell."""

from __future__ import annotations

from engine.errors import ConfigError
from engine.library import Material, find


def number(campaign, material: str, method: str) -> str:
    """Returns whether the wavefunction of a run is "real" or "complex", at all of its twists.

    Args:
        campaign: An `engine.campaign.Campaign`.
        material: Name of a material.
        method: Name of one of its methods.

    Raises:
        ConfigError: Real orbitals are asked for where there are none.
    """
    options = campaign.method(material, method)
    why, wanted = _why_complex(campaign.material(material), options), options.ansatz.number
    if wanted == "real" and why:
        raise ConfigError(
            f"method '{method}' asks for real orbitals, but material '{material}' has {why}",
            where=str(find(campaign.root, "methods", method)),
            expected="number: auto or number: complex",
            remedy="delete the key 'number' from the section 'ansatz'",
        )
    return wanted if wanted != "auto" else "complex" if why else "real"


def antiperiodic(campaign, material: str, method: str) -> bool:
    """Tells whether real Bloch orbitals of a run change sign from cell to cell at some twist."""
    facts = campaign.material(material)
    if campaign.space(material, method) != "real" or facts.config.is_electron_gas:
        return False
    twisted = any(any(t.frac) for t in facts.twists)
    return twisted and number(campaign, material, method) == "real"


def _why_complex(facts: Material, options) -> str:
    """Returns what of a material forbids real orbitals, "" where nothing does."""
    if options.space == "real" and facts.config.is_electron_gas:
        return "" if facts.standing_waves else "plane waves that are not pairs k, -k"
    if options.space == "fock" or options.ansatz.name == "transferable":
        opposite = all(t.is_own_opposite for t in facts.twists)
        return "" if opposite else "twists other than 0 and 1/2"
    if facts.periodic and options.ansatz.name == "slater":
        return "Bloch orbitals, which are the method"
    return "twists other than zero" if any(any(t.frac) for t in facts.twists) else ""
