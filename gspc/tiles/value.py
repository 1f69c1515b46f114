"""Values out of a JSON file, each checked for its type: anything may be where a number should be."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

from gspc.errors import InputError

_MISSING = object()
_WORDS: dict[type, str] = {
    bool: "a switch",
    int: "a whole number",
    float: "a number",
    str: "a text",
    dict: "a table",
    list: "a list",
    type(None): "null",
}
ADVICE = "run gspc join again"


def parsed(data: bytes) -> Value:
    """The content of a JSON file. Raises InputError."""
    try:
        return Value(json.loads(data, parse_constant=_refuse), "")
    except (ValueError, RecursionError) as error:
        raise InputError(f"damaged: is not JSON ({error}); {ADVICE}") from None


def _refuse(word: str) -> NoReturn:
    raise ValueError(f"{word} is no JSON")


@dataclass(frozen=True, slots=True)
class Value:
    """One value. All methods raise InputError where it is not what they are asked for."""

    value: Any
    name: str  # of the value in the file, such as tiles.3.file

    def error(self, what: str) -> InputError:
        """The error about this value; `what` completes a sentence about it."""
        return InputError(f"damaged: {self.name or 'its content'} {what}; {ADVICE}")

    def _not(self, wanted: str) -> InputError:
        if self.value is _MISSING:
            return self.error("is missing")
        return self.error(f"is {_WORDS[type(self.value)]}, not {wanted}")

    def __getitem__(self, key: str) -> Value:
        """Entry of a table; may be missing, which shows once it is asked for what it is."""
        if type(self.value) is not dict:
            raise self._not("a table")
        return Value(self.value.get(key, _MISSING), f"{self.name}.{key}" if self.name else key)

    def has(self, key: str) -> bool:
        """Whether a table has an entry."""
        return type(self.value) is dict and key in self.value

    def items(self, low: int, high: int) -> Iterator[Value]:
        """Entries of a list, of which there are `low` to `high`."""
        if type(self.value) is not list:
            raise self._not("a list")
        if not low <= len(self.value) <= high:
            raise self.error(f"has {len(self.value):,} entries, not {low:,} to {high:,}")
        return (Value(entry, f"{self.name}.{number}") for number, entry in enumerate(self.value))

    def whole(self, low: int, high: int) -> int:
        """A whole number from `low` to `high`."""
        if type(self.value) is not int:
            raise self._not("a whole number")
        if not low <= self.value <= high:
            raise self.error(f"is not within {low:,} to {high:,}")
        return self.value

    def number(self, low: float, high: float) -> float:
        """A number from `low` to `high`."""
        if type(self.value) not in (int, float):
            raise self._not("a number")
        if not (low <= self.value <= high and math.isfinite(self.value)):
            raise self.error(f"is not within {low:g} to {high:g}")
        return float(self.value)

    def text(self) -> str:
        """A text."""
        if type(self.value) is not str:
            raise self._not("a text")
        return self.value
