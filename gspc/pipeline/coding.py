"""Models to streams, streams to scenes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import isfinite
from operator import gt
from typing import TYPE_CHECKING

from gspc import extras
from gspc.choices import TARGET_SIZE
from gspc.errors import BitstreamError, InputError, UsageError
from gspc.format.limits import INDEX_WINDOW, MAX_LEVELS, MAX_MEMORY
from gspc.pipeline.arriving import decode_pipe, decode_ranges, is_stream, ranges_of
from gspc.pipeline.results import File
from gspc.pipeline.source import Given, Source, load_source, naming, refuse_splats, source_of

if TYPE_CHECKING:
    from gspc.codec import Losses, Region
    from gspc.format.scene import Decoded
    from gspc.format.shape import Coder
    from gspc.scene import DecodedScene


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


@dataclass(frozen=True)
class Restored:
    """A scene at one level. `truncated`: the stream ended before its last level.

    >>> import gspc
    >>> restored = gspc.decompress("scene.pcgs", upto=1).restored
    >>> restored.level, restored.levels_in_file, restored.truncated
    (1, 2, False)
    """

    scene: DecodedScene
    level: int
    levels_in_file: int
    truncated: bool
    warnings: tuple[str, ...]
    symbol_hash: str | None


@dataclass(frozen=True)
class Decompressed(File):
    """A decoded scene, as arrays and as a file.

    >>> import gspc
    >>> decoded = gspc.decompress("scene.pcgs", upto=1)
    >>> decoded.scene.level, decoded.save("level1.safetensors").name
    (1, 'level1.safetensors')
    """

    restored: Restored
    losses: Losses | None = None  # of a salvaged stream

    @cached_property
    def data(self) -> bytes:
        """The scene as a safetensors file."""
        from gspc.rendering.scene_file import write_scene

        return write_scene(self.restored.scene)

    @property
    def scene(self) -> DecodedScene:
        """Anchors, features, heads and cameras as arrays."""
        return self.restored.scene


def compress(
    source: Given,
    *,
    levels: int | None = None,
    max_size: int | None = None,
    threads: int = 0,
    coder: Coder = "lanes",
) -> Compressed:
    """A model as a stream of `levels` levels, or the first `levels` levels of a stream (None: of a model a
    few, of a stream all).

    What the levels of a model add is ranked by its use, so that there can be more or fewer of them than in
    training; a model of which no use was measured has the levels of its training, of which the first are
    taken. `max_size`: bytes that the stream must not exceed; of a model as many parts as fit are in it, of a
    stream as many levels, and of the next level the slices that fit. UsageError is raised where not even one
    level does. `coder` torchac codes the symbols with that package, if it is installed (BackendError), for
    comparison. Raises UsageError, InputError, BitstreamError.

    >>> import gspc
    >>> made = gspc.compress("model.pt", levels=2)
    >>> made.save("scene.pcgs", overwrite=True).name
    'scene.pcgs'
    """
    source = source_of(source)
    refuse_splats(source, "cannot be compressed")
    with naming(source.name):
        if source.kind == "scene":
            raise InputError("is a decoded scene; compress the model or the .pcgs it came from")
        from gspc.codec import recode, require, truncate_levels

        require(coder)
        if source.kind == "model":
            data, available = _encode_model(source, levels, max_size, threads)
            promised = available
        else:
            available, promised = _levels_of(source.data)
            _check_levels(levels, available)
            data = truncate_levels(source.data, levels or available)
        data = recode(data, coder)
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
            f"its level 1 takes {len(found):,} bytes, more than --max-size allows ({max_size:,})"
        )
    if kept == levels or (slices := largest_subset(longer, max_size)) is None:
        return found, kept, None
    return keep_slices(longer, slices), kept + 1, (len(slices), len(describe(longer).slice_keys))


def decompress(
    source: Given,
    *,
    upto: int | None = None,
    region: Sequence[float] | None = None,
    threads: int = 0,
    max_memory: int = MAX_MEMORY,
) -> Decompressed:
    """Decodes a stream up to level `upto` (None: the last whole one). Needs the bytes only.

    `source` may be a web address, of which only what is needed is fetched. `region` (x0, y0, z0, x1, y1, z1
    in the user's coordinates) keeps the anchors in a box; of a file or address only the slices that can hold
    some are read. Raises UsageError, InputError, BitstreamError; the latter too when decoding takes more than
    `max_memory` bytes.

    >>> import gspc
    >>> scene = gspc.decompress("scene.pcgs", upto=2).scene
    >>> scene.anchors.shape[1], scene.anchors.dtype.name
    (3, 'float32')
    """
    box = region_of(region)
    part = _restore_ranges(source, upto, box, threads=threads, max_memory=max_memory)
    if isinstance(part, Restored):
        return Decompressed(part)
    source = _refuse_decoded(source_of(part))
    whole = restore(source, upto=upto, threads=threads, max_memory=max_memory)
    return Decompressed(_cropped(whole, box, source.name))


def salvage(
    source: Given, *, upto: int | None = None, threads: int = 0, max_memory: int = MAX_MEMORY
) -> Decompressed:
    """Decodes what checks out of a damaged stream; `losses` says what does not.

    Every slice is decoded as far as its levels are whole. Raises InputError, and BitstreamError when nothing
    can be restored.
    """
    from gspc.codec import decode_salvaged

    source = _refuse_decoded(source_of(source))
    with naming(source.name):
        decoded, losses = decode_salvaged(source.data, upto=upto, threads=threads, max_memory=max_memory)
    return Decompressed(_restored(decoded), losses)


def decompress_pipe(
    name: str,
    read: Callable[[int], bytes],
    *,
    upto: int | None = None,
    region: Sequence[float] | None = None,
    threads: int = 0,
    max_memory: int = MAX_MEMORY,
) -> Decompressed:
    """`decompress` of what comes through a pipe, while it comes; reading ends with level `upto`.

    `read` gives some bytes, at most so many, none at the end; `name` is what messages call the input.
    """
    from gspc.codec import ArrivingStream

    box = region_of(region)
    decoded, rest = decode_pipe(
        name, read, lambda: ArrivingStream(upto=upto, region=box, threads=threads, max_memory=max_memory)
    )
    if decoded is not None:
        return Decompressed(_cropped(_restored(decoded), box, name))
    source = _refuse_decoded(load_source(rest, name=name))
    whole = restore(source, upto=upto, threads=threads, max_memory=max_memory)
    return Decompressed(_cropped(whole, box, name))


def _refuse_decoded(source: Source) -> Source:
    refuse_splats(source, "has nothing to decompress")
    if source.kind != "pcgs":
        what = "a decoded scene already" if source.kind == "scene" else "a model; run gspc compress first"
        raise InputError(f"is {what}", source=source.name)
    return source


def restore_part(
    source: Given,
    *,
    upto: int | None = None,
    region: Sequence[float] | None = None,
    threads: int = 0,
    max_memory: int = MAX_MEMORY,
) -> Restored:
    """`restore` that reads no more than it needs of a file or of a web address, see `decompress`."""
    box = region_of(region)
    part = _restore_ranges(source, upto, box, threads=threads, max_memory=max_memory)
    if isinstance(part, Restored):
        return part
    found = source_of(part)
    return _cropped(restore(found, upto=upto, threads=threads, max_memory=max_memory), box, found.name)


def as_scene(restored: Restored, name: str) -> Source:
    """A restored scene as the input that its file would be."""
    return Source(name, "scene", Decompressed(restored).data, "pcgs")


def region_of(numbers: Sequence[float] | None) -> Region | None:
    """Six numbers as a box. Raises UsageError for others."""
    if numbers is None:
        return None
    from gspc.codec import Region

    given = [float(number) for number in numbers]
    if len(given) != 6 or not all(map(isfinite, given)) or any(map(gt, given[:3], given[3:])):
        raise UsageError("a region is x0,y0,z0,x1,y1,z1: two corners, the lower one first")
    return Region((given[0], given[1], given[2]), (given[3], given[4], given[5]))


def _restore_ranges(
    source: Given, upto: int | None, region: Region | None, **limits: int
) -> Restored | Given:
    """What is decoded of an input of which not all has to be read; any other input, read whole."""
    file = ranges_of(source, stored=region is not None)
    if file is None:
        return source
    head = file.read(0, INDEX_WINDOW)
    if not is_stream(head):
        return load_source(file.read(0, MAX_MEMORY), name=file.name)
    from gspc.codec import ArrivingStream

    with naming(file.name):
        decoder = ArrivingStream(upto=upto, region=region, **limits)
    return _cropped(_restored(decode_ranges(file, head, decoder)), region, file.name)


def _cropped(found: Restored, region: Region | None, name: str | None = None) -> Restored:
    """The scene inside the region. Raises UsageError where there is nothing."""
    if region is None:
        return found
    scene = region.crop(found.scene)
    if not len(scene.anchors):
        raise UsageError("has no anchors in this region", source=name)
    return replace(found, scene=scene)


def restore(
    source: Given, *, upto: int | None = None, threads: int = 0, max_memory: int = MAX_MEMORY
) -> Restored:
    """The scene of any source at level `upto`. A model goes through the codec: it looks as its file will."""
    source = source_of(source)
    refuse_splats(source, "has no levels")
    with naming(source.name):
        if source.kind == "scene":
            return _restore_scene(source, upto)
        from gspc.codec import decode

        stream = as_stream(source, threads=threads).data
        decoded = decode(stream, upto=upto, threads=threads, max_memory=max_memory)
    return _restored(decoded)


def _restored(decoded: Decoded) -> Restored:
    return Restored(
        decoded.scene,
        decoded.level,
        decoded.levels_in_file,
        decoded.truncated,
        decoded.warnings,
        decoded.symbol_hash,
    )


def as_stream(source: Source, *, threads: int = 0) -> Source:
    """The source; a model as the stream that it compresses to."""
    if source.kind != "model":
        return source
    with naming(source.name):
        return source.encoded_as(_encode_model(source, None, None, threads)[0])


def _encode_model(
    source: Source, levels: int | None, max_size: int | None, threads: int
) -> tuple[bytes, int]:
    """The stream of a model, and how many levels it could have; near `max_size`, or the size that its fit
    aimed at, where the model says which parts to leave out."""
    extras.require("torch", "is a model, which")
    from gspc.codec import encode
    from gspc.codec.export import export_with_gains
    from gspc.codec.portions import encode_ranked

    scene, gains = export_with_gains(source.data, source.name)
    if gains is None:
        _check_levels(levels, scene.levels)
        return encode(scene, levels=levels, threads=threads), scene.levels
    _check_levels(levels, MAX_LEVELS)
    aim = scene.metadata.get(TARGET_SIZE, "")
    size = int(aim) if max_size is None and levels is None and aim.isdecimal() else max_size
    data = encode_ranked(scene, gains, levels=levels, max_size=size, threads=threads)
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


def _restore_scene(source: Source, upto: int | None) -> Restored:
    from gspc.rendering.scene_file import read_scene

    scene = read_scene(source.data, source.name)
    if upto is not None and upto != scene.level:
        raise UsageError(
            f"is already decoded to level {scene.level}; run gspc decompress --upto {upto} on its .pcgs"
        )
    return Restored(scene, scene.level, scene.levels, False, (), None)
