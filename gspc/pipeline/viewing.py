"""Scenes as pages for a browser."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from gspc.errors import InputError, OutputError, UsageError
from gspc.pipeline.results import File
from gspc.pipeline.source import Given, Source, source_of

if TYPE_CHECKING:
    from gspc.pipeline.compressing import Compressed
    from gspc.viewer.server import PageServer

MOST_BYTES = 1 << 30  # of an index that is shown: all of its tiles are held in memory
ADVICE = {
    "model": "is a model; compress it first: gspc compress model.pt -o scene.pcgs",
    "scene": "is a decoded scene, which has no levels any more; give the .pcgs stream that it was made of",
    "tiles": "is an index of tiles, and a page shows one stream; give that of a tile, or use gspc view",
    "splats": "is a splat of another tool; make a stream of it first: gspc fit FILE -o model.pt, then gspc "
    "compress model.pt -o scene.pcgs",
}


@dataclass(frozen=True)
class Page(File):
    """One HTML file that shows a scene, without a server or a network."""

    data: bytes = field(repr=False)
    levels: int
    warnings: tuple[str, ...] = ()


def page(source: Given, *, upto: int | None = None) -> Page:
    """A stream as one HTML file with viewer, decoder and scene inside; `upto` leaves out later levels.

    Raises InputError for what is no stream, BitstreamError.
    """
    from gspc.viewer import single_page

    data = source_of(source)
    made = _stream(data, upto)
    return Page(single_page(_title(data), made.data), made.levels, made.warnings)


@dataclass(frozen=True)
class Site:
    """The files of a folder that shows a scene, by name."""

    files: Mapping[str, bytes] = field(repr=False)
    levels: int
    warnings: tuple[str, ...] = ()

    def save(self, folder: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
        """Writes the folder, whole or not at all, and returns its path. Raises OutputError."""
        target = Path(folder)
        check_folder(target, force=overwrite)
        _write_folder(target, self.files)
        return target


def site(source: Given, *, upto: int | None = None) -> Site:
    """A stream, or the tiles of an index, and their viewer as files for any web server; `upto` leaves out
    later levels.

    Raises UsageError, InputError for what is no stream, BitstreamError.
    """
    from gspc.viewer import site as files_of

    data = source_of(source)
    if data.kind == "tiles":
        return _tiled(data, upto)
    made = _stream(data, upto)
    return Site(files_of(_title(data), made.data), made.levels, made.warnings)


def _tiled(source: Source, upto: int | None) -> Site:
    """The site of an index."""
    from gspc.pipeline.tiling import tiled_scene
    from gspc.tiles import packed, write_index
    from gspc.viewer import tiled_site

    scene = tiled_scene(source, upto=upto)
    index, level = scene.index, scene.level
    if (size := index.total(level).size) > MOST_BYTES:
        raise UsageError(
            f"has {size:,} bytes of tiles, and a page shows up to {MOST_BYTES:,}; give a smaller --upto, or "
            "the stream of a tile",
            source=source.name,
        )
    cut, parts = packed(scene.files, level)
    return Site(tiled_site(_title(source), write_index(cut), parts), level)


def page_server(files: Mapping[str, bytes], port: int = 0) -> PageServer:
    """A server on this machine for the files of a site; its `serve_forever` runs it. Port 0 takes any that is
    free. Raises UsageError for a port that is taken."""
    from gspc.viewer import make_server

    return make_server(files, port)


def check_folder(folder: Path, *, force: bool) -> None:
    """Refuses, before any work, a folder that could not be written afterwards. Raises OutputError.

    One that holds something else than an earlier export is never replaced, not even with `force`.
    """
    if folder.is_dir():
        found = {entry.name for entry in folder.iterdir()}
        if found and "index.html" not in found:
            raise OutputError(f"{folder}: holds other files; name a new folder")
        if found and not force:
            raise OutputError(f"{folder}: exists already; add -f to overwrite it")
    elif folder.exists():
        raise OutputError(f"{folder}: is a file; name a folder")
    if not folder.parent.is_dir():
        raise OutputError(f"{folder}: the directory {folder.parent} does not exist; create it first")
    if not os.access(folder.parent, os.W_OK | os.X_OK):
        raise OutputError(f"{folder}: permission denied; choose a place you may write to")


def _write_folder(folder: Path, pages: Mapping[str, bytes]) -> None:
    """Writes the files into a folder beside `folder` that then takes its place."""
    from gspc.output import writing

    with writing(folder):
        folder = Path(os.path.realpath(folder))  # Path.resolve raises RuntimeError for a loop of links
        made = Path(tempfile.mkdtemp(prefix=f".{folder.name[:100]}.", suffix=".part", dir=folder.parent))
        old = made.with_suffix(".old")
        try:
            for name, content in pages.items():
                (made / name).parent.mkdir(exist_ok=True)
                (made / name).write_bytes(content)
            made.chmod(0o777 & ~_umask())
            if folder.exists():
                folder.rename(old)
            made.rename(folder)
        except BaseException:
            if old.exists() and not folder.exists():
                old.rename(folder)
            raise
        finally:
            for left in (made, old):
                with suppress(OSError):
                    shutil.rmtree(left)


def _umask() -> int:
    """What new files of this process may not be read by; asking for it takes setting it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _title(source: Source) -> str:
    return "scene" if source.name in ("stdin", "data") else Path(source.name).name


def _stream(source: Source, upto: int | None) -> Compressed:
    """The stream's levels that are whole, up to `upto`. Raises UsageError, InputError, BitstreamError."""
    from gspc.pipeline.compressing import compress

    if source.kind != "pcgs":
        raise InputError(ADVICE[source.kind], source=source.name)
    return compress(source, levels=upto)
