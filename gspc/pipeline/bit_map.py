"""Where a level's bits go, as a picture (PCGS Fig. 7): the scene voxelized, a ball per voxel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gspc import extras
from gspc.errors import InputError, UsageError
from gspc.format.limits import MAX_MEMORY
from gspc.pipeline.charts import FONT, png
from gspc.pipeline.compressing import as_stream
from gspc.pipeline.decompressing import restore
from gspc.pipeline.source import Source, naming
from gspc.pipeline.views import choose_cameras

if TYPE_CHECKING:
    from gspc.codec.costs import AnchorCosts
    from gspc.scene import Camera, DecodedScene

VOXELS = 44  # along the longest side of the box that holds 96 % of the anchors
PANEL = 460  # pixels of a panel's longer side
SMOOTHING = 2  # panels are drawn this many times larger
NEAR = 3.0  # voxels; balls nearer to the camera would hide the rest
LIGHT = np.array([-0.45, -0.6, 0.66])  # x right, y down, z toward the viewer
GRAY, RED = (0.80, 0.80, 0.82), (0.86, 0.08, 0.10)
OLD_BALL = 0.6  # radius of a ball without new anchors where new ones are red, of its own radius


@dataclass(frozen=True)
class Voxels:
    """Voxels that hold anchors. V voxels, S levels."""

    centers: NDArray[np.float64]  # [V, 3] world space
    edge: float
    anchors: NDArray[np.int64]  # [S, V] alive at each level
    fresh: NDArray[np.int64]  # [S, V] that first appear there
    bits: NDArray[np.float64]  # [S, V] that the level adds


def render_bit_map(
    source: Source, *, view: str | None = None, threads: int = 0, max_memory: int = MAX_MEMORY
) -> bytes:
    """The picture of a stream or model; see `gspc.pipeline.draw_bit_map`."""
    extras.require("matplotlib", "a map of bits")
    from gspc.codec.costs import anchor_costs

    if source.kind == "scene":
        raise UsageError("is a decoded scene and has no bits to map; give its .pcgs", source=source.name)
    source = as_stream(source, threads=threads)
    scene = restore(source, threads=threads, max_memory=max_memory).scene.in_own_coordinates()
    if not scene.cameras:
        raise InputError("suggests no camera to see it from; compress its model again", source=source.name)
    with naming(source.name):
        (camera,) = choose_cameras(scene, view=view or "0")
        costs = anchor_costs(source.data, threads=threads, max_memory=max_memory)
    if not len(costs.positions):
        raise UsageError("has no anchors to draw", source=source.name)
    scale = PANEL / max(camera.width, camera.height)
    small = camera.resized(max(round(camera.width * scale), 1), max(round(camera.height * scale), 1))
    with naming(source.name):
        drawn = _rendered(scene, small, max_memory)
    return _figure(voxelize(costs), costs, small, drawn)


def _rendered(scene: DecodedScene, camera: Camera, max_memory: int) -> NDArray[np.uint8]:
    """The scene itself, seen as the panels are: what lies where the bits go."""
    from gspc.rendering import render_view
    from gspc.rendering.frames import to_uint8

    return to_uint8(render_view(scene, camera, max_memory=max_memory))


def voxelize(costs: AnchorCosts, voxels: int = VOXELS) -> Voxels:
    """Anchors and bits by voxel, `voxels` of them along the longest side of the box of most anchors."""
    world = costs.world
    low, high = np.percentile(world, (2, 98), axis=0)
    edge = max(float((high - low).max()) / voxels, costs.voxel_size)
    cells = np.floor((world - low) / edge).astype(np.int64)
    unique, of = np.unique(cells, axis=0, return_inverse=True)
    of = of.reshape(-1)
    levels = np.arange(1, len(costs.bits) + 1)[:, None]
    fresh = costs.first_level[None] == levels  # [S, N]

    def by_voxel(values: NDArray[Any]) -> NDArray[np.float64]:
        return np.stack([np.bincount(of, weights=row, minlength=len(unique)) for row in values])

    counts = by_voxel(fresh).astype(np.int64)
    return Voxels(
        low + (unique + 0.5) * edge,
        edge,
        counts.cumsum(axis=0),
        counts,
        by_voxel(costs.bits.sum(axis=2, dtype=np.float64)),
    )


def draw_balls(
    camera: Camera,
    centers: NDArray[np.float64],
    radii: NDArray[np.float64],
    colors: NDArray[np.float64],
    near: float,
) -> NDArray[np.uint8]:
    """Shaded balls [V] on white, at the camera's size: [H, W, 3]. Those with depth below `near` are left
    out."""
    big = camera.resized(camera.width * SMOOTHING, camera.height * SMOOTHING)
    image = np.ones((big.height, big.width, 3), dtype=np.float32)
    seen = centers @ big.world_to_camera[:3, :3].T + big.world_to_camera[:3, 3]
    for i in np.argsort(-seen[:, 2], kind="stable"):
        x, y, z = seen[i]
        if z < near or radii[i] <= 0:
            continue
        r = max(big.fx * radii[i] / z, 0.75)
        _ball(image, big.fx * x / z + big.cx, big.fy * y / z + big.cy, r, colors[i])
    shape = (camera.height, SMOOTHING, camera.width, SMOOTHING, 3)
    return np.rint(255 * image.reshape(shape).mean(axis=(1, 3))).astype(np.uint8)


def _ball(image: NDArray[np.float32], x: float, y: float, r: float, color: NDArray[np.float64]) -> None:
    height, width, _ = image.shape
    left, right = max(int(x - r), 0), min(int(x + r) + 2, width)
    top, bottom = max(int(y - r), 0), min(int(y + r) + 2, height)
    if left >= right or top >= bottom:
        return
    dx = (np.arange(left, right) + 0.5 - x) / r
    dy = ((np.arange(top, bottom) + 0.5 - y) / r)[:, None]
    rest = 1 - dx * dx - dy * dy
    inside = rest > 0
    light = LIGHT[0] * dx + LIGHT[1] * dy + LIGHT[2] * np.sqrt(np.maximum(rest, 0))
    shade = np.clip(0.45 + 0.6 * np.maximum(light, 0), 0, 1)[inside]
    image[top:bottom, left:right][inside] = shade[:, None] * color


def ball_radii(voxels: Voxels, anchors: NDArray[np.int64]) -> NDArray[np.float64]:
    """A ball's volume grows with the anchors in its voxel, up to the largest that fits."""
    most = full_voxel(voxels)
    share = np.clip(anchors / most, 0, 1) ** (1 / 3)
    return np.where(anchors > 0, 0.5 * voxels.edge * np.maximum(share, 0.3), 0)


def full_voxel(voxels: Voxels) -> float:
    """Anchors of a voxel whose ball is as large as fits."""
    last = voxels.anchors[-1]
    return max(float(np.percentile(last[last > 0], 98)), 1.0)


def _figure(voxels: Voxels, costs: AnchorCosts, camera: Camera, rendered: NDArray[np.uint8]) -> bytes:
    from matplotlib import colormaps, rc_context
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LogNorm
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    levels = len(voxels.bits)
    spent = voxels.bits[voxels.bits > 0]
    low, high = np.percentile(spent, (2, 99.5)) if len(spent) else (1.0, 2.0)
    norm = LogNorm(max(low, 1.0), max(high, 2 * low, 2.0), clip=True)
    palette = colormaps["turbo"]
    near = NEAR * voxels.edge
    width, height = camera.width / 100, camera.height / 100
    with rc_context(FONT):
        size = ((levels + 1) * (width + 0.1) + 0.9, 2 * (height + 0.45))
        figure = Figure(figsize=size, layout="constrained")
        grid = figure.subplots(2, levels + 1, squeeze=False)
        _panel(grid[0][0], rendered, f"the scene, level {levels}")
        _legend(grid[1][0], voxels, len(costs.positions))
        for level in range(levels):
            bits = voxels.bits[level]
            colors = palette(norm(np.maximum(bits, 1)))[:, :3]
            upper = draw_balls(
                camera, voxels.centers, ball_radii(voxels, voxels.anchors[level]), colors, near
            )
            title = f"level {level + 1}: {bits.sum() / 8000:,.0f} kB, {voxels.anchors[level].sum():,} anchors"
            _panel(grid[0][level + 1], upper, title)
            lower = _fresh_panel(voxels, level, camera, near)
            _panel(grid[1][level + 1], lower, f"{voxels.fresh[level].sum():,} new anchors")
        bar = figure.colorbar(
            ScalarMappable(norm, palette),
            ax=list(grid[0]),
            pad=0.01,
            shrink=0.9,
            ticks=LogLocator(subs=(1, 2, 5)),
            format=FuncFormatter(lambda bits, _: f"{bits:,.0f}"),
        )
        bar.ax.yaxis.set_minor_locator(NullLocator())
        bar.set_label("bits that the level adds in a voxel")
        return png(figure)


def _fresh_panel(voxels: Voxels, level: int, camera: Camera, near: float) -> NDArray[np.uint8]:
    fresh = voxels.fresh[level]
    old = OLD_BALL * ball_radii(voxels, voxels.anchors[level])
    radii = np.where(fresh > 0, np.maximum(ball_radii(voxels, fresh), old), old)
    colors = np.where((fresh > 0)[:, None], RED, GRAY)
    return draw_balls(camera, voxels.centers, radii, colors, near)


def _panel(axes: Any, image: NDArray[np.uint8], title: str) -> None:
    axes.imshow(image, interpolation="antialiased")
    axes.set_title(title, fontsize=10)
    _bare(axes)


def _legend(axes: Any, voxels: Voxels, anchors: int) -> None:
    text = (
        f"{anchors:,} anchors in {len(voxels.centers):,} voxels\nof {voxels.edge:.3g} world units\n\n"
        "above: a ball's volume shows\nhow many anchors are in its voxel\n"
        f"(largest: {full_voxel(voxels):,.0f} or more), its color\n"
        "the bits of the symbols that the\nlevel adds (kB: all of them)\n\n"
        "right: voxels with newly decoded\nanchors in red"
    )
    axes.text(0.5, 0.5, text, ha="center", va="center", transform=axes.transAxes, fontsize=9)
    _bare(axes)
    axes.set_frame_on(False)


def _bare(axes: Any) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_color("#cccccc")
