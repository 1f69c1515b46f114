"""What the compiled modules take: arrays that they write to are never copied on the way in."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import numpy as np
import pytest

from gspc import _codec
from gspc.ops.kernels import kernels

OTHER = {"float32": "float64", "int64": "int32", "int32": "int64", "int16": "int32", "int8": "int16"}
# How many numbers an argument must have where its type does not say.
LENGTHS = {"bounds": 11, "center": 3, "settings": 5, "states": 3}


def split(text: str, by: str) -> list[str]:
    """The parts of `text` between those `by` that lie outside brackets."""
    parts, depth = [""], 0
    for c in text:
        depth += (c in "[({") - (c in "])}")
        if c == by and depth == 0:
            parts.append("")
        else:
            parts[-1] += c
    return [part.strip() for part in parts]


def inside(text: str) -> str:
    """What lies in the outermost brackets of `text`."""
    return text[text.index("[") + 1 : text.rindex("]")]


def array_of(description: str) -> np.ndarray[Any, Any]:
    shape = re.search(r"shape=\(([^)]*)\)", description)
    sizes = (
        [2 if n == "*" else int(n) for n in shape[1].replace(" ", "").strip(",").split(",")] if shape else [2]
    )
    found = re.search(r"dtype=(\w+)", description)
    assert found is not None
    return np.zeros(sizes, found[1])


def value_of(name: str, kind: str) -> Any:
    """A value of the type that a signature of nanobind gives."""
    kind = split(kind, "|")[0]
    if kind.startswith("ndarray"):
        return array_of(kind)
    if kind.startswith("collections.abc.Sequence"):
        innermost = not inside(kind).startswith("collections")
        return [value_of(name, inside(kind)) for _ in range(LENGTHS.get(name, 1) if innermost else 1)]
    if kind.startswith("tuple"):
        return tuple(value_of(name, part) for part in split(inside(kind), ","))
    return {"int": 1, "float": 1.0, "bool": True}[kind]


def spoiled(value: Any, how: Callable[[Any], Any]) -> Any:
    """`value` with its first array changed."""
    if isinstance(value, list):
        return [spoiled(value[0], how), *value[1:]]
    return how(value)


def writing() -> Iterator[tuple[str, Callable[..., Any], dict[str, Any], str]]:
    """(name, function, arguments of the right types, argument that it writes to) of both modules."""
    decoder = _codec.RansDecoder(b"")
    for owner in (kernels(), _codec, decoder):
        for function in (getattr(owner, name) for name in dir(owner) if not name.startswith("_")):
            described = (getattr(function, "__doc__", None) or "").partition("\n")[0]
            signature = re.fullmatch(r"(\w+)\((?:self(?:, )?)?(.*)\) -> .*", described)
            if not callable(function) or signature is None or "ndarray" not in signature[2]:
                continue
            kinds = dict(part.split(": ", 1) for part in split(signature[2], ",") if ": " in part)
            for name, kind in kinds.items():
                if any("writable" not in found for found in re.findall(r"ndarray\[[^]]*]", kind)):
                    yield signature[1], function, {n: value_of(n, k) for n, k in kinds.items()}, name


CASES = list(writing())


def test_all_writers_are_found() -> None:
    found = {name for name, *_ in CASES}
    assert {"rows_noisy", "heads_forward", "adam", "grid_backward", "mlp_backward", "rate_trits"} <= found
    assert {"gaussian_into", "trits_into", "mixture_into"} <= found


@pytest.mark.parametrize(
    ("function", "arguments", "name"), [case[1:] for case in CASES], ids=[f"{c[0]}-{c[3]}" for c in CASES]
)
def test_outputs_are_never_copied(function: Callable[..., Any], arguments: dict[str, Any], name: str) -> None:
    with suppress(ValueError):  # sizes need not fit, types do
        function(**arguments)
    changes = {
        "another type": lambda a: a.astype(OTHER.get(a.dtype.name, "int16")),
        "strided": lambda a: np.zeros((*a.shape[:-1], 2 * a.shape[-1]), a.dtype)[..., ::2],
        "read-only": lambda a: np.frombuffer(bytes(a.nbytes), a.dtype).reshape(a.shape),
    }
    for how in changes.values():
        with pytest.raises(TypeError, match="incompatible function arguments"):
            function(**arguments | {name: spoiled(arguments[name], how)})
