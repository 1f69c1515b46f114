"""Models to streams, streams to smaller ones."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gspc import extras
from gspc.choices import TARGET_SIZE
from gspc.errors import BitstreamError, InputError, UsageError
from gspc.format.limits import MAX_LEVELS
from gspc.pipeline.results import File
from gspc.pipeline.source import Given, Source, naming, refuse_splats, source_of

if TYPE_CHECKING:
    from gspc.format.shape import Coder


@dataclass(frozen=True)
class Compressed(File):
    """A stream of `levels` levels; its first `level_bytes[s - 1]` bytes are the scene up to level s.

    >>> import gspc
    >>> made = gspc.compress("model.pt")
    >>> made.level_bytes[-1] == len(made.data)
    True
    """

    data: bytes = field(repr=False)
    levels: int
    level_bytes: tuple[int, ...]
    warnings: tuple[str, ...] = ()
    available: int = 0  # levels that the source has
    slices: tuple[int, int] | None = None  # of the last level, how many it holds and how many there are


def compress(
    source: Given,
    *,
    levels: int | None = None,
    max_size: int | None = None,
    threads: int = 0,
    coder: Coder = "lanes",
    parity: bool | None = None,
) -> Compressed:
    """A model as a stream of `levels` levels, or the first `levels` levels of a stream (None: of a model a
    few, of a stream all).

    What the levels of a model add is ranked by its use, so that there can be more or fewer of them than in
    training; a model of which no use was measured has the levels of its training, of which the first are
    taken. `max_size`: bytes that the stream must not exceed; of a model as many parts as fit are in it, of a
    stream as many levels, and of the next level the slices that fit. UsageError is raised where not even one
    level does. `coder` torchac codes the symbols with that package, if it is installed (BackendError), for
    comparison. `parity`: whether the stream has chunks from which salvaging restores damaged bytes, a third
    of a percent of it; None: that of a model has, a stream keeps what it has. Raises UsageError, InputError,
    BitstreamError.

    >>> import gspc
    >>> made = gspc.compress("model.pt", levels=2)
    >>> made.save("scene.pcgs", overwrite=True).name
    'scene.pcgs'
    """
    source = source_of(source)
    refuse_splats(source, "cannot be compressed as it is; gspc fit makes a model of it")
    with naming(source.name):
        if source.kind == "scene":
            raise InputError("is a decoded scene; compress the model or the .pcgs it came from")
        from gspc.codec import recode, require, truncate_levels
        from gspc.format.parity import refreshed, with_parity, without_parity

        require(coder)
        if source.kind == "model":
            data, available = _encode_model(source, levels, max_size, threads, parity=parity is not False)
            promised = available
        else:
            available, promised = _levels_of(source.data)
            _check_levels(levels, available)
            data = truncate_levels(source.data, levels or available)
            if parity is not None:
                data = with_parity(data) if parity else without_parity(data)
        if (recoded := recode(data, coder)) is not data:
            data = refreshed(recoded)
        written = min(levels or available, available)
        slices = None
        if max_size is not None:
            data, written, slices = _fit(data, written, max_size)
    cut = f"the stream is truncated: {available} of {promised} levels are whole and were kept"
    warnings = (cut,) if available < promised else ()
    return Compressed(data, written, _level_bytes(data), warnings, available, slices)


def _fit(data: bytes, levels: int, max_size: int) -> tuple[bytes, int, tuple[int, int] | None]:
    """The most levels of a stream that fit into `max_size` bytes, then slices of the next one.

    Levels are coded one after another, and slices on their own, so nothing needs to be coded again.
    """
    from gspc.codec import truncate_levels
    from gspc.format import describe
    from gspc.format.subset import keep_slices, largest_subset

    longer = found = data
    for kept in range(levels, 0, -1):
        longer, found = found, truncate_levels(data, kept)
        if len(found) <= max_size:
            break
    else:
        raise UsageError(
            f"its level 1 takes {len(found):,} bytes, more than --max-size allows ({max_size:,}); allow as "
            "much, or make the model smaller with gspc fit --target-size"
        )
    if kept == levels or (slices := largest_subset(longer, max_size)) is None:
        return found, kept, None
    return keep_slices(longer, slices), kept + 1, (len(slices), len(describe(longer).slice_keys))


def as_stream(source: Source, *, threads: int = 0) -> Source:
    """The source; a model as the stream that it compresses to."""
    if source.kind != "model":
        return source
    with naming(source.name):
        return source.encoded_as(_encode_model(source, None, None, threads, parity=True)[0])


def _encode_model(
    source: Source, levels: int | None, max_size: int | None, threads: int, *, parity: bool
) -> tuple[bytes, int]:
    """The stream of a model, and how many levels it could have; near `max_size`, or the size that its fit
    aimed at, where the model says which parts to leave out."""
    extras.require("torch", "is a model, which")
    from gspc.codec import encode
    from gspc.codec.export import export_with_gains
    from gspc.codec.portions import encode_ranked
    from gspc.format.parity import with_parity

    finish = with_parity if parity else bytes
    scene, gains = export_with_gains(source.data, source.name)
    if gains is None:
        _check_levels(levels, scene.levels)
        return finish(encode(scene, levels=levels, threads=threads)), scene.levels
    _check_levels(levels, MAX_LEVELS)
    aim = scene.metadata.get(TARGET_SIZE, "")
    size = int(aim) if max_size is None and levels is None and aim.isdecimal() else max_size
    data = encode_ranked(scene, gains, levels=levels, max_size=size, threads=threads, finish=finish)
    return data, len(_level_bytes(data))


def _check_levels(levels: int | None, available: int) -> None:
    if levels is not None and not 1 <= levels <= available:
        raise UsageError(f"has {available} levels; choose --levels from 1 to {available}")


def _levels_of(data: bytes) -> tuple[int, int]:
    """Whole levels of a stream, and how many it should have. Raises BitstreamError when none is whole."""
    from gspc.format import describe

    stream = describe(data)
    if not stream.whole_levels:
        raise BitstreamError("is cut before its first level ends; get the file again")
    return stream.whole_levels, len(stream.levels)


def _level_bytes(data: bytes) -> tuple[int, ...]:
    """Where each level of a stream ends: what to cut it to."""
    from gspc.format import describe

    return tuple(level.offset + level.length for level in describe(data).levels)
