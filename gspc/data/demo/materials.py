"""Procedural colors of the demo scene, every pattern smooth down to about a pixel so that it can be learned.

A pattern takes points [3, n] in its object's own frame and the face normals there, and returns linear albedo
[3, n] in [0, 1].
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]  # float32 where it matters for speed

Color = tuple[float, float, float]
EDGE = 0.03  # world units over which two colors of a pattern meet: about 2 pixels at 240 pixels width


def mix(a: Floats, b: Floats, weight: Floats) -> Floats:
    """a where weight is 0, b where it is 1."""
    return a + (b - a) * weight


def smooth(value: Floats) -> Floats:
    """Smoothstep of `value` clamped to [0, 1]."""
    value = np.clip(value, 0, 1)
    return value * value * (3 - 2 * value)


def rgb(color: Color) -> Floats:
    """A color as a column [3, 1]."""
    return np.array(color, np.float32)[:, None]


def edge(distance: Floats, width: float = EDGE) -> Floats:
    """0 to 1 across a border at signed `distance` (world units) 0."""
    return smooth(distance / width + 0.5)


def waves(points: Floats, frequency: float, seed: int, count: int = 5) -> Floats:
    """Band-limited noise [n] of about unit size: plane waves of `frequency` radians a unit."""
    generator = np.random.default_rng(seed)
    directions = generator.normal(size=(count, len(points)))
    directions *= (
        frequency
        * generator.uniform(0.6, 1.0, (count, 1))
        / np.linalg.norm(directions, axis=1, keepdims=True)
    )
    phases = generator.uniform(0, 2 * np.pi, count)
    total = np.zeros(points.shape[1], np.float32)
    for direction, phase in zip(directions.astype(np.float32), phases.astype(np.float32), strict=True):
        total += np.sin(direction @ points + phase)
    return total * np.float32(np.sqrt(2 / count))


def repeat(value: Floats, period: float) -> tuple[Floats, Floats]:
    """Cell number and the signed position in it, in [-period / 2, period / 2]."""
    cell = np.floor(value / period)
    return cell, value - (cell + np.float32(0.5)) * period


def shade_of(cell_a: Floats, cell_b: Floats) -> Floats:
    """A random-looking number in [-1, 1] per pair of cell numbers."""
    return np.sin(cell_a * 12.9898 + cell_b * 78.233 + 0.7)


def floor(points: Floats, normals: Floats) -> Floats:
    """Two-tone tiles with grain, grout and an inlaid ring."""
    x, y, _ = points
    cell_x, in_x = repeat(x + 0.06 * y, 0.62)
    cell_y, in_y = repeat(y - 0.06 * x, 0.62)
    odd = (cell_x + cell_y) % 2
    turned = np.where(odd > 0, x, y)
    grain = np.sin(9 * turned + 2.2 * waves(points[:2], 2.5, 1)) * 0.5 + 0.5
    light = mix(rgb((0.80, 0.66, 0.46)), rgb((0.62, 0.45, 0.27)), grain)
    dark = mix(rgb((0.36, 0.17, 0.09)), rgb((0.22, 0.09, 0.05)), grain)
    color = mix(light, dark, odd) * (1 + 0.16 * shade_of(cell_x, cell_y) + 0.10 * waves(points[:2], 14, 2))
    gap = np.maximum(np.abs(in_x), np.abs(in_y)) - 0.29
    color = mix(color, rgb((0.17, 0.12, 0.09)), edge(gap, 0.035))
    radius = np.sqrt(x * x + y * y)
    angle = np.arctan2(y, x)
    ring = edge(0.13 - np.abs(radius - 2.05))
    teeth = edge(0.10 * np.sin(angle * 24), 0.06)
    inlay = mix(rgb((0.05, 0.20, 0.30)), rgb((0.75, 0.62, 0.25)), teeth)
    return mix(color, inlay, ring)


def marble(points: Floats, normals: Floats) -> Floats:
    """White marble with green and gold veins."""
    warp = waves(points, 4, 3) + 0.5 * waves(points, 9, 4)
    vein = 1 - np.abs(np.sin(5.5 * points[0] + 4 * points[2] + 1.5 * warp))
    color = mix(rgb((0.86, 0.84, 0.78)), rgb((0.08, 0.28, 0.22)), smooth(vein * 1.5 - 0.2))
    gold = 1 - np.abs(np.sin(3 * points[1] - 2.5 * points[2] + 1.2 * waves(points, 5, 5)))
    return mix(color, rgb((0.70, 0.42, 0.10)), smooth(gold * 5 - 4))


def ball(points: Floats, normals: Floats) -> Floats:
    """A beach ball: six colored sectors, white caps."""
    palette = np.array(
        [
            (0.80, 0.08, 0.06),
            (0.85, 0.80, 0.72),
            (0.08, 0.25, 0.65),
            (0.88, 0.60, 0.05),
            (0.85, 0.80, 0.72),
            (0.06, 0.48, 0.20),
        ],
        np.float32,
    )
    radius = float(np.sqrt((points**2).sum(0).mean()))
    x, y, z = points / radius
    tilted, z = 0.8 * y + 0.6 * z, 0.8 * z - 0.6 * y
    sector = (np.arctan2(tilted, x) / (2 * np.pi) + 0.5) * 6
    near = np.floor(sector + 0.5)
    across = np.sqrt(np.maximum(x * x + tilted * tilted, 1e-6)) * radius * (2 * np.pi / 6)
    blend = edge((sector - near) * across)
    low, high = palette[(near.astype(int) - 1) % 6].T, palette[near.astype(int) % 6].T
    color = mix(low, high, blend)
    cap = edge((np.abs(z) - 0.93) * radius * 2)
    return mix(color, rgb((0.85, 0.82, 0.76)), cap) * (1 + 0.05 * waves(points, 22, 6))


def dots(points: Floats, normals: Floats) -> Floats:
    """Soft dots at the corners of an icosahedron and its dual."""
    golden = (1 + 5**0.5) / 2
    corners: list[tuple[float, float, float]] = [(0, a, b * golden) for a in (-1, 1) for b in (-1, 1)]
    corners += [(a, b * golden, 0) for a in (-1, 1) for b in (-1, 1)]
    corners += [(b * golden, 0, a) for a in (-1, 1) for b in (-1, 1)]
    duals = [(a, b, c) for a in (-1, 1) for b in (-1, 1) for c in (-1, 1)]
    color = mix(rgb((0.50, 0.05, 0.16)), rgb((0.66, 0.12, 0.12)), smooth(0.5 + 0.3 * waves(points, 9, 7)))
    radius = float(np.sqrt((points**2).sum(0).mean()))
    for group, size, paint in ((corners, 0.30, (0.88, 0.84, 0.70)), (duals, 0.20, (0.10, 0.32, 0.40))):
        axes = np.array(group, np.float32)
        axes /= np.linalg.norm(axes, axis=1, keepdims=True)
        nearest = (axes @ points).max(0) / radius
        angle = np.arccos(np.clip(nearest, -1, 1))
        color = mix(color, rgb(paint), edge((size - angle) * radius))
    return color


def planet(points: Floats, normals: Floats) -> Floats:
    """Blue bands and swirls."""
    height = points[2] * 9 + 0.9 * waves(points, 7, 8)
    tone = np.sin(height * 2.4) * 0.5 + 0.5
    color = mix(rgb((0.10, 0.22, 0.55)), rgb((0.75, 0.78, 0.82)), smooth(tone))
    return mix(color, rgb((0.88, 0.45, 0.18)), smooth(np.sin(height * 1.2 + 1) * 2 - 1.1))


def pearl(points: Floats, normals: Floats) -> Floats:
    """A small sphere: orange spiral on violet."""
    turn = np.arctan2(points[1], points[0]) + 9 * points[2]
    return mix(rgb((0.30, 0.10, 0.45)), rgb((0.92, 0.55, 0.12)), edge(np.sin(2 * turn) * 0.08, 0.06))


def faces(points: Floats, normals: Floats) -> tuple[Floats, Floats]:
    """Coordinates along the box face each point lies on: horizontal, then vertical where it can be."""
    axis = np.abs(normals).argmax(0)
    return np.where(axis == 0, points[1], points[0]), np.where(axis == 2, points[1], points[2])


def crate(points: Floats, normals: Floats) -> Floats:
    """Wooden planks in a frame."""
    u, v = faces(points, normals)
    plank, in_plank = repeat(v + 0.38, 0.19)
    grain = np.sin(26 * in_plank + 2.5 * waves(np.stack([2.2 * u, 6 * v]), 1.6, 9) + 3 * plank) * 0.5 + 0.5
    color = mix(rgb((0.62, 0.40, 0.18)), rgb((0.42, 0.24, 0.10)), grain) * (
        1 + 0.2 * shade_of(plank, plank * 2)
    )
    color = mix(color, rgb((0.12, 0.07, 0.04)), edge(np.abs(in_plank) - 0.085, 0.03))
    frame = edge(np.maximum(np.abs(u), np.abs(v)) - 0.29) + edge(0.05 - np.abs(u - v) * 0.7)
    beam = rgb((0.24, 0.36, 0.38)) * (1 + 0.12 * waves(points, 12, 10))
    return mix(color, beam, np.minimum(frame, 1))


def bricks(points: Floats, normals: Floats) -> Floats:
    """A brick wall with light mortar."""
    u, v = faces(points, normals)
    row, in_row = repeat(v + 0.3, 0.15)
    column, in_column = repeat(u + 0.15 * (row % 2), 0.30)
    gap = np.maximum(np.abs(in_row) - 0.06, np.abs(in_column) - 0.135)
    tint = 1 + 0.28 * shade_of(row, column) + 0.10 * waves(points, 16, 11)
    brick = np.clip(rgb((0.52, 0.17, 0.10)) * tint, 0, 1)
    return mix(brick, rgb((0.62, 0.58, 0.52)), edge(gap, 0.03))


def tower(points: Floats, normals: Floats) -> Floats:
    """Zigzag bands in four colors."""
    u, v = faces(points, normals)
    _, in_u = repeat(u + 0.25, 0.25)
    band, in_band = repeat(v + 0.8 * np.abs(in_u), 0.16)
    palette = np.array(
        [(0.08, 0.10, 0.30), (0.85, 0.75, 0.50), (0.70, 0.22, 0.10), (0.15, 0.45, 0.42)], np.float32
    )
    upper = palette[(band.astype(int) + 1) % 4].T
    return mix(palette[band.astype(int) % 4].T, upper, edge(in_band - 0.08, 2 * EDGE)) * (
        1 + 0.06 * waves(points, 15, 12)
    )
