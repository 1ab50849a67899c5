"""Which methods a material can meet: refused before anything runs. Imports no JAX."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from engine import models
from engine.config.electron_gas import check_sites
from engine.config.learned import LOCALISED
from engine.errors import ConfigError
from engine.joint import REMEDIES
from engine.library import find
from engine.system.block2 import check_block2
from engine.system.orbital_space import check_kind
from engine.system.orbital_space import check_size as check_space


def check_run(campaign, material: str, method: str) -> None:
    """Checks one method on one material.

    Args:
        campaign: An `engine.campaign.Campaign`.
        material: Name of a material.
        method: Name of one of its methods.

    Raises:
        ConfigError: They do not go together.
    """
    facts, options = campaign.material(material), campaign.method(material, method)
    campaign.number(material, method)
    _check_reference(campaign, material, method)
    _check_localised(campaign, material, method)
    models.check_use(campaign, material, method)
    if options.space == "fock":
        if facts.config.twists.spins is not None:
            raise ConfigError(
                "twists with spins of their own in second quantisation",
                where=f"{facts.path}, key 'twists', key 'spins'",
                expected="one spin for all twists",
                remedy="make a material of each spin",
            )
        return _check_orbitals(campaign, material, method)
    _check_all_electron(campaign, material, method)
    _check_transfer(campaign, material, method)
    positrons = facts.config.positrons
    where = f"{campaign.path}, material '{material}', method '{method}'"
    options.evaluate.check_material(
        facts.periodic,
        positrons,
        f"{where}, key 'observables'",
        nuclei=bool(facts.symbols),
        lone_pair=(facts.electrons, positrons, len(facts.symbols)) == (1, 1, 0),
    )
    if options.ansatz.name == "transferable" and facts.config.mean_field.method == "oscillator":
        raise ConfigError(
            "orbitals from those of a mean field, of particles without nuclei",
            where=f"{where}, key 'ansatz'",
            expected="a material with atoms, or an electron gas",
            remedy="use a method with ansatz ferminet",
        )
    if "order-parameter" in options.evaluate.observables:
        sites = options.evaluate.with_sites(facts.config.structure).sites
        check_sites(sites, facts.electrons, f"{where}, key 'sites'")
    return None


def _check_transfer(campaign, material: str, method: str) -> None:
    """Refuses a start from a network whose parameters cannot be those of the run."""
    options, spins = campaign.method(material, method).vmc, campaign.material(material).spins
    source = campaign.starts_from(material, method)
    if source is None:
        if options.transfer_steps is not None and len(set(spins)) > 1:
            raise ConfigError(
                f"twists of spins {list(spins)} that start from the network of twist 0",
                where=f"{campaign.path}, material '{material}', method '{method}', key 'vmc', "
                "key 'transfer_steps'",
                expected="one spin at all twists: electrons keep theirs",
                remedy="delete transfer_steps for this material (overrides: transfer_steps: null)",
            )
        return
    where = _check_sources(campaign, material, method)
    check_run(campaign, source, method)
    _check_parameters(campaign, material, source, method, where)


def _check_sources(campaign, material: str, method: str) -> str:
    """Refuses materials that wait for one another; returns file and key of the first link."""
    way, first = [material], None
    while (source := campaign.starts_from(way[-1], method)) is not None:
        group = campaign.group_of(way[-1], method)
        where = (
            f"{campaign.path}, key 'joint', group '{group.name}', key 'transfer_from'"
            if group
            else f"{campaign.path}, material '{way[-1]}', method '{method}', key 'vmc', "
            "key 'transfer_from'"
        )
        if source in way:
            between = ", ".join(way[way.index(source) + 1 :])
            raise ConfigError(
                f"'{source}' starts from itself{', by way of ' if between else ''}{between}",
                where=where,
                expected="a material that is trained before, whatever that starts from",
                remedy="name another material, or delete transfer_from",
            )
        find(campaign.root, "materials", source, where)
        if campaign.space(source, method) != "real":
            raise ConfigError(
                f"'{source}' has another network, in second quantisation",
                where=where,
                expected="a material whose method is in real space",
                remedy="name another material, or delete transfer_from",
            )
        way.append(source)
        first = first or where
    return first


def _check_parameters(campaign, material: str, source: str, method: str, where: str) -> None:
    """Refuses a source whose parameters have other names or shapes."""
    here, there = (_parameters(campaign, name, method) for name in (material, source))
    for twist in campaign.twists(material):
        pair = ((material, twist.index), campaign.source(material, method, twist.index))
        what = f"kinds of particles at twist {twist.index}"
        here[what], there[what] = (_kinds(campaign.material(name), k) for name, k in pair)
    for what, value in here.items():
        if value != there[what]:
            raise ConfigError(
                f"{what} of '{material}' is {value}",
                where=where,
                expected=f"{there[what]}, as of '{source}', whose parameters it starts from",
                remedy=REMEDIES.get(what, "name another material, or delete transfer_from"),
            )


def _kinds(facts, twist: int) -> str:
    """Returns which particles there are at a twist, as far as parameters depend on it."""
    spin = facts.spins[twist]
    counts = (facts.electrons + spin) // 2, (facts.electrons - spin) // 2
    spins = sum(n > 0 for n in counts)
    alone = sum(counts) + facts.config.positrons == 1
    return "one particle alone" if alone else f"electrons of {spins} spin{'s' * (spins > 1)}"


def _parameters(campaign, material: str, method: str) -> dict[str, Any]:
    """Returns what parameters of a twist depend on, by name."""
    facts, options = campaign.material(material), campaign.method(material, method)
    found = {
        "kind of cell": "periodic" if facts.periodic else "open",
        "number of the orbitals": campaign.number(material, method),
        "section 'ansatz'": options.ansatz,
        "precision": options.precision,
        "number of positrons": facts.config.positrons,
    }
    if options.ansatz.name == "transferable":
        return found | {
            "set of elements": " ".join(sorted(set(facts.symbols))) or "none",
            "basis of the mean field": facts.config.mean_field.basis,
        }
    return found | {
        "atoms of the primitive cell": " ".join(facts.symbols) or "none",
        "number of primitive cells": facts.n_cells,
        "electrons up and down": " ".join(map(str, facts.counts)),
        "list of twists": [list(t.frac) for t in facts.twists],
        "list of spins": list(facts.spins),
    }


def check_corrections(
    campaign, material: str, method: str, corrections: Sequence[str], where: str
) -> None:
    """Refuses finite-size columns that the table will not have for a run.

    Args:
        campaign: An `engine.campaign.Campaign`.
        material: Of the run.
        method: Of the run.
        corrections: Names of columns.
        where: File and key, for error messages.

    Raises:
        ConfigError: No electron gas, no structure factor, or one that tells nothing of the size.
    """
    options = campaign.method(material, method)
    measured = options.space == "real" and "structure-factor" in options.evaluate.observables
    facts = campaign.material(material)
    gas = facts.config.is_electron_gas
    for name in corrections:
        zone = options.reference == "scf" if gas else facts.zone and options.space == "real"
        if name == "twist" and not zone:
            raise ConfigError(
                f"{material}/{method} has no twist correction",
                where=f"{where}, key 'corrections'",
                expected="an electron gas with reference: scf, or a method in real space and a "
                "crystal whose section twists has the key zone",
                remedy=f"add zone to {facts.path}, or delete twist",
            )
        if name == "kinetic" and not gas:
            raise ConfigError(
                f"'{material}' has no kinetic correction",
                where=f"{where}, key 'corrections'",
                expected="an electron gas",
                remedy="delete kinetic (docs/conventions.md, Finite-size effects)",
            )
        if name in ("potential", "kinetic") and not measured:
            raise ConfigError(
                f"{material}/{method} has no {name} correction",
                where=f"{where}, key 'corrections'",
                expected="a method in real space whose evaluate.observables name structure-factor",
                remedy=f"add the observable to methods/{method}.yaml, or delete {name}",
            )
        if name != "twist" and (why := facts.why_no_size_correction(options.ansatz.name)):
            raise ConfigError(
                f"{material}/{method} has no {name} correction: {why}",
                where=f"{where}, key 'corrections'",
                expected="a compact cell of electrons and nuclei, or an electron gas with a "
                "correlated wavefunction",
                remedy=f"delete {name} (docs/conventions.md, Finite-size effects)",
            )


def check_contrast(campaign, terms: Mapping[tuple[str, str], float], where: str) -> None:
    """Refuses charges and positrons in simulation cells of different size.

    Energies are per primitive cell, and such a particle is one per simulation cell.

    Args:
        campaign: An `engine.campaign.Campaign`.
        terms: Run (material, method) -> coefficient.
        where: File and key, for error messages.
    """
    crystals = [facts for m, _ in terms if (facts := campaign.material(m)).periodic]
    extra = [facts for facts in crystals if facts.config.positrons or facts.config.charge]
    sizes = {facts.n_cells for facts in crystals}
    if extra and sizes != {1}:
        raise ConfigError(
            f"'{extra[0].name}' has a charge or a positron in {extra[0].n_cells} primitive cells",
            where=f"{where}, key 'terms'",
            expected="simulation cells of one primitive cell: energies are per primitive cell",
            remedy="write the supercell as the structure, or take the difference by hand",
        )


def check_size(campaign, material: str, n_basis: int) -> None:
    """Refuses methods in second quantisation that a basis of this size cannot hold.

    Args:
        campaign: An `engine.campaign.Campaign`.
        material: Name of a material.
        n_basis: Basis functions of its primitive cell.

    Raises:
        ConfigError: Too many orbitals, no such active space, or a core above the space.
    """
    facts = campaign.material(material)
    for method in campaign.runs[material]:
        if (options := campaign.method(material, method)).space == "fock":
            where = f"{campaign.path}, material '{material}', method '{method}'"
            check_space(options, n_basis * facts.n_cells, *facts.counts, where)


def _check_orbitals(campaign, material: str, method: str) -> None:
    """Refuses second quantisation without Gaussian orbitals of electrons."""
    facts = campaign.material(material).config
    if facts.positrons or facts.mean_field.method in ("plane-waves", "oscillator"):
        raise ConfigError(
            f"method '{method}' works in Gaussian orbitals of electrons, which '{material}' "
            "does not have, or not alone",
            where=f"{campaign.path}, key 'runs', material '{material}'",
            expected="a method in real space",
            remedy=f"delete '{method}' from the list",
        )
    at = f"{campaign.path}, material '{material}', method '{method}'"
    counts, options = campaign.material(material).counts, campaign.method(material, method)
    check_kind(options, *counts, campaign.material(material).periodic, at)
    if options.integrals.orbitals == "natural-cisd" and campaign.number(material, method) != "real":
        raise ConfigError(
            "CISD natural orbitals of complex integrals",
            where=f"{at}, key 'integrals', key 'orbitals'",
            expected="canonical, natural or oao at twists other than 0 and 1/2",
            remedy="set orbitals: natural",
        )
    if "dmrg" in options.references.methods:
        check_block2(f"{at}, key 'references', key 'methods'")


def _check_all_electron(campaign, material: str, method: str) -> None:
    """Refuses pseudopotentials in real space."""
    if campaign.material(material).config.pseudopotentials:
        raise ConfigError(
            f"'{material}' has pseudopotentials, and method '{method}' works in real space",
            where=f"{campaign.path}, key 'runs', material '{material}'",
            expected="a method in second quantisation (space: fock)",
            remedy=f"delete '{method}' from the list, or the pseudopotentials",
        )


def _check_reference(campaign, material: str, method: str) -> None:
    """Refuses the bare determinant where there is no mean field."""
    facts = campaign.material(material).config
    if (
        facts.mean_field.method == "oscillator"
        and campaign.method(material, method).ansatz.name == "slater"
    ):
        raise ConfigError(
            f"method '{method}' is the determinant of a mean field, and '{material}' has none",
            where=f"{campaign.path}, key 'runs', material '{material}'",
            expected="a method with a network",
            remedy=f"delete '{method}' from the list",
        )


def _check_localised(campaign, material: str, method: str) -> None:
    """Refuses Gaussians on sites where there are none, or not one electron on each."""
    facts, options = campaign.material(material), campaign.method(material, method)
    if options.reference != LOCALISED:
        return
    sites = getattr(facts.config.structure, "sites", None)
    if sites is None or facts.counts[1]:
        raise ConfigError(
            f"method '{method}' puts one electron of one spin on each site of a crystal, and "
            f"'{material}' has {'no sites' if sites is None else 'both spins'}",
            where=f"{campaign.path}, key 'runs', material '{material}'",
            expected="an electron gas with the key sites and polarisation: 1",
            remedy=f"delete '{method}' from the list, or give the material sites",
        )
