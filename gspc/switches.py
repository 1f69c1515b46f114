"""Ingredients of a recipe as names and texts: read from switches, written for people and for files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, get_args

from gspc.errors import UsageError
from gspc.presets import DEFAULT_PRESET, Recipe, field_types, nearest, preset


def with_switches(recipe: Recipe, switches: Mapping[str, Any], where: str = "--set") -> Recipe:
    """A recipe with some ingredients replaced; texts are read as their field's type. Raises UsageError."""
    return replace(recipe, **read_switches(switches, where))


def read_switches(switches: Mapping[str, Any], where: str = "--set") -> dict[str, Any]:
    """Ingredients by name, texts read as their field's type; `where` names their source in a UsageError."""
    return {name: _value(name, value, where) for name, value in switches.items()}


def _value(name: str, value: Any, where: str) -> Any:
    kinds = field_types()
    if name not in kinds:
        raise UsageError(f"{where}: no ingredient {name}{nearest(name, kinds)}")
    kind, choices = kinds[name], get_args(kinds[name])
    given = f"{where}: {name} = {value_text(value) if isinstance(value, bool) else value}"
    if kind is bool:
        words = {"true": True, "on": True, "yes": True, "false": False, "off": False, "no": False}
        found = words.get(value.lower()) if isinstance(value, str) else value
        if isinstance(found, bool):
            return found
        raise UsageError(f"{given}: give on or off")
    if choices:
        if value not in choices:
            raise UsageError(f"{given}: give one of {', '.join(choices)}")
        return value
    try:
        if isinstance(value, bool) or (kind is int and isinstance(value, float)):
            raise ValueError
        number = kind(value)
    except (TypeError, ValueError, OverflowError):
        word = "a whole number" if kind is int else "a number"
        raise UsageError(f"{given}: give {word}") from None
    low, high = limits(name)
    if not low <= number <= high:
        raise UsageError(f"{given}: give {low:g} to {high:g}")
    return number


def limits(name: str) -> tuple[float, float]:
    """Smallest and largest value of a number."""
    about = Recipe.__dataclass_fields__[name].metadata
    return about["low"], about["high"]


def value_text(value: Any) -> str:
    """A value as --set takes it."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, float):
        short = f"{value:g}"
        return short if float(short) == value else repr(value)
    return str(value)


def differences(recipe: Recipe, base: Recipe) -> dict[str, Any]:
    """What a recipe sets that differs from another one, in the order of the fields."""
    return {
        entry.name: getattr(recipe, entry.name)
        for entry in fields(recipe)
        if getattr(recipe, entry.name) != getattr(base, entry.name)
    }


def as_text(switches: Mapping[str, Any]) -> str:
    """'features=16 chunks=0': what would have to be given to --set."""
    return " ".join(f"{name}={value_text(value)}" for name, value in switches.items())


def made_with(metadata: Mapping[str, str]) -> str:
    """'preset pcgs, features=16' from what a fit wrote into a model; empty where it does not say."""
    name, switches = (metadata.get(key, "") for key in ("preset", "switches"))
    return f"preset {name}" + (f", {switches}" if switches else "") if name else ""


def describe(name: str) -> dict[str, Any]:
    """What a preset sets that differs from the default preset."""
    return differences(preset(name), preset(DEFAULT_PRESET))


@dataclass(frozen=True)
class Ingredient:
    """One field of a recipe for readers; `values` says in words what it takes."""

    name: str
    default: Any  # in the default preset
    values: str
    help: str


def ingredients() -> tuple[Ingredient, ...]:
    """All ingredients in the order of the fields."""
    base, found = preset(DEFAULT_PRESET), []
    for entry in fields(Recipe):
        choices = get_args(field_types()[entry.name])
        values = " or ".join(choices) if len(choices) == 2 else ", ".join(choices)
        if not choices:
            low, high = limits(entry.name)
            values = "on or off" if field_types()[entry.name] is bool else f"{low:g} to {high:g}"
        found.append(Ingredient(entry.name, getattr(base, entry.name), values, entry.metadata["help"]))
    return tuple(found)
