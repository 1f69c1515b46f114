"""Ingredients of a recipe as names and texts: read from switches, written for people and for files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gspc.errors import UsageError
from gspc.presets import DEFAULT_PRESET, nearest, preset
from gspc.recipe import Ingredient, Recipe, ingredients, value_text

WORDS = {"true": True, "on": True, "yes": True, "false": False, "off": False, "no": False}


def with_switches(recipe: Recipe, switches: Mapping[str, Any], where: str = "--set") -> Recipe:
    """A recipe with some ingredients replaced; texts are read as their field's type. Raises UsageError."""
    return recipe.changed(**read_switches(switches, where))


def read_switches(switches: Mapping[str, Any], where: str = "--set") -> dict[str, Any]:
    """Ingredients by name, texts read as their field's type; `where` names their source in a UsageError."""
    return {name: _value(name, value, where) for name, value in switches.items()}


def _value(name: str, value: Any, where: str) -> Any:
    about = ingredients().get(name)
    if about is None:
        raise UsageError(f"{where}: no ingredient {name}{nearest(name, ingredients())}")
    given = f"{where}: {name} = {value_text(value) if isinstance(value, bool) else value}"
    if about.kind is bool:
        return _switch(value, given)
    if about.choices:
        if value not in about.choices:
            raise UsageError(f"{given}: give one of {', '.join(about.choices)}")
        return value
    return _number(about, value, given)


def _switch(value: Any, given: str) -> bool:
    found = WORDS.get(value.lower()) if isinstance(value, str) else value
    if not isinstance(found, bool):
        raise UsageError(f"{given}: give on or off")
    return found


def _number(about: Ingredient, value: Any, given: str) -> int | float:
    try:
        if isinstance(value, bool) or (about.kind is int and isinstance(value, float)):
            raise ValueError
        number: int | float = about.kind(value)
    except (TypeError, ValueError, OverflowError):
        word = "a whole number" if about.kind is int else "a number"
        raise UsageError(f"{given}: give {word}") from None
    if not about.low <= number <= about.high:
        raise UsageError(f"{given}: give {about.low:g} to {about.high:g}")
    return number


def differences(recipe: Recipe, base: Recipe) -> dict[str, Any]:
    """What a recipe sets that differs from another one, in the order of the ingredients."""
    others = base.values()
    return {name: value for name, value in recipe.values().items() if value != others[name]}


def chosen(name: str, switches: Mapping[str, Any], where: str = "--set") -> tuple[Recipe, dict[str, str]]:
    """A preset's recipe with some ingredients replaced, and what a model says of both. Raises UsageError."""
    recipe = with_switches(preset(name), switches, where)
    changed = as_text(differences(recipe, preset(name)))
    return recipe, {"preset": name} | ({"switches": changed} if changed else {})


def as_text(switches: Mapping[str, Any]) -> str:
    """'features=16 chunks=0': what would have to be given to --set."""
    return " ".join(f"{name}={value_text(value)}" for name, value in switches.items())


def describe(name: str) -> dict[str, Any]:
    """What a preset sets that differs from the default preset."""
    return differences(preset(name), preset(DEFAULT_PRESET))
