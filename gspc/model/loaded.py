"""Values out of a loaded file, each checked for its type: anything may be where a tensor should be."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from gspc.errors import InputError

_MISSING = object()
_WORDS: Mapping[type, str] = {
    bool: "a switch",
    int: "a whole number",
    float: "a number",
    str: "a text",
    Tensor: "a tensor",
    dict: "a table",
    list: "a list",
    type(None): "nothing",
}


@dataclass(frozen=True)
class Loaded:
    """One value of a loaded file. All methods raise InputError, `FILE: damaged: NAME is ...`, where it is not
    what they are asked for."""

    value: Any
    file: str  # as errors name it
    advice: str  # what to do about a damaged file, the end of its errors
    name: str = ""  # of the value in the file, such as model.voxel_size

    def error(self, what: str) -> InputError:
        """The error about this value; `what` completes a sentence about it."""
        return InputError(f"damaged: {self.name or 'its content'} {what}; {self.advice}", source=self.file)

    def _not(self, wanted: str) -> InputError:
        if self.value is _MISSING:
            return self.error("is missing")
        kind = next((word for kind, word in _WORDS.items() if isinstance(self.value, kind)), None)
        return self.error(f"is {kind or 'something else'}, not {wanted}")

    def __getitem__(self, key: str | int) -> Loaded:
        """Entry of a table; may be missing, which shows once it is asked for what it is."""
        name = f"{self.name}.{key}" if self.name else str(key)
        return Loaded(self.table().get(key, _MISSING), self.file, self.advice, name)

    def table(self) -> Mapping[Any, Any]:
        """A table, its values unchecked."""
        if not isinstance(self.value, dict):
            raise self._not("a table")
        return self.value

    def names(self) -> list[str]:
        """Names of a table's entries."""
        found = list(self.table())
        if not all(type(name) is str for name in found):
            raise self.error("has entries whose names are no texts")
        return found

    def items(self, count: int | None = None) -> list[Loaded]:
        """Entries of a list, of `count` if given."""
        if not isinstance(self.value, (list, tuple)):
            raise self._not("a list")
        if count is not None and len(self.value) != count:
            raise self.error(f"has {len(self.value)} entries, not {count}")
        return [Loaded(v, self.file, self.advice, f"{self.name}.{i}") for i, v in enumerate(self.value)]

    def whole(self, low: float = -math.inf, high: float = math.inf) -> int:
        """A whole number from `low` to `high`."""
        if type(self.value) is not int:
            raise self._not("a whole number")
        return int(self._within(low, high))

    def number(self, low: float = -math.inf, high: float = math.inf) -> float:
        """A finite number from `low` to `high`."""
        if type(self.value) not in (int, float):
            raise self._not("a number")
        return self._within(low, high)

    def positive(self) -> float:
        """A finite number above 0."""
        found = self.number()
        if found <= 0:
            raise self.error(f"is {found:g}, not positive")
        return found

    def _within(self, low: float, high: float) -> Any:
        if not (abs(self.value) < math.inf and low <= self.value <= high):
            raise self.error(f"is {self.value}, not within {low:g} to {high:g}")
        return self.value

    def switch(self) -> bool:
        """True or False."""
        if type(self.value) is not bool:
            raise self._not("a switch")
        return self.value

    def text(self, choices: Sequence[str] = ()) -> str:
        """A text, one of `choices` if given."""
        if type(self.value) is not str:
            raise self._not("a text")
        if choices and self.value not in choices:
            raise self.error(f"is {self.value!r}, not one of {', '.join(choices)}")
        return self.value

    def tensor(self, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
        """A dense tensor [...] of this shape and dtype; floats are finite."""
        value = self.value
        if not isinstance(value, Tensor):
            raise self._not("a tensor")
        if value.layout is not torch.strided or value.is_quantized or value.device.type != "cpu":
            raise self.error("is not a dense tensor")
        if value.dtype != dtype or value.shape != torch.Size(shape):
            raise self.error(f"is {_kind(value.dtype)} {list(value.shape)}, not {_kind(dtype)} {list(shape)}")
        if value.is_floating_point() and not bool(value.isfinite().all()):
            raise self.error("holds values that are not finite")
        return value


def _kind(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
