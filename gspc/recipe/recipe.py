"""One way of making a scene: the groups of ingredients together, and each ingredient by its name."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from types import MappingProxyType
from typing import Any, get_args, get_type_hints

from gspc.recipe.contexts import Contexts
from gspc.recipe.levels import Levels
from gspc.recipe.rate import Rate
from gspc.recipe.representation import Representation
from gspc.recipe.schedule import ScheduleSettings


@dataclass(frozen=True)
class Recipe:
    """One way of making a scene. The names of ingredients are unique over all groups, so that `--set` and
    files need no group. Groups raise UsageError for values that make no sense."""

    representation: Representation = field(default_factory=Representation)
    levels: Levels = field(default_factory=Levels)
    contexts: Contexts = field(default_factory=Contexts)
    rate: Rate = field(default_factory=Rate)
    schedule: ScheduleSettings = field(default_factory=ScheduleSettings)

    def values(self) -> dict[str, Any]:
        """Every ingredient by its name."""
        return {name: getattr(getattr(self, about.group), name) for name, about in ingredients().items()}

    def changed(self, **values: Any) -> Recipe:
        """This recipe with some ingredients replaced, by name. Raises UsageError for values that make no
        sense, alone or together, and KeyError for a name that no ingredient has."""
        by_group: dict[str, dict[str, Any]] = {}
        for name, value in values.items():
            by_group.setdefault(ingredients()[name].group, {})[name] = value
        groups = {group: dataclasses.replace(getattr(self, group), **own) for group, own in by_group.items()}
        return dataclasses.replace(self, **groups)


@dataclass(frozen=True)
class Ingredient:
    """One field of a group."""

    name: str
    group: str  # field of Recipe
    kind: Any  # int, float, bool, or Literal of `choices`
    default: Any
    help: str
    low: float  # of a number
    high: float

    @property
    def choices(self) -> tuple[str, ...]:
        """The words it takes, if it takes words."""
        return get_args(self.kind)

    @property
    def values(self) -> str:
        """What it takes, for readers."""
        if self.choices:
            return " or ".join(self.choices) if len(self.choices) == 2 else ", ".join(self.choices)
        return "on or off" if self.kind is bool else f"{self.low:g} to {self.high:g}"


@cache
def ingredients() -> Mapping[str, Ingredient]:
    """All ingredients by name, in the order of groups and fields."""
    found = {}
    for group, kind in get_type_hints(Recipe).items():
        kinds = get_type_hints(kind)
        for entry in fields(kind):
            about = entry.metadata
            found[entry.name] = Ingredient(
                name=entry.name,
                group=group,
                kind=kinds[entry.name],
                default=entry.default,
                help=about["help"],
                low=about["low"],
                high=about["high"],
            )
    return MappingProxyType(found)


def value_text(value: Any) -> str:
    """A value as --set takes it."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, float):
        short = f"{value:g}"
        return short if float(short) == value else repr(value)
    return str(value)
