"""Plain Gaussians: other people's formats in and out, and baking a decoded scene into them."""

from gspc.splats.baking import bake, spread
from gspc.splats.cameras import orbit
from gspc.splats.formats import (
    FORMATS,
    WRITABLE,
    format_of,
    read_splats,
    recognize,
    write_splats,
)
from gspc.splats.refining import refine
from gspc.splats.sog import bundle, is_folder, unbundle
from gspc.splats.splats import HOME, Splats, checked, joined
from gspc.splats.transform import axes, to_frame, transform
from gspc.splats.view import SplatRenderer, colors, gaussians_for_camera

__all__ = [
    "FORMATS",
    "HOME",
    "WRITABLE",
    "SplatRenderer",
    "Splats",
    "axes",
    "bake",
    "bundle",
    "checked",
    "colors",
    "format_of",
    "gaussians_for_camera",
    "is_folder",
    "joined",
    "orbit",
    "read_splats",
    "recognize",
    "refine",
    "spread",
    "to_frame",
    "transform",
    "unbundle",
    "write_splats",
]
