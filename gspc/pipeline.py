"""The use cases as plain functions with typed results. Nothing here prints.

Heavy imports (torch, numpy, the compiled kernels) happen inside the functions: each command loads only what
it needs; `decompress`, `render` and `inspect` of a stream never import torch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from gspc.errors import GspcError, InputError, UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from gspc.config import Background, DataOptions, FitOptions
    from gspc.scene import Camera, DecodedScene, View
    from gspc.train import FitObserver, FitResult

Kind = Literal["pcgs", "scene", "model"]
Report = Callable[[str], None]

MAX_MEMORY = 4 << 30  # bytes a stream may make the decoder use unless asked otherwise
_SNIFF_BYTES = 4096


@dataclass(frozen=True)
class Source:
    """An input and what its content says it is: a `.pcgs` stream, a decoded scene or a trained model."""

    name: str
    kind: Kind
    data: bytes


@dataclass(frozen=True)
class Compressed:
    """A stream of `levels` levels; `level_bytes[s - 1]` is the size of the file that stops after level s."""

    data: bytes
    levels: int
    level_bytes: tuple[int, ...]


@dataclass(frozen=True)
class Restored:
    """A scene at one level. `truncated`: the stream ended before its last level."""

    scene: DecodedScene
    level: int
    levels_in_file: int
    truncated: bool
    warnings: tuple[str, ...]
    symbol_hash: str | None


@dataclass(frozen=True)
class Decompressed:
    """`data`: the decoded scene as a safetensors file."""

    data: bytes
    restored: Restored


@dataclass(frozen=True)
class Picture:
    """A rendered view, [H, W, 3] uint8."""

    name: str
    pixels: NDArray[np.uint8]


@dataclass(frozen=True)
class ViewScore:
    """PSNR in dB, SSIM, LPIPS (None where its network is not at hand) of one view."""

    view: str
    psnr: float
    ssim: float
    lpips: float | None


@dataclass(frozen=True)
class LevelScore:
    """Means over the views at one level. `size`: bytes on disk of the file that stops after this level."""

    level: int
    size: int | None
    psnr: float
    ssim: float
    lpips: float | None
    views: tuple[ViewScore, ...]


@dataclass(frozen=True)
class Evaluation:
    """Scores per level; `held_out` is False when there are no test views and training views were taken."""

    source: str
    data: str
    held_out: bool
    lpips_status: str
    warnings: tuple[str, ...]
    levels: tuple[LevelScore, ...]


@dataclass(frozen=True)
class Part:
    """Bytes of one component at one level; `level` is None for what all levels share."""

    name: str
    level: int | None
    size: int


@dataclass(frozen=True)
class ChunkRow:
    """One chunk of a stream; `status` is empty when nothing is wrong with it."""

    tag: str
    level: int | None
    slice: int | None
    offset: int
    size: int
    status: str


@dataclass(frozen=True)
class Inspection:
    """What an input is made of. `prefix_bytes[s - 1]`: size of the file up to and including level s."""

    source: str
    kind: Kind
    size: int
    levels: int
    whole_levels: int
    facts: tuple[tuple[str, str], ...]
    prefix_bytes: tuple[int, ...]
    parts: tuple[Part, ...]
    chunks: tuple[ChunkRow, ...]
    problems: tuple[str, ...]


@contextmanager
def naming(name: str) -> Iterator[None]:
    """Puts the input's name in front of errors that do not mention it yet."""
    try:
        yield
    except GspcError as error:
        if str(error).startswith(name):
            raise
        raise type(error)(f"{name}: {error}") from error


def read_bytes(path: Path) -> bytes:
    """The content of a file; InputError says why it cannot be read."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; check the path") from None
    except IsADirectoryError:
        raise InputError(f"{path}: is a directory; name a .pcgs, decoded scene or model file") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from error


def load_source(source: bytes | Path, *, expect_stream: bool = False) -> Source:
    """Reads an input and recognizes it by content, never by its name.

    With `expect_stream` anything unknown counts as a damaged stream, which its reader then describes with a
    BitstreamError; otherwise InputError is raised.
    """
    data = source if isinstance(source, bytes) else read_bytes(source)
    name = str(source) if isinstance(source, Path) else "stdin"
    from gspc.rendering.scene_file import sniff

    try:
        return Source(name, sniff(data[:_SNIFF_BYTES], name), data)
    except InputError:
        if not expect_stream:
            raise
        return Source(name, "pcgs", data)


def fit(
    scene: Path, output: Path, data: DataOptions, options: FitOptions, observer: FitObserver
) -> FitResult:
    """Trains a model of the photographs in `scene` and writes it to `output`; see `gspc.train.fit`.

    How the photographs were read is noted in the model, so that they can be read alike to evaluate it.
    """
    from gspc.data import load_scene
    from gspc.train import fit as train

    photographs = load_scene(scene, data)
    made = {
        "resolution": str(data.resolution or ""),
        "hold": str(data.hold),
        "background": "white" if min(photographs.background) > 0.5 else "black",
    }
    return train(photographs, output, replace(options, metadata={**made, **options.metadata}), observer)


def write_demo_scene(directory: Path) -> None:
    """Writes the generated demo scene as a COLMAP directory."""
    from gspc.data.demo import write_demo_scene as write

    write(directory)


def compress(source: Source, *, levels: int | None = None, threads: int = 0) -> Compressed:
    """A model, or a stream to drop levels from, as a stream of its first `levels` levels (None: all)."""
    from gspc.codec import truncate_levels

    with naming(source.name):
        if source.kind == "scene":
            raise InputError("is a decoded scene; compress the model or the .pcgs it came from")
        if source.kind == "model":
            data, available = _encode_model(source, levels, threads)
        else:
            available = _levels_of(source.data)
            _check_levels(levels, available)
            data = truncate_levels(source.data, levels) if levels is not None else source.data
    written = levels if levels is not None else available
    return Compressed(data, written, _level_bytes(data, written))


def decompress(
    source: Source, *, upto: int | None = None, threads: int = 0, max_memory: int = MAX_MEMORY
) -> Decompressed:
    """Decodes a stream up to level `upto` (None: the last whole one). Needs the bytes only."""
    from gspc.rendering.scene_file import write_scene

    if source.kind != "pcgs":
        what = "a decoded scene already" if source.kind == "scene" else "a model; run gspc compress first"
        raise InputError(f"{source.name}: is {what}")
    restored = restore(source, upto=upto, threads=threads, max_memory=max_memory)
    return Decompressed(write_scene(restored.scene), restored)


def restore(
    source: Source, *, upto: int | None = None, threads: int = 0, max_memory: int = MAX_MEMORY
) -> Restored:
    """The scene of any source at level `upto`. A model goes through the codec: it looks as its file will."""
    from gspc.codec import decode

    with naming(source.name):
        if source.kind == "scene":
            return _restore_scene(source, upto)
        data = source.data if source.kind == "pcgs" else _encode_model(source, None, threads)[0]
        decoded = decode(data, upto=upto, threads=threads, max_memory=max_memory)
    return Restored(
        decoded.scene,
        decoded.level,
        decoded.levels_in_file,
        decoded.truncated,
        decoded.warnings,
        decoded.symbol_hash,
    )


def select_cameras(
    scene: DecodedScene,
    *,
    cameras: Path | None = None,
    view: str | None = None,
    size: tuple[int, int | None] | None = None,
) -> tuple[Camera, ...]:
    """The cameras to render: a directory's or the scene's suggested ones, narrowed to one view, resized.

    `view` is a camera's name, its name without suffix, or its number counted from 0. A `size` without a
    height keeps each camera's aspect ratio. Raises UsageError when nothing fits, InputError when there are
    no cameras.
    """
    from gspc.data import load_cameras

    found = tuple(load_cameras(cameras)) if cameras is not None else scene.cameras
    if not found:
        raise InputError("holds no suggested cameras; name some with --cameras DIR")
    if view is not None:
        found = (_find_view(found, view),)
    if size is None:
        return found
    width, height = size
    return tuple(
        camera.resized(width, height or max(1, round(camera.height * width / camera.width)))
        for camera in found
    )


def render(scene: DecodedScene, cameras: tuple[Camera, ...]) -> Iterator[Picture]:
    """Renders one view after the other; memory holds one picture at a time."""
    import numpy as np

    from gspc.rendering import render_view

    for camera in cameras:
        image = np.clip(render_view(scene, camera), 0.0, 1.0)
        yield Picture(camera.name, np.rint(image * 255.0).astype(np.uint8))


def encode_png(picture: Picture) -> bytes:
    """The picture as a PNG file."""
    from gspc.rendering import encode_png as encode

    return encode(picture.pixels)


def evaluate(
    source: Source,
    directory: Path,
    *,
    resolution: int | None = None,
    hold: int | None = None,
    background: Background | None = None,
    images: Path | None = None,
    levels: tuple[int, ...] | None = None,
    threads: int = 0,
    report: Report = lambda text: None,
) -> Evaluation:
    """Compares the scene, level by level, with the held-out photographs of `directory`.

    Options that are None come from what training wrote into the file. A model is exported, encoded and
    decoded first, so its scores and sizes are those of its stream.
    """
    from gspc.data import load_scene
    from gspc.metrics import lpips_status

    if source.kind == "model":
        report("encoding the model")
        with naming(source.name):
            source = replace(source, kind="pcgs", data=_encode_model(source, None, threads)[0])
    first = restore(source, threads=threads)  # fails early, and knows the options of training
    wanted = levels if levels is not None else _levels_to_score(source, first)
    data = load_scene(directory, _data_options(first.scene.metadata, resolution, hold, background, images))
    views = data.test or data.train
    scores = []
    for level in wanted:
        restored = first if level == first.level else restore(source, upto=level, threads=threads)
        rows = []
        for index, view in enumerate(views):
            report(f"level {level}: view {index + 1} of {len(views)}")
            rows.append(_score(restored.scene, view))
        scores.append(_level_score(level, _size_at(source, level, first), rows))
    return Evaluation(
        source.name, str(directory), bool(data.test), lpips_status(), first.warnings, tuple(scores)
    )


def _encode_model(source: Source, levels: int | None, threads: int) -> tuple[bytes, int]:
    """The stream of a model's first levels, and how many levels the model has."""
    from gspc.codec import encode
    from gspc.codec.export import export_model

    scene = export_model(source.data, source.name)
    _check_levels(levels, scene.levels)
    return encode(scene, levels=levels, threads=threads), scene.levels


def _check_levels(levels: int | None, available: int) -> None:
    if levels is not None and not 1 <= levels <= available:
        raise UsageError(f"has {available} levels; choose --levels from 1 to {available}")


def _levels_of(data: bytes) -> int:
    """Whole levels of a stream."""
    from gspc.bitstream import read

    return read(data).whole_levels


def _level_bytes(data: bytes, levels: int) -> tuple[int, ...]:
    from gspc.codec import truncate_levels

    return (*(len(truncate_levels(data, level)) for level in range(1, levels)), len(data))


def _restore_scene(source: Source, upto: int | None) -> Restored:
    from gspc.rendering.scene_file import read_scene

    scene = read_scene(source.data, source.name)
    if upto is not None and upto != scene.level:
        raise UsageError(
            f"is already decoded to level {scene.level}; run gspc decompress --upto {upto} on its .pcgs"
        )
    return Restored(scene, scene.level, scene.levels, False, (), None)


def _find_view(cameras: tuple[Camera, ...], view: str) -> Camera:
    for camera in cameras:
        if camera.name == view:
            return camera
    by_stem = [camera for camera in cameras if Path(camera.name).stem == view]
    if len(by_stem) == 1:
        return by_stem[0]
    if view.isdecimal() and int(view) < len(cameras):
        return cameras[int(view)]
    raise UsageError(
        f"has no view {view}; choose 0 to {len(cameras) - 1} or a name such as {cameras[0].name} for --view"
    )


def _data_options(
    metadata: Mapping[str, str],
    resolution: int | None,
    hold: int | None,
    background: Background | None,
    images: Path | None,
) -> DataOptions:
    """How to read photographs: what was asked, else what training wrote into the file, else the defaults."""
    from gspc.config import DataOptions

    options = DataOptions()
    if resolution is None and metadata.get("resolution", "").isdecimal():
        resolution = int(metadata["resolution"])
    if hold is None and metadata.get("hold", "").isdecimal():
        hold = int(metadata["hold"])
    if background is None and metadata.get("background") in ("white", "black"):
        background = "white" if metadata["background"] == "white" else "black"
    return replace(
        options,
        resolution=resolution,
        hold=options.hold if hold is None else hold,
        background=background or options.background,
        images=images,
    )


def _levels_to_score(source: Source, last: Restored) -> tuple[int, ...]:
    return (last.level,) if source.kind == "scene" else tuple(range(1, last.level + 1))


def _size_at(source: Source, level: int, last: Restored) -> int | None:
    """Bytes on disk at a level; a decoded scene is no longer a stream, so it has none."""
    from gspc.codec import truncate_levels

    if source.kind == "scene":
        return None
    if level == last.levels_in_file and not last.truncated:
        return len(source.data)
    return len(truncate_levels(source.data, level))


def _score(scene: DecodedScene, view: View) -> ViewScore:
    import numpy as np

    from gspc import metrics
    from gspc.rendering import render_view

    image = np.clip(render_view(scene, view.camera), 0.0, 1.0).astype(np.float32)
    target = view.load().astype(np.float32) / np.float32(255.0)
    lpips = metrics.lpips(image, target)
    return ViewScore(
        view.camera.name,
        float(metrics.psnr(image, target)),
        float(metrics.ssim(image, target)),
        None if lpips is None else float(lpips),
    )


def _level_score(level: int, size: int | None, rows: list[ViewScore]) -> LevelScore:
    count = len(rows)
    lpips = [row.lpips for row in rows if row.lpips is not None]
    return LevelScore(
        level,
        size,
        sum(row.psnr for row in rows) / count,
        sum(row.ssim for row in rows) / count,
        sum(lpips) / count if len(lpips) == count else None,
        tuple(rows),
    )
