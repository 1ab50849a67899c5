"""materials/README.md and methods/README.md say what the configuration says."""

import dataclasses
import re
import typing
from pathlib import Path

import pytest
import write_references as references
import yaml

from engine import config

ROOT = Path(__file__).resolve().parents[2]


def rows(text):
    """Returns the cells of all table rows that start with a key."""
    lines = [line for line in text.splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


@pytest.mark.parametrize("folder", references.PAGES)
def test_the_page_is_what_the_configuration_gives(folder):
    written = (ROOT / folder / "README.md").read_text(encoding="utf-8")
    assert written == references.page(folder), (
        "run: .venv/bin/python workflow/scripts/write_references.py"
    )


@pytest.mark.parametrize("folder", references.PAGES)
def test_every_key_has_one_row_with_a_meaning(folder):
    wanted = [
        f"`{field.name}`"
        for cls in references.PAGES[folder].values()
        for field in dataclasses.fields(cls)
    ]
    found = rows(references.page(folder))
    assert sorted(row[0] for row in found) == sorted(wanted)
    assert all(len(row) == 5 and row[1] and row[2] and row[4] for row in found)


def test_every_section_a_user_can_write_has_a_table():
    sections = {config.MaterialConfig, config.MethodConfig}
    for cls in list(sections):
        for hint in typing.get_type_hints(cls).values():
            options = typing.get_args(hint) or (hint,)
            sections |= {option for option in options if dataclasses.is_dataclass(option)}
    documented = {cls for tables in references.PAGES.values() for cls in tables.values()}
    assert sections <= documented


def test_units_ranges_and_defaults_are_shown():
    table = references.table(config.SamplerConfig)
    assert "| `width_bohr` | initial width of moves, " in table
    assert " | number above 0 | bohr | `0.3` |" in table
    assert "integer at least 2" in table
    assert "| number above 0 and below 1 |" in table
    assert "| number at least 0 and at most 1 |" in references.table(config.PretrainConfig)
    assert "| `gdf`, `rsdf`, `mdf`, `fft` |" in references.table(config.MeanFieldConfig)
    assert "| required |" in references.table(config.Literature)


@pytest.mark.parametrize("folder", references.PAGES)
def test_every_default_reads_back_as_itself(folder):
    for cls in references.PAGES[folder].values():
        for field in dataclasses.fields(cls):
            shown = references.default(field).strip("`")
            if shown in (references.REQUIRED, "none", "see below"):
                continue
            value = field.default
            if value is dataclasses.MISSING:
                value = field.default_factory()
            read = yaml.safe_load(shown)
            assert (float(read) if isinstance(value, float) else read) == value


PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))] + [
    ROOT / folder / "README.md" for folder in references.PAGES
]


def prose(path):
    """Returns a page without its code blocks."""
    return re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.S)


def anchors(path):
    """Returns the names of the headings of a page, as links spell them."""
    titles = re.findall(r"^#+ (.*)$", prose(path), flags=re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(path):
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(path)):
        if target.startswith("https:"):
            continue
        name, _, anchor = target.partition("#")
        page = path.parent / name if name else path
        assert page.exists(), f"{target} leads nowhere"
        assert not anchor or anchor in anchors(page), f"{target} names no heading"


def test_every_yaml_block_of_the_guide_is_accepted():
    text = (ROOT / "docs/adding-a-material.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```yaml\n(.*?)```", text, flags=re.S)
    assert len(blocks) > 15
    for block in blocks:
        content = {"structure": {"kind": "molecule", "name": "H2"}} | yaml.safe_load(block)
        material = config.parse(config.MaterialConfig, content, where="the guide")
        for method in material.overrides.values():
            config.parse(config.MethodConfig, method, where="the guide")
