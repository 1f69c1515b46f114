"""Plain Gaussians: other people's formats in and out, and baking a decoded scene into them."""

from gspc.splats.formats import (
    FORMATS,
    WRITABLE,
    format_of,
    read_folder,
    read_splats,
    recognize,
    write_splats,
)
from gspc.splats.splats import HOME, Splats, checked
from gspc.splats.transform import axes, to_frame, transform
from gspc.splats.view import SplatRenderer, colors, gaussians_for_camera

__all__ = [
    "FORMATS",
    "HOME",
    "WRITABLE",
    "SplatRenderer",
    "Splats",
    "axes",
    "checked",
    "colors",
    "format_of",
    "gaussians_for_camera",
    "read_folder",
    "read_splats",
    "recognize",
    "to_frame",
    "transform",
    "write_splats",
]
