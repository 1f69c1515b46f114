"""Decoded scenes to pictures: the rasterizer interface with its backends, the heads of a decoded scene,
frames.
"""

from gspc.rendering.frames import (
    encode_jpeg,
    encode_png,
    frame_names,
    select_cameras,
    write_frames,
    write_png,
)
from gspc.rendering.rasterizer import Backend, choose_backend, cpu_summary, rasterize
from gspc.rendering.render import Renderer, render_view
from gspc.rendering.scene_file import read_scene, write_scene

__all__ = [
    "Backend",
    "Renderer",
    "choose_backend",
    "cpu_summary",
    "encode_jpeg",
    "encode_png",
    "frame_names",
    "rasterize",
    "read_scene",
    "render_view",
    "select_cameras",
    "write_frames",
    "write_png",
    "write_scene",
]
