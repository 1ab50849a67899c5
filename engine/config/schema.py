"""The strict parser of YAML sections, and the words that declare a key.

A section is a frozen dataclass. Every field carries its documentation, unit and range in its
metadata; what is written about keys (`materials/README.md`, `methods/README.md`) is generated
from it.
"""

from __future__ import annotations

import dataclasses
import math
import operator
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any

from engine.errors import ConfigError, nearest


def key(
    doc: str,
    *,
    default: Any = dataclasses.MISSING,
    unit: str = "",
    choices=(),
    at_least=None,
    above=None,
    at_most=None,
    below=None,
) -> Any:
    """Declares one YAML key with its documentation and its range."""
    metadata = {
        "doc": doc,
        "unit": unit,
        "choices": tuple(choices),
        "at_least": at_least,
        "above": above,
        "at_most": at_most,
        "below": below,
    }
    if isinstance(default, list | dict):
        return dataclasses.field(default_factory=lambda: type(default)(default), metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def section(cls: type, doc: str) -> Any:
    """Declares a nested section that may be left out."""
    return dataclasses.field(default_factory=cls, metadata={"doc": doc})


def one_of(kinds: Mapping[str, type], doc: str) -> Any:
    """Declares a nested section whose key `kind` says which of several dataclasses it is."""
    return dataclasses.field(metadata={"doc": doc, "kinds": kinds})


def parse(cls: type, data: Any, *, where: str = "") -> Any:
    """Builds the dataclass `cls` from a mapping; refuses unknown keys and wrong types.

    Args:
        cls: A dataclass of `engine.config.material` or `engine.config.method`, or one like them.
        data: What YAML or JSON gave.
        where: File (and section) for error messages.

    Raises:
        ConfigError: Names the key, what was found and the nearest valid name.
    """
    if not isinstance(data, Mapping):
        raise ConfigError(
            f"found {_show(data)}", where=where, expected="a section of key: value lines"
        )
    fields = {f.name: f for f in dataclasses.fields(cls)}
    for name in data:
        if name not in fields:
            raise ConfigError(
                f"unknown key '{name}'",
                where=where,
                expected=_expect_key(name, fields),
                remedy="correct or delete the key",
            )
    hints = typing.get_type_hints(cls)
    values = {}
    for name, field in fields.items():
        if name in data:
            values[name] = _value(hints[name], data[name], field, f"{where}, key '{name}'")
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise ConfigError(
                f"key '{name}' is missing", where=where, expected=f"{name}: {field.metadata['doc']}"
            )
    result = cls(**values)
    if hasattr(cls, "check"):
        result.check(where)
    return result


def _expect_key(name: str, fields: Mapping[str, Any]) -> str:
    with_unit = [f for f in fields if f.startswith(f"{name}_") and fields[f].metadata.get("unit")]
    if with_unit:
        return f"the unit in the key: {' or '.join(with_unit)}"
    return nearest(name, fields)


def _value(hint: Any, value: Any, field: dataclasses.Field, where: str) -> Any:
    if kinds := field.metadata.get("kinds"):
        kind = value.get("kind") if isinstance(value, Mapping) else None
        if kind not in kinds:
            raise ConfigError(f"kind is {_show(kind)}", where=where, expected=nearest(kind, kinds))
        return parse(kinds[kind], value, where=where)
    value = _typed(hint, value, where)
    _check_range(value, field.metadata, where)
    return value


def _typed(hint: Any, value: Any, where: str) -> Any:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in args:
            return None
        errors = []
        for option in (a for a in args if a is not type(None)):
            try:
                return _typed(option, value, where)
            except ConfigError as error:
                errors.append(error)
        raise errors[0]
    if dataclasses.is_dataclass(hint):
        return parse(hint, value, where=where)
    if origin is list:
        if not isinstance(value, Sequence) or isinstance(value, str):
            raise ConfigError(f"found {_show(value)}", where=where, expected=_name(hint))
        return [_typed(args[0], item, f"{where}[{i}]") for i, item in enumerate(value)]
    if origin is dict or hint is dict:
        if not isinstance(value, Mapping):
            raise ConfigError(f"found {_show(value)}", where=where, expected="a section")
        return dict(value)
    return _scalar(hint, value, where)


def _scalar(hint: Any, value: Any, where: str) -> Any:
    if hint is float:
        return _finite(value, where)
    if isinstance(value, hint) and not (hint is int and isinstance(value, bool)):
        return value
    raise ConfigError(f"found {_show(value)}", where=where, expected=_name(hint))


def _finite(value: Any, where: str) -> float:
    """Returns a number, which YAML 1.1 may have left as text (1e-3)."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ConfigError(f"found {_show(value)}", where=where, expected=_name(float))
    try:
        found = float(value)
    except ValueError:
        raise ConfigError(f"found {_show(value)}", where=where, expected=_name(float)) from None
    except OverflowError:  # an integer of more than 308 digits
        found = math.inf
    if not math.isfinite(found):
        raise ConfigError(f"found {value}", where=where, expected="a finite number")
    return found


BOUNDS = {
    "at_least": ("at least", operator.ge),
    "above": ("above", operator.gt),
    "at_most": ("at most", operator.le),
    "below": ("below", operator.lt),
}
"""Name of a bound -> how people say it, and what a value must fulfil."""


def bounds(metadata: Mapping[str, Any]) -> str:
    """Returns the range of a key in words, e.g. "above 0 and below 1"; "" without bounds."""
    return " and ".join(
        f"{word} {metadata[name]:g}"
        for name, (word, _) in BOUNDS.items()
        if metadata.get(name) is not None
    )


def _check_range(value: Any, metadata: Mapping[str, Any], where: str) -> None:
    if value is None:
        return
    choices = metadata.get("choices")
    if choices and value not in choices:
        raise ConfigError(f"found {_show(value)}", where=where, expected=nearest(value, choices))
    for name, (_, holds) in BOUNDS.items():
        bound = metadata.get(name)
        if bound is not None and not holds(value, bound):
            raise ConfigError(
                f"found {value}", where=where, expected=f"a number {bounds(metadata)}"
            )


def _show(value: Any) -> str:
    return f"{value!r} ({type(value).__name__})"


def _name(hint: Any) -> str:
    names = {int: "an integer", float: "a number", str: "text", bool: "true or false"}
    if typing.get_origin(hint) is list:
        return (
            "a list of "
            + _name(typing.get_args(hint)[0]).removeprefix("a ").removeprefix("an ")
            + "s"
        )
    return names.get(hint, str(hint))
