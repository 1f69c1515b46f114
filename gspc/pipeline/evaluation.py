"""Scenes against their photographs, or against the splat that they were made from."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from gspc.errors import InputError
from gspc.format.limits import MAX_MEMORY
from gspc.pipeline.breakdown import breakdown_of
from gspc.pipeline.comparison import Levels
from gspc.pipeline.compressing import as_stream
from gspc.pipeline.decompressing import Restored, restore
from gspc.pipeline.heldout import TrainingSplit
from gspc.pipeline.photographs import Reading, Wanted, as_trained
from gspc.pipeline.source import Given, Source, naming, source_of
from gspc.pipeline.stream_facts import made_with
from gspc.pipeline.teaching import load_views

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from gspc.config import DataOptions
    from gspc.pipeline.agreement import Agreement
    from gspc.pipeline.report import Album
    from gspc.rendering import Renderer
    from gspc.scene import F32, U8, Camera, DecodedScene, Note, SceneData, View

Report = Callable[[str], None]


@dataclass(frozen=True)
class ViewScore:
    """PSNR in dB, SSIM, LPIPS (None where its network is not at hand) of one view of `size` (width,
    height)."""

    view: str
    psnr: float
    ssim: float
    lpips: float | None
    size: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class LevelBytes:
    """What the bytes of a file are spent on that stops after a level. Both sum to the file's size or less.

    `components`: as the container has them (grid, networks, heads, positions, masks, symbols, ...).
    `attributes`: symbols, with escapes, of features, scaling and offsets; `pool` is the grid of a feature
    pool that shares it with nobody.
    """

    components: Mapping[str, int]
    attributes: Mapping[str, int]


@dataclass(frozen=True)
class LevelScore:
    """Means over the views at one level. `size`: bytes on disk of the file that stops after this level, and
    `bytes` what they are spent on; None for a decoded scene."""

    level: int
    size: int | None
    psnr: float
    ssim: float
    lpips: float | None
    views: tuple[ViewScore, ...]
    bytes: LevelBytes | None = None


@dataclass(frozen=True)
class Evaluation:
    """Scores per level; `held_out` is False when views that were trained on are among those scored.
    `made_with`: preset and switches of the fit, empty where the scene does not say. `notes`: what was found
    in the photographs' folder.

    >>> import gspc
    >>> result = gspc.evaluate("scene.pcgs", "photos")
    >>> [score.level for score in result.levels], result.held_out
    ([1, 2], True)
    """

    source: str
    data: str
    held_out: bool
    lpips_status: str
    warnings: tuple[str, ...]
    levels: tuple[LevelScore, ...]
    made_with: str = ""
    notes: tuple[Note, ...] = ()


def evaluate(
    source: Given,
    directory: str | os.PathLike[str],
    *,
    levels: Levels = None,
    device: str = "cpu",
    threads: int = 0,
    max_memory: int = MAX_MEMORY,
    report: Report = lambda text: None,
    all_views: bool = False,
    album: Album | None = None,
    **reading: Unpack[Reading],
) -> Evaluation:
    """Compares the scene, level by level, with the held-out photographs of `directory`, or where that is a
    splat, with pictures of it from the cameras held out.

    `levels` picks some, or "last". `report` hears in words what is being done. `all_views` scores those that
    were trained on, too. `album` collects pictures for a report. `reading` are fields of Wanted: how the
    photographs are read. Which views were held out is asked of the file, by their names. A model is exported,
    encoded and decoded first, so its scores and sizes are those of its stream. Raises UsageError, InputError,
    BitstreamError, BackendError.

    >>> import gspc
    >>> result = gspc.evaluate("scene.pcgs", "photos", levels=(2,))
    >>> (score,) = result.levels
    >>> score.level, score.size == len(open("scene.pcgs", "rb").read()), score.psnr > 5
    (2, True, True)
    """
    from gspc.metrics import lpips_status
    from gspc.pipeline.agreement import agreement, doubts
    from gspc.rendering import Renderer

    wanted = Wanted(**reading)
    source, directory = source_of(source), Path(directory)
    if source.kind == "model":
        report("encoding the model")
        source = as_stream(source, threads=threads)
    # Fails early, and knows the options of training.
    first = restore(source, threads=threads, max_memory=max_memory)
    scored = (first.level,) if levels == "last" else levels or _levels_to_score(source, first)
    if max(scored) > first.level:
        # Says that this level is not there.
        restore(source, upto=max(scored), threads=threads, max_memory=max_memory)
    options = as_trained(first.scene.metadata, wanted)
    data = load_views(directory, options, device=device, to_train=False, report=report)
    views, held_out, remarks = _views_to_score(
        directory, data, options, wanted, first.scene, all_views=all_views
    )
    behind: dict[str, Any] = {} if wanted.background is None else {"background": data.background}
    scores = []
    found: list[Agreement] = []
    for level in scored:
        restored = first
        if level != first.level:
            restored = restore(source, upto=level, threads=threads, max_memory=max_memory)
        with naming(source.name, InputError):
            renderer = Renderer(replace(restored.scene, **behind), device, max_memory=max_memory)
        rows, found = [], []
        for index, view in enumerate(views):
            report(f"level {level}: view {index + 1} of {len(views)}")
            image, target = _drawn(renderer, view.camera, source), view.load()
            mask = None if view.mask is None else view.mask()
            if album is not None:
                album.add(level, index, len(views), view.camera, image, target, mask)
            rows.append(_score(view.camera, image, target, mask))
            found.append(agreement(image, target, mask))
        prefix = _prefix(source, level, first)
        score = _level_score(level, None if prefix is None else len(prefix), rows)
        scores.append(replace(score, bytes=None if prefix is None else _spent(prefix, threads, max_memory)))
    return Evaluation(
        source=source.name,
        data=str(directory),
        held_out=held_out,
        lpips_status=lpips_status(),
        warnings=(*first.warnings, *filter(None, (doubts(found),))),
        levels=tuple(scores),
        made_with=made_with(first.scene.metadata),
        notes=(*data.notes, *remarks),
    )


def _drawn(renderer: Renderer, camera: Camera, source: Source) -> F32:  # [H, W, 3]
    with naming(source.name, InputError):
        return renderer.render(camera)


def _views_to_score(
    directory: Path,
    data: SceneData,
    options: DataOptions,
    wanted: Wanted,
    scene: DecodedScene,
    *,
    all_views: bool = False,
) -> tuple[tuple[View, ...], bool, list[Note]]:
    """The views to score, whether training saw none of them, and what to say about that."""
    from gspc.scene import Note

    split = TrainingSplit.read(scene.metadata.get("held_out", ""), (camera.name for camera in scene.cameras))
    views = data.views if all_views else data.test or data.train
    if split is None:
        held = not all_views and _held_out(directory, data, options, scene.metadata)
        return views, held, []
    names = [view.camera.name for view in data.views]
    standing = dict(zip(names, split.standing(names), strict=True))
    remarks = []
    if not all_views and wanted.hold is None:
        kept = tuple(view for view in data.views if standing[view.camera.name] == "held out")
        if kept:
            views = kept
        elif "trained" in standing.values():
            views = data.views
            text = f"{directory}: none of its {len(views)} views was held out; all were trained on"
            remarks.append(Note(text, warning=True))
        else:
            text = f"{directory}: the scene does not know these views by name; they count as held out"
            remarks.append(Note(text, warning=True))
    trained = sum(standing[view.camera.name] == "trained" for view in views)
    if trained and trained < len(views):
        remarks.append(Note(f"{directory}: {trained} of {len(views)} views were trained on"))
    return views, not trained, remarks


def _held_out(directory: Path, data: SceneData, options: DataOptions, metadata: Mapping[str, str]) -> bool:
    """Of files that do not name the views held out: whether training, by its --hold, saw none of the test
    views."""
    trained = as_trained(metadata).hold
    if not data.test or trained == options.hold:
        return bool(data.test)
    kept = load_views(directory, replace(options, hold=trained), to_train=False).test
    return {view.camera.name for view in data.test} <= {view.camera.name for view in kept}


def _levels_to_score(source: Source, last: Restored) -> tuple[int, ...]:
    return (last.level,) if source.kind == "scene" else tuple(range(1, last.level + 1))


def _prefix(source: Source, level: int, last: Restored) -> bytes | None:
    """The file that stops after a level; a decoded scene is no longer a stream, so it has none."""
    from gspc.codec import truncate_levels

    if source.kind == "scene":
        return None
    if level == last.levels_in_file and not last.truncated:
        return source.data
    return truncate_levels(source.data, level)


def _spent(data: bytes, threads: int, max_memory: int) -> LevelBytes:
    from gspc.codec import decode_symbols
    from gspc.format import COMPONENTS, describe

    stream = describe(data)
    sizes = {name: stream.component(name) for name in COMPONENTS}
    levels = breakdown_of(data, stream, decode_symbols(data, threads=threads, max_memory=max_memory))
    attributes: dict[str, int] = {}
    for row in levels.levels:
        for part in row.parts:
            if part.how:
                attributes[part.name] = attributes.get(part.name, 0) + part.size
    if levels.residual:
        attributes["pool"] = levels.features[-1].pool_grid
    return LevelBytes({name: size for name, size in sizes.items() if size}, attributes)


def _score(camera: Camera, image: F32, target: U8, mask: NDArray[np.bool_] | None) -> ViewScore:
    """Scores over the pixels that count: masked ones are given the photograph's values, and taken out of
    means. image: [H, W, 3] in [0, 1], target: [H, W, 3], mask: [H, W]."""
    import numpy as np

    from gspc import metrics

    share = 1.0
    if mask is not None:
        share = max(float(mask.mean()), 1.0 / mask.size)
        image = np.where(mask[:, :, None], image, target.astype(np.float32) / 255)
    return ViewScore(
        camera.name,
        metrics.psnr(image, target) + 10 * math.log10(share),
        1 - (1 - metrics.ssim(image, target)) / share,
        metrics.lpips(image, target),
        (camera.width, camera.height),
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
