"""Streams to scenes, whole or in parts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import isfinite
from operator import gt
from typing import TYPE_CHECKING

from gspc.errors import InputError, UsageError
from gspc.format.limits import INDEX_WINDOW, MAX_MEMORY
from gspc.pipeline.arriving import decode_pipe, decode_ranges, is_stream, ranges_of
from gspc.pipeline.compressing import as_stream
from gspc.pipeline.results import File
from gspc.pipeline.source import Given, Source, load_source, naming, refuse_splats, source_of

if TYPE_CHECKING:
    from gspc.codec import Losses, Region
    from gspc.format.scene import Decoded
    from gspc.scene import DecodedScene


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
    refuse_splats(source, "has nothing to decompress; gspc render, inspect-bitstream and export take it")
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


def _restore_scene(source: Source, upto: int | None) -> Restored:
    from gspc.rendering.scene_file import read_scene

    scene = read_scene(source.data, source.name)
    if upto is not None and upto != scene.level:
        raise UsageError(
            f"is already decoded to level {scene.level}; run gspc decompress --upto {upto} on its .pcgs"
        )
    return Restored(scene, scene.level, scene.levels, False, (), None)
