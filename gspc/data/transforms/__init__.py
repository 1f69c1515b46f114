"""Blender-style transforms: camera-to-world matrices with OpenGL axes (x right, y up, z backward) in JSON.

Known as the Synthetic-NeRF layout (transforms_train.json, transforms_test.json with camera_angle_x) and as
instant-ngp's and nerfstudio's (one transforms.json with fl_x, fl_y, cx, cy, w, h, for all or per frame).
"""

from gspc.data.transforms.frames import read_shots
from gspc.data.transforms.points import read_points

__all__ = ["read_points", "read_shots"]
