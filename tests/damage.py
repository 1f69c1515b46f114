"""Files of training with one value changed, for tests of what reading them says."""

from __future__ import annotations

import copy
import io
from typing import Any

import torch

MISSING = object()
ODD: dict[str, Any] = {
    "missing": MISSING,
    "nothing": None,
    "half": 0.5,
    "not a number": float("nan"),
    "negative": -1,
    "text": "odd",
    "list": [1, "x"],
    "table": {"a": 1},
    "tensor": torch.tensor([1.0, float("nan")]),
}


def changed(values: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy of a loaded file with `value` at a path such as model/shape/levels or cameras/0; numbers count
    in lists, and are names of tables where there is such a name."""
    found = copy.copy(values)
    place: Any = found
    *parents, last = path.split("/")
    for part in parents:
        key = _key(place, part)
        inner = place[key]
        place[key] = list(inner) if isinstance(inner, tuple) else copy.copy(inner)
        place = place[key]
    if value is MISSING:
        del place[_key(place, last)]
    else:
        place[_key(place, last)] = value
    return found


def _key(place: Any, part: str) -> Any:
    if isinstance(place, (list, tuple)):
        return int(part)
    return int(part) if part not in place and part.isdigit() else part


def as_bytes(values: dict[str, Any]) -> bytes:
    """A file of these values."""
    file = io.BytesIO()
    torch.save(values, file)
    return file.getvalue()
