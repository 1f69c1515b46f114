"""Tiles on disk: a folder each that `gspc fit` takes as it is, photographs linked, not copied."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gspc.config import DataOptions
from gspc.data import colmap
from gspc.data.images import SUFFIXES
from gspc.errors import InputError, OutputError
from gspc.format.tile import Tile
from gspc.output import writing
from gspc.rotations import quaternion_of
from gspc.scene import Note
from gspc.tiles.plan import Bool, Box, Contraction, halo, members, split
from gspc.tiles.sources import Picture, Sources, read_sources

FORMAT, VERSION = "gspc-tile", 1
FILE = "tile.json"
COARSE = "coarse.pt"  # in a tile's folder, a link: the model of the whole scene that its fit starts from
MOST_BYTES = 1 << 20  # of a tile.json
FEWEST = 2  # photographs of a block; a scene needs as many


@dataclass(frozen=True)
class Block:
    """One tile to be written."""

    tile: Tile
    pictures: tuple[Picture, ...]
    inside: int  # photographs that were taken in it
    points: Bool  # [P] its own and its halo's
    own: int  # points that lie in it
    neighbors: tuple[str, ...]

    @property
    def halo(self) -> int:
        """Points around it that training needs."""
        return int(self.points.sum()) - self.own

    def to_plain(self) -> dict[str, Any]:
        """What a report says of it."""
        box = {key: value for key, value in self.tile.to_plain().items() if key in "xz"}
        return {
            "name": self.tile.name,
            **box,
            "photographs": len(self.pictures),
            "taken_inside": self.inside,
            "points": self.own,
            "halo_points": self.halo,
            "neighbors": list(self.neighbors),
        }


@dataclass(frozen=True)
class SplitReport:
    """A scene and the blocks that it was, or would be, split into."""

    scene: str
    grid: tuple[int, int]  # columns along x, rows along z
    photographs: int
    held_out: int
    points: int
    blocks: tuple[Block, ...]
    notes: tuple[Note, ...]


def split_scene(
    path: Path,
    output: Path | None,
    *,
    grid: tuple[int, int] = (2, 2),
    options: DataOptions | None = None,
    coarse: Path | None = None,
    force: bool = False,
) -> SplitReport:
    """Splits the scene at `path` into `grid` blocks and writes them to the folder `output`, whole or not at
    all; writes nothing where that is None. `coarse`: the model that the fits of all blocks start from. Raises
    InputError, BackendError, OutputError."""
    if coarse is not None:
        _check_coarse(coarse)
    if output is not None:
        _check_output(output, path, force=force)
    sources = read_sources(path, options or DataOptions(hold=0))
    blocks = _blocks(path, sources, grid)
    if output is not None:
        _write(output, sources, blocks, coarse)
    count = len(sources.pictures)
    points = len(sources.cloud.positions)
    return SplitReport(sources.name, grid, count, sources.held_out, points, blocks, sources.notes)


def _blocks(path: Path, sources: Sources, grid: tuple[int, int]) -> tuple[Block, ...]:
    seen = sources.plan[sources.seen]
    try:
        boxes = split(seen, *grid)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    contraction = Contraction.around(seen)
    chosen = members(boxes, sources.plan, [picture.shown for picture in sources.pictures])
    blocks = tuple(
        _block(sources, box, boxes, contraction, row) for box, row in zip(boxes, chosen, strict=True)
    )
    poor = next((block for block in blocks if len(block.pictures) < FEWEST), None)
    if poor is not None:
        raise InputError(
            f"{path}: block {poor.tile.name} has {len(poor.pictures)} photographs and needs {FEWEST}; give a "
            "coarser --grid"
        )
    return blocks


def _block(sources: Sources, box: Box, boxes: Sequence[Box], contraction: Contraction, chosen: Bool) -> Block:
    """A block with what training it takes: its points, those around it, and all that its photographs show,
    which would otherwise be explained by Gaussians in front of the cameras."""
    pictures = tuple(sources.pictures[row] for row in np.flatnonzero(chosen))
    own = box.holds(sources.plan)
    points = own | halo(box, sources.plan, contraction)
    for picture in pictures:
        points[picture.shown.points] = True
    inside = sum(bool(box.holds(picture.shown.places).any()) for picture in pictures)
    neighbors = tuple(other.name for other in boxes if other is not box and box.touches(other))
    tile = Tile(box.name, sources.frame, box.low, box.high)
    return Block(tile, pictures, inside, points, int(own.sum()), neighbors)


def _check_coarse(path: Path) -> None:
    """Raises InputError for what is no zip file of torch's, as models are, before hours of fits would."""
    advice = "name a model of the whole scene, the output of gspc fit"
    if not path.is_file():
        raise InputError(f"no such file; {advice}", source=str(path))
    try:
        with zipfile.ZipFile(path) as archive:
            sound = any(name.endswith("/data.pkl") for name in archive.namelist())
    except (OSError, zipfile.BadZipFile):
        sound = False
    if not sound:
        raise InputError(f"is no model, or damaged; {advice}", source=str(path))


def _check_output(output: Path, scene: Path, *, force: bool) -> None:
    """Raises OutputError unless tiles may be written to `output`: nothing but a folder of tiles, and only
    with `force`, is ever replaced."""
    with writing(output):
        real = Path(os.path.realpath(scene))  # Path.resolve raises RuntimeError for a loop of links
        if Path(os.path.realpath(output)) in (real, *real.parents):
            raise OutputError(f"{output}: holds the scene itself; name another folder")
        if not output.parent.is_dir():
            raise OutputError(f"{output}: the directory {output.parent} does not exist; create it first")
        if not output.exists() and not output.is_symlink():
            return
        if not output.is_dir() or output.is_symlink():
            raise OutputError(f"{output}: is no folder; name another")
        entries = list(output.iterdir())
        if entries and not force:
            raise OutputError(f"{output}: has files in it; add -f to replace a folder of tiles")
        stray = next((entry for entry in entries if not (entry / FILE).is_file()), None)
        if stray is not None:
            raise OutputError(f"{stray}: is no tile and would be lost; move it or name another folder")


def _write(output: Path, sources: Sources, blocks: Sequence[Block], coarse: Path | None) -> None:
    """All folders beside their place first, then one rename."""
    temporary = output.with_name(f".{output.name}.{secrets.token_hex(4)}.part")
    with writing(output):
        try:
            for block in blocks:
                folder, place = temporary / block.tile.name, output.resolve() / block.tile.name
                _write_block(folder, place, sources, block)
                if coarse is not None:
                    _link(folder, place, Path(COARSE), coarse)
            replace_folder(output, temporary)
        except OutputError as error:  # about a file of the temporary folder, whose name says nothing
            raise OutputError(error.problem, source=str(output)) from error
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def replace_folder(output: Path, temporary: Path) -> None:
    """Puts the folder in the place of what was there, which is back if that fails."""
    if not output.exists():
        temporary.rename(output)
        return
    before = temporary.with_suffix(".old")
    output.rename(before)
    try:
        temporary.rename(output)
    except OSError:
        before.rename(output)
        raise
    shutil.rmtree(before, ignore_errors=True)


def _write_block(folder: Path, place: Path, sources: Sources, block: Block) -> None:
    """One tile; `place` is where the folder will be, from which relative links lead."""
    names = [_file_name(picture) for picture in block.pictures]
    colmap.write_model(folder / "sparse" / "0", _model(sources, block, names))
    for picture, name in zip(block.pictures, names, strict=True):
        _link(folder, place, Path("images") / name, picture.photo.path)
        if picture.mask is not None:
            _link(folder, place, Path("masks") / f"{name}.png", picture.mask)
    values = {
        "format": FORMAT,
        "version": VERSION,
        "scene": sources.name,
        "tile": block.tile.to_plain(),
        "neighbors": list(block.neighbors),
    }
    (folder / FILE).write_text(json.dumps(values, indent=2, allow_nan=False) + "\n")


def _link(folder: Path, place: Path, name: Path, target: Path) -> None:
    link = folder / name
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(os.path.relpath(target.resolve(), (place / name).parent))


def _file_name(picture: Picture) -> str:
    """The view's name; with the photograph's suffix where a model calls a JPEG by a name without any."""
    known = picture.name.lower().endswith(SUFFIXES)
    return picture.name if known else picture.name + picture.photo.path.suffix


def _model(sources: Sources, block: Block, names: Sequence[str]) -> colmap.ColmapModel:
    lenses = list(dict.fromkeys(picture.lens for picture in block.pictures))
    cameras = tuple(
        colmap.ColmapCamera(number, lens.model, lens.width, lens.height, lens.params)
        for number, lens in enumerate(lenses, start=1)
    )
    images = tuple(
        colmap.ColmapImage(
            number,
            _four(picture),
            _three(picture),
            lenses.index(picture.lens) + 1,
            name,
        )
        for number, (picture, name) in enumerate(zip(block.pictures, names, strict=True), start=1)
    )
    cloud = sources.cloud
    points = colmap.without_tracks(cloud.positions[block.points], cloud.colors[block.points])
    return colmap.ColmapModel(cameras, images, points)


def _four(picture: Picture) -> tuple[float, float, float, float]:
    w, x, y, z = quaternion_of(picture.pose[:3, :3])
    return w, x, y, z


def _three(picture: Picture) -> tuple[float, float, float]:
    x, y, z = (float(value) for value in picture.pose[:3, 3])
    return x, y, z


def coarse_of_folder(scene: Path) -> Path | None:
    """The coarse model that the fit of a tile's folder starts from; None where it starts from its points."""
    file = scene / COARSE
    return file if (scene / FILE).is_file() and (file.is_symlink() or file.is_file()) else None


def tile_of_folder(scene: Path) -> Tile | None:
    """The tile whose folder a scene is; None for any other scene. Raises InputError for a damaged file."""
    file = scene / FILE
    if not file.is_file():
        return None
    try:
        if file.stat().st_size > MOST_BYTES:
            raise InputError(f"{file}: is no description of a tile; run gspc tile again")
        values = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{file}: cannot be read ({error}); run gspc tile again") from None
    if not isinstance(values, dict) or values.get("format") != FORMAT or values.get("version") != VERSION:
        raise InputError(
            f"{file}: is no description of a tile that is known here; run gspc tile again, or remove it"
        )
    try:
        return Tile.from_plain(values.get("tile"))
    except InputError as error:
        raise InputError(f"{file}: {error}; run gspc tile again") from None
