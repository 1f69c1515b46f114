"""What can be decoded of a damaged stream, and what cannot. No torch."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from gspc import _codec
from gspc.codec.recode import coder_of
from gspc.codec.stream import decoded_from
from gspc.errors import BitstreamError
from gspc.format.limits import MAX_MEMORY
from gspc.format.salvage import Salvaged, salvage
from gspc.format.scene import Decoded

SLICE = re.compile(r"chunk SLIC level (\d+) slice (\d+)")


@dataclass(frozen=True)
class LevelLoss:
    """What is left of one level; anchors are those that appear there, as far as slices still tell."""

    level: int
    slices: int
    lost: tuple[int, ...]  # numbers of slices
    anchors: int
    anchors_left: int


@dataclass(frozen=True)
class Losses:
    """What is lost of a stream: chunks by name, and slices by level."""

    chunks: tuple[str, ...]
    levels: tuple[LevelLoss, ...]

    @property
    def share(self) -> float:
        """Anchors left, of all that the scene had; 1 when it had none."""
        had = sum(level.anchors for level in self.levels)
        return sum(level.anchors_left for level in self.levels) / had if had else 1.0


def decode_salvaged(
    data: bytes, *, upto: int | None = None, threads: int = 0, max_memory: int = MAX_MEMORY
) -> tuple[Decoded, Losses]:
    """Decodes what checks out of a damaged stream: each slice as far as its levels are whole.

    Raises BitstreamError when nothing is left, or one of the chunks is lost that every slice needs.
    """
    found = salvage(data)
    if coder_of(found.data) != "lanes":
        raise BitstreamError("symbols that torchac coded cannot be salvaged; get the file again")
    last = found.levels if upto is None else min(upto, found.levels)
    failed: dict[int, int] = {}  # slices that do not decode, and from which level on
    while True:
        try:
            reader, reached = _decode(found, last, failed, threads, max_memory)
            break
        except _codec.StreamError as error:
            place = SLICE.search(str(error))
            if place is None or failed.get(int(place[2]), last + 1) <= int(place[1]):
                raise BitstreamError(str(error)) from None
            failed[int(place[2])] = int(place[1])
    decoded = decoded_from(reader.scene(), truncated=False, upto=last)
    level = max(reached)
    scene = replace(decoded.scene, level=level)
    return replace(decoded, scene=scene, level=level), _losses(found, reached, upto)


def _decode(
    found: Salvaged, last: int, failed: dict[int, int], threads: int, max_memory: int
) -> tuple[_codec.StreamReader, list[int]]:
    """A reader that holds every slice at the level that it reaches, and those levels."""
    reader = _codec.StreamReader(last, threads, max_memory, False)
    reader.feed(found.data)
    reached = [0] * reader.slices
    for level in range(1, last + 1):
        row = found.slices[level - 1]
        good = [
            there and before == level - 1 and failed.get(i, last + 1) > level
            for i, (there, before) in enumerate(zip(row, reached, strict=True))
        ]
        if not any(good):
            break
        reader.choose(good)
        reader.advance()
        reached = [level if ok else before for ok, before in zip(good, reached, strict=True)]
    if not any(reached):
        raise BitstreamError("no slice of level 1 is left; get the file again")
    reader.choose([level > 0 for level in reached])
    return reader, reached


def _losses(found: Salvaged, reached: list[int], upto: int | None) -> Losses:
    wanted = len(found.slices) if upto is None else min(upto, len(found.slices))
    levels = []
    for level in range(1, wanted + 1):
        anchors = found.anchors[level - 1]
        left = [has >= level for has in reached]
        levels.append(
            LevelLoss(
                level,
                len(left),
                tuple(i for i, ok in enumerate(left) if not ok),
                sum(anchors),
                sum(count for count, ok in zip(anchors, left, strict=True) if ok),
            )
        )
    return Losses(found.lost, tuple(levels))
