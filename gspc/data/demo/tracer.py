"""A small ray tracer over numpy: a floor, spheres and upright boxes, one soft light, ambient occlusion.

World axes: x and y on the floor, z up. Rays are columns: arrays [3, n], float32.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gspc.data.demo import materials
from gspc.data.demo.materials import Floats, rgb, smooth
from gspc.scene import Camera

Pattern = Callable[[Floats, Floats], Floats]
NONE, FLOOR = -1, 0  # ids of what a ray hits; objects follow from 1

LIGHT = np.array([1.7, -2.3, 4.6], np.float32)
LIGHT_SIZE = 0.55  # radius: widens the penumbra
LIGHT_COLOR = (2.05, 1.90, 1.65)
SKY_COLOR = (0.42, 0.47, 0.56)  # light from above
BOUNCE_COLOR = (0.20, 0.15, 0.11)  # light from the floor
FADE = (2.5, 4.3)  # distances from the middle between which the light on the floor fades to nothing


@dataclass(frozen=True)
class Sphere:
    """A ball."""

    center: tuple[float, float, float]
    radius: float
    pattern: Pattern
    gloss: float  # strength of the highlight


@dataclass(frozen=True)
class Box:
    """A box turned about the vertical axis."""

    center: tuple[float, float, float]
    half: tuple[float, float, float]
    yaw: float  # radians
    pattern: Pattern
    gloss: float


Shape = Sphere | Box

WORLD: tuple[Shape, ...] = (
    Sphere((-0.70, 0.50, 0.75), 0.75, materials.marble, 0.22),
    Sphere((0.98, 0.72, 0.50), 0.50, materials.ball, 0.15),
    Sphere((0.48, -0.82, 0.42), 0.42, materials.dots, 0.18),
    Sphere((-0.28, -1.12, 0.28), 0.28, materials.planet, 0.12),
    Sphere((-1.22, -0.68, 0.98), 0.22, materials.pearl, 0.20),
    Box((-1.22, -0.68, 0.38), (0.38, 0.38, 0.38), 0.5, materials.crate, 0.04),
    Box((0.18, 1.52, 0.30), (0.55, 0.22, 0.30), 0.2, materials.bricks, 0.03),
    Box((1.48, -0.32, 0.55), (0.25, 0.25, 0.55), 0.7, materials.tower, 0.06),
)


def to_box(box: Box, vectors: Floats) -> Floats:
    """Directions [3, n] in the box's own frame."""
    c, s = np.float32(np.cos(box.yaw)), np.float32(np.sin(box.yaw))
    x, y, z = vectors
    return np.stack([c * x + s * y, c * y - s * x, z])


def from_box(box: Box, vectors: Floats) -> Floats:
    """Directions [3, n] of the box's frame in the world."""
    c, s = np.float32(np.cos(box.yaw)), np.float32(np.sin(box.yaw))
    x, y, z = vectors
    return np.stack([c * x - s * y, s * x + c * y, z])


def slabs(box: Box, origins: Floats, directions: Floats) -> tuple[Floats, Floats]:
    """Where rays enter and leave the box's slabs; they miss it where the first is larger."""
    start = to_box(box, origins - rgb(box.center))
    along = to_box(box, directions)
    along = np.where(np.abs(along) < 1e-7, np.float32(1e-7), along)
    reach = rgb(box.half)
    a, b = (-reach - start) / along, (reach - start) / along
    return np.minimum(a, b).max(0), np.maximum(a, b).min(0)


def trace(origin: Floats, directions: Floats) -> tuple[Floats, NDArray[np.int8]]:
    """Distance [n] along unit rays from one `origin` [3] (infinite for none) and id [n] of the first hit."""
    count = directions.shape[1]
    down = directions[2]
    nearest = np.where(down < -1e-4, -origin[2] / np.minimum(down, -1e-4), np.inf).astype(np.float32)
    hit = np.where(np.isfinite(nearest), FLOOR, NONE).astype(np.int8)
    origins = np.repeat(origin[:, None], count, axis=1)
    for number, shape in enumerate(WORLD, start=1):
        if isinstance(shape, Sphere):
            offset = origin - np.array(shape.center, np.float32)
            b = offset @ directions
            h = b * b - (offset @ offset - np.float32(shape.radius) ** 2)
            distance = np.where(h > 0, -b - np.sqrt(np.maximum(h, 0)), np.inf)
        else:
            enter, leave = slabs(shape, origins, directions)
            distance = np.where(enter < leave, enter, np.inf)
        closer = (distance > 1e-3) & (distance < nearest)
        nearest = np.where(closer, distance, nearest)
        hit[closer] = number
    outside = hit == FLOOR
    outside[outside] = ((origin[:2, None] + directions[:2, outside] * nearest[outside]) ** 2).sum(0) > FADE[
        1
    ] ** 2
    nearest[outside], hit[outside] = np.inf, NONE
    return nearest, hit


def surface(points: Floats, hit: NDArray[np.int8]) -> tuple[Floats, Floats, Floats]:
    """Unit normals [3, n], albedo [3, n] and gloss [n] at `points` on the surfaces `hit`."""
    normals = np.zeros_like(points)
    albedo = np.zeros_like(points)
    gloss = np.full(points.shape[1], 0.05, np.float32)
    on_floor = np.flatnonzero(hit == FLOOR)
    normals[2, on_floor] = 1
    albedo[:, on_floor] = materials.floor(points[:, on_floor], normals[:, on_floor])
    for number, shape in enumerate(WORLD, start=1):
        here = np.flatnonzero(hit == number)
        if not len(here):
            continue
        local: Floats = points[:, here] - rgb(shape.center)
        if isinstance(shape, Sphere):
            facing = local / np.float32(shape.radius)
            normals[:, here] = facing
        else:
            local = to_box(shape, local)
            depth = np.abs(local) - rgb(shape.half)
            facing = np.where(depth == depth.max(0), np.sign(local), 0).astype(np.float32)
            facing /= np.sqrt((facing**2).sum(0))
            normals[:, here] = from_box(shape, facing)
        albedo[:, here] = np.clip(shape.pattern(local, facing), 0, 1)
        gloss[here] = shape.gloss
    return normals, albedo, gloss


def light_seen(points: Floats, hit: NDArray[np.int8], toward: Floats) -> Floats:
    """How much of the light each point sees, in [0, 1]: closed forms with soft borders (after I. Quilez)."""
    seen = np.ones(points.shape[1], np.float32)
    for number, shape in enumerate(WORLD, start=1):
        if isinstance(shape, Sphere):
            offset = points - rgb(shape.center)
            b = (offset * toward).sum(0)
            h = (
                np.float32(shape.radius) ** 2 - (offset**2).sum(0) + b * b
            )  # > 0: the ray's line cuts the ball
            margin = np.sqrt(np.maximum(np.float32(shape.radius) ** 2 - h, 0)) - np.float32(shape.radius)
            ahead = -b
            border = margin / (np.maximum(ahead, 1e-3) * np.float32(LIGHT_SIZE / 4.5))
        else:
            enter, leave = slabs(shape, points, toward)
            ahead = leave
            border = (enter - leave) / (0.05 + 0.12 * np.maximum(enter, 0))
        blocked = (ahead > 0) & (hit != number)  # convex: nothing shadows itself but by facing away
        seen *= np.where(blocked, smooth(0.5 + 0.5 * border), 1)
    return seen


def openness(points: Floats, normals: Floats, hit: NDArray[np.int8]) -> Floats:
    """Ambient occlusion [n]: balls (and boxes as balls) above a point's horizon, and the floor below it."""
    open_ = np.ones(points.shape[1], np.float32)
    for number, shape in enumerate(WORLD, start=1):
        radius = shape.radius if isinstance(shape, Sphere) else float(np.mean(shape.half))
        offset = rgb(shape.center) - points
        square = np.maximum((offset**2).sum(0), np.float32(radius**2))
        facing = (offset * normals).sum(0) / np.sqrt(square)
        cover = np.maximum(facing, 0) * np.float32(radius**2) / square
        open_ *= np.where(hit == number, 1, 1 - 0.8 * cover)
    near_floor = np.exp(-3 * np.maximum(points[2], 0)) * (1 - normals[2]) * 0.5
    return open_ * np.where(hit == FLOOR, 1, 1 - 0.5 * near_floor)


def shade(origin: Floats, directions: Floats, distance: Floats, hit: NDArray[np.int8]) -> Floats:
    """sRGB-encoded colors [3, n] in [0, 1] of hit rays."""
    points = origin[:, None] + directions * distance
    normals, albedo, gloss = surface(points, hit)
    toward = LIGHT[:, None] - points
    toward /= np.sqrt((toward**2).sum(0))
    facing = np.maximum((normals * toward).sum(0), 0)
    seen = light_seen(points, hit, toward)
    ambient = rgb(BOUNCE_COLOR) + (rgb(SKY_COLOR) - rgb(BOUNCE_COLOR)) * (0.5 + 0.5 * normals[2])
    light = ambient * openness(points, normals, hit) + rgb(LIGHT_COLOR) * (facing * seen)
    half = toward - directions
    half /= np.sqrt((half**2).sum(0))
    shine = gloss * seen * (facing > 0) * np.maximum((normals * half).sum(0), 0) ** 24
    radius = np.sqrt(points[0] ** 2 + points[1] ** 2)
    fade = 1 - smooth((radius - FADE[0]) / (FADE[1] - FADE[0]))
    linear = (albedo * light * np.float32(0.5) + shine * rgb(LIGHT_COLOR)) * fade
    return np.clip(linear, 0, 1) ** np.float32(1 / 2.2)


def rays(camera: Camera, samples: int) -> Floats:
    """Unit directions [3, H * samples * W * samples] through the centers of sub-pixels, row by row."""
    x = (np.arange(camera.width * samples) + 0.5) / samples
    y = (np.arange(camera.height * samples) + 0.5) / samples
    grid_x, grid_y = np.meshgrid((x - camera.cx) / camera.fx, (y - camera.cy) / camera.fy)
    local = np.stack([grid_x.ravel(), grid_y.ravel(), np.ones(grid_x.size)])
    local /= np.linalg.norm(local, axis=0)
    return (camera.world_to_camera[:3, :3].T @ local).astype(np.float32)


def render(camera: Camera, samples: int = 2) -> NDArray[np.uint8]:
    """The picture [H, W, 3], each pixel the mean of samples x samples rays; black where nothing is."""
    origin = camera.center.astype(np.float32)
    directions = rays(camera, samples)
    distance, hit = trace(origin, directions)
    found = np.flatnonzero(hit != NONE)
    colors = np.zeros_like(directions)
    colors[:, found] = shade(origin, directions[:, found], distance[found], hit[found])
    image = colors.reshape(3, camera.height, samples, camera.width, samples).mean((2, 4))
    return np.rint(image.transpose(1, 2, 0) * 255).astype(np.uint8)


def depth(camera: Camera) -> Floats:
    """Distance along the camera's z axis [H, W] through each pixel's center; infinite where nothing is."""
    directions = rays(camera, 1)
    distance, _ = trace(camera.center.astype(np.float32), directions)
    forward = camera.world_to_camera[2, :3].astype(np.float32) @ directions
    return (distance * forward).reshape(camera.height, camera.width)
