"""YAML documents people write: read with duplicate keys and syntax errors refused."""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from engine.errors import ConfigError


class _Loader(yaml.SafeLoader):
    """A safe loader that refuses a key given twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        lines: dict[Hashable, int] = {}
        for key_node, _ in node.value:
            name = self.construct_object(key_node, deep=True)
            line = key_node.start_mark.line + 1
            if isinstance(name, Hashable) and name in lines:
                raise ConfigError(
                    f"key '{name}' is given twice",
                    where=f"{self.name}, line {line}",
                    expected=f"one value; the first is in line {lines[name]}",
                    remedy="delete one of them",
                )
            if isinstance(name, Hashable):
                lines[name] = line
        return super().construct_mapping(node, deep)


def read(path: str | Path) -> dict[str, Any]:
    """Returns the mapping a YAML file holds.

    Raises:
        ConfigError: The file is missing, is not YAML, repeats a key or holds no mapping.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"cannot be read: {error}", where=str(path), expected="a YAML file"
        ) from error
    content = _parse(text, path)
    if not isinstance(content, dict):
        raise ConfigError("holds no keys", where=str(path), expected="lines of the form key: value")
    return content


def _parse(text: str, path: Path) -> Any:
    loader = _Loader(text)
    loader.name = str(path)
    try:
        return loader.get_single_data()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f", line {mark.line + 1}" if mark else ""
        raise ConfigError(
            f"not valid YAML: {error.problem or error.context}",
            where=f"{path}{line}",
            expected="two spaces of indentation per level, a space after each colon",
            remedy="correct the line, or the one before it",
        ) from error
    except yaml.YAMLError as error:
        raise ConfigError(f"not valid YAML: {error}", where=str(path)) from error
    finally:
        loader.dispose()
