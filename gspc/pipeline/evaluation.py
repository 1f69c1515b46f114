"""Scenes against their photographs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gspc.pipeline.breakdown import breakdown_of
from gspc.pipeline.coding import Restored, as_stream, restore
from gspc.pipeline.comparison import Levels
from gspc.pipeline.photographs import as_trained
from gspc.pipeline.source import Source
from gspc.switches import made_with

if TYPE_CHECKING:
    from gspc.config import Background, DataOptions
    from gspc.rendering import Renderer
    from gspc.scene import SceneData, View

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
    `made_with`: preset and switches of the fit, empty where the scene does not say."""

    source: str
    data: str
    held_out: bool
    lpips_status: str
    warnings: tuple[str, ...]
    levels: tuple[LevelScore, ...]
    made_with: str = ""


def evaluate(
    source: Source,
    directory: Path,
    *,
    resolution: int | None = None,
    hold: int | None = None,
    background: Background | None = None,
    images: Path | None = None,
    levels: Levels = None,
    device: str = "cpu",
    threads: int = 0,
    report: Report = lambda text: None,
) -> Evaluation:
    """Compares the scene, level by level, with the held-out photographs of `directory`.

    Options that are None come from what training wrote into the file. A model is exported, encoded and
    decoded first, so its scores and sizes are those of its stream.
    """
    from gspc.data import load_scene
    from gspc.metrics import lpips_status
    from gspc.rendering import Renderer

    if source.kind == "model":
        report("encoding the model")
        source = as_stream(source, threads=threads)
    first = restore(source, threads=threads)  # fails early, and knows the options of training
    wanted = (first.level,) if levels == "last" else levels or _levels_to_score(source, first)
    options = as_trained(
        first.scene.metadata, resolution=resolution, hold=hold, background=background, images=images
    )
    data = load_scene(directory, options, to_train=False)
    views = data.test or data.train
    behind: dict[str, Any] = {} if background is None else {"background": data.background}
    scores = []
    for level in wanted:
        restored = first if level == first.level else restore(source, upto=level, threads=threads)
        renderer = Renderer(replace(restored.scene, **behind), device)
        rows = []
        for index, view in enumerate(views):
            report(f"level {level}: view {index + 1} of {len(views)}")
            rows.append(_score(renderer, view))
        prefix = _prefix(source, level, first)
        score = _level_score(level, None if prefix is None else len(prefix), rows)
        scores.append(replace(score, bytes=None if prefix is None else _spent(prefix, threads)))
    return Evaluation(
        source=source.name,
        data=str(directory),
        held_out=_held_out(directory, data, options, first.scene.metadata),
        lpips_status=lpips_status(),
        warnings=first.warnings,
        levels=tuple(scores),
        made_with=made_with(first.scene.metadata),
    )


def _held_out(directory: Path, data: SceneData, options: DataOptions, metadata: Mapping[str, str]) -> bool:
    """Whether training saw none of the test views: it may have held out others than are asked for now."""
    from gspc.data import load_scene

    trained = as_trained(metadata).hold
    if not data.test or trained == options.hold:
        return bool(data.test)
    kept = load_scene(directory, replace(options, hold=trained), to_train=False).test
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


def _spent(data: bytes, threads: int) -> LevelBytes:
    from gspc.codec import decode_symbols
    from gspc.format import COMPONENTS, describe

    stream = describe(data)
    sizes = {name: stream.component(name) for name in COMPONENTS}
    levels = breakdown_of(data, stream, decode_symbols(data, threads=threads))
    attributes: dict[str, int] = {}
    for row in levels.levels:
        for part in row.parts:
            if part.how:
                attributes[part.name] = attributes.get(part.name, 0) + part.size
    if levels.residual:
        attributes["pool"] = levels.features[-1].pool_grid
    return LevelBytes({name: size for name, size in sizes.items() if size}, attributes)


def _score(renderer: Renderer, view: View) -> ViewScore:
    from gspc import metrics

    image, target = renderer.render(view.camera), view.load()
    return ViewScore(
        view.camera.name,
        metrics.psnr(image, target),
        metrics.ssim(image, target),
        metrics.lpips(image, target),
        (view.camera.width, view.camera.height),
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
