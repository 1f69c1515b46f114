"""Pictures that the viewer's are compared with, and the Gaussians that it shows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from browser import Page

from gspc.format.container import describe
from gspc.rendering import Renderer
from gspc.scene import Camera, DecodedScene, Gaussians
from gspc.splats.drawing import draw

# Mean, scale, quaternion, color and opacity of all Gaussians, as the viewer's textures hold them.
GAUSSIANS = """(() => {
  const half = (b) => { const e = (b >> 10) & 31, m = b & 1023;
    return (b & 0x8000 ? -1 : 1) * (e === 0 ? m * 2 ** -24 : (1 + m / 1024) * 2 ** (e - 15)); };
  const { splats } = gspcViewer.player;
  const { count } = splats;
  const [means, shapes, colors] = ['means', 'shapes', 'colors'].map((name) => splats.texels(name));
  const shape = new Uint16Array(shapes.buffer, shapes.byteOffset);
  const all = [];
  for (let i = 0; i < count; i++) {
    for (let a = 0; a < 3; a++) all.push(means[4 * i + a]);
    for (let a = 0; a < 7; a++) all.push(half(shape[8 * i + a]));
    for (let a = 0; a < 4; a++) all.push(half(colors[4 * i + a]));
  }
  return all;
})()"""


def level_ends(stream: bytes) -> list[int]:
    """Bytes of the file up to the end of each level."""
    return [level.offset + level.length for level in describe(stream).levels]


def psnr(one: np.ndarray, other: np.ndarray) -> float:
    """In dB, of pictures of uint8."""
    return float(-10 * np.log10(np.mean((one.astype(float) - other.astype(float)) ** 2) / 255**2 + 1e-12))


def as_bytes(picture: np.ndarray) -> np.ndarray:
    """A picture of floats as PNG holds it."""
    return np.clip(np.rint(picture * 255), 0, 255).astype(np.uint8)


def render(scene: DecodedScene, camera: int, size: tuple[int, int] | None = None) -> np.ndarray:
    """What `gspc render` draws from a suggested camera."""
    asked = scene.cameras[camera]
    return as_bytes(Renderer(scene).render(asked if size is None else asked.resized(*size)))


def drawn_by_us(page: Page, camera: Camera, background: Sequence[float]) -> np.ndarray:
    """The viewer's own Gaussians in gspc's rasterizer; the camera is in the scene's own coordinates."""
    rows = np.array(page.js(GAUSSIANS), np.float32).reshape(-1, 14)
    mean, scale, quat, color, opacity = np.split(rows[rows[:, 13] > 0], (3, 6, 10, 13), axis=1)
    parts = (mean, quat, scale, opacity[:, 0], color)
    gaussians = Gaussians(*(np.ascontiguousarray(part) for part in parts))
    return as_bytes(draw(gaussians, camera, background).picture)
