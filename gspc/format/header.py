"""The HEAD chunk, read with the standard library alone (pcgs(5), HEAD)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import NamedTuple

from gspc.errors import BitstreamError
from gspc.format import limits
from gspc.format.fields import unpack
from gspc.format.grid import GridPlane, GridSpec
from gspc.format.shape import (
    ALL_LEVELS,
    ATTRIBUTES,
    CODERS,
    FAMILIES,
    NEVER,
    TRITS,
    Attribute,
    Coder,
    Groups,
    Pool,
    StreamShape,
)
from gspc.format.usable import placement_problem


@dataclass(frozen=True)
class HeaderInfo:
    """The HEAD chunk."""

    coder: Coder
    position_bits: int
    shape: StreamShape
    origin: tuple[float, float, float]
    voxel_size: float
    background: tuple[float, float, float]

    @property
    def end(self) -> int:
        """One after the last Morton key."""
        return 1 << (3 * self.position_bits)


_HEAD = "<12sBB12H4B3d3dd3f3i3IH"
_HEAD_ERROR = "chunk HEAD"

_TRIT_MODELS = tuple(TRITS.values())  # by the byte of trit models, which names those of all attributes
_ONE_SCALE, _LAST_SHIFT = 8, 4  # in the byte of refined attributes
_SELECTIVE = 128  # in the byte of trit models


def _family(name: bytes) -> str:
    text = name.rstrip(b"\0")
    if not text.isascii() or not text.decode("ascii").isprintable():
        raise BitstreamError(f"{_HEAD_ERROR}: malformed model family")
    family = text.decode("ascii")
    if family not in FAMILIES:
        raise BitstreamError(
            f"model family '{family}' is not known here "
            "(this reader knows 'plain' and 'predictive'); update gspc"
        )
    return family


def _refined_until(refined: int) -> tuple[int, ...]:
    """Of each attribute, from the byte of refined attributes."""
    last, bits = refined >> _LAST_SHIFT, refined & 7
    if last == NEVER or last > limits.MAX_LEVELS or (last != ALL_LEVELS and not bits):
        raise BitstreamError(f"{_HEAD_ERROR}: no such last refined level")
    return tuple(last if bits >> i & 1 else NEVER for i in range(len(ATTRIBUTES)))


class _Sizes(NamedTuple):
    """Sizes in the order of HEAD."""

    features: int
    offsets: int
    steps_hidden: int
    trunk_hidden: int
    features_hidden: int  # of the trit networks of features, scaling and offsets
    scaling_hidden: int
    heads_hidden: int
    offsets_hidden: int
    groups_hidden: int
    pool: int
    pool_hidden: int
    residual_hidden: int
    refined: int
    trit_models: int
    groups: int
    pool_planes: int


def _attributes(s: _Sizes, bases: tuple[float, ...]) -> tuple[Attribute, ...]:
    trits = s.trit_models & ~_SELECTIVE
    if trits >= len(_TRIT_MODELS):
        raise BitstreamError(f"{_HEAD_ERROR}: unknown trit model")
    values = (s.features, 1 if s.refined & _ONE_SCALE else 6, 3 * s.offsets)
    hidden = (s.features_hidden, s.scaling_hidden, s.offsets_hidden)
    columns = (ATTRIBUTES, values, _refined_until(s.refined), _TRIT_MODELS[trits], hidden, bases)
    return tuple(Attribute(*row) for row in zip(*columns, strict=True))


def _shape(s: _Sizes, bases: tuple[float, ...], grid: GridSpec) -> StreamShape:
    if (s.groups > 0) != (s.groups_hidden > 0):
        raise BitstreamError(f"{_HEAD_ERROR}: hidden units of groups of features, but no groups")
    if not s.pool and (s.pool_hidden or s.pool_planes):
        raise BitstreamError(f"{_HEAD_ERROR}: parts of a pool, but no pool features")
    shape = StreamShape(
        attributes=_attributes(s, bases),
        steps_hidden=s.steps_hidden,
        trunk_hidden=s.trunk_hidden,
        heads_hidden=s.heads_hidden,
        residual_hidden=s.residual_hidden,
        groups=Groups(s.groups, s.groups_hidden) if s.groups else None,
        pool=Pool(s.pool, s.pool_hidden, s.pool_planes) if s.pool else None,
        grid=grid,
        selective=bool(s.trit_models & _SELECTIVE),
    )
    if (error := shape.error()) is not None:
        raise BitstreamError(f"{_HEAD_ERROR}: {error}")
    return shape


def _read_grid(payload: bytes, box: tuple[int, ...], count: int) -> GridSpec:
    """The planes at the end of HEAD, in their box."""
    at = struct.calcsize(_HEAD)
    if count > limits.MAX_PLANES or len(payload) != at + 4 * count:
        raise BitstreamError(f"{_HEAD_ERROR}: length does not fit its contents")
    rows = [struct.unpack_from("<BBH", payload, at + 4 * i) for i in range(count)]
    planes = tuple(GridPlane(dims, resolution, log2_size) for dims, log2_size, resolution in rows)
    try:
        return GridSpec((box[0], box[1], box[2]), (box[3], box[4], box[5]), planes)
    except ValueError as error:
        raise BitstreamError(f"{_HEAD_ERROR}: {error}") from None


def read_header(payload: bytes) -> HeaderInfo:
    """The payload of HEAD. Raises BitstreamError."""
    name, coder, bits, *rest = unpack(_HEAD, payload, 0, _HEAD_ERROR)
    family = _family(name)
    if coder >= len(CODERS):
        raise BitstreamError(f"{_HEAD_ERROR}: unknown symbol coder {coder}")
    sizes, numbers = _Sizes(*rest[:16]), tuple(rest[16:])
    shape = _shape(sizes, numbers[:3], _read_grid(payload, numbers[10:16], numbers[16]))
    if shape.family != family:
        raise BitstreamError(f"{_HEAD_ERROR}: model family and pool features do not belong together")
    if not 1 <= bits <= limits.MAX_POSITION_BITS:
        raise BitstreamError(f"{_HEAD_ERROR}: position bits must be 1 to {limits.MAX_POSITION_BITS}")
    origin, background = (numbers[3], numbers[4], numbers[5]), (numbers[7], numbers[8], numbers[9])
    problem = placement_problem(numbers[:3], origin, numbers[6], background)
    if problem is not None:
        raise BitstreamError(f"{_HEAD_ERROR}: {problem}")
    return HeaderInfo(CODERS[coder], bits, shape, origin, numbers[6], background)
