"""What every group of a recipe is made of: fields that know their meaning and their limits."""

from __future__ import annotations

import math
from dataclasses import fields
from typing import Any, get_args, get_type_hints

from gspc.errors import UsageError


def about(text: str, low: float = -math.inf, high: float = math.inf) -> dict[str, Any]:
    """Metadata of a field: what it is, for readers of the manual, and the limits of a number."""
    return {"help": text, "low": low, "high": high}


class Group:
    """Checks each field on its own; a group's own `_check` then says what does not fit together."""

    def __post_init__(self) -> None:
        """Raise UsageError for values out of range or that make no sense together."""
        kinds = get_type_hints(type(self))
        for entry in fields(self):  # type: ignore[arg-type]  # every group is a dataclass
            value = getattr(self, entry.name)
            low, high = entry.metadata["low"], entry.metadata["high"]
            if isinstance(value, (int, float)) and not (math.isfinite(value) and low <= value <= high):
                raise UsageError(f"{entry.name} = {value}: give {low:g} to {high:g}")
            choices = get_args(kinds[entry.name])
            if choices and value not in choices:
                raise UsageError(f"{entry.name} = {value}: give one of {', '.join(choices)}")
        self._check()

    def _check(self) -> None:
        """Raises UsageError for values that make no sense together."""
