"""Scenes from disk: COLMAP models, Blender transforms, photographs, camera choice; and the demo scene."""

from gspc.data.cameras import load_cameras, suggested_cameras
from gspc.data.load import load_scene

__all__ = ["load_cameras", "load_scene", "suggested_cameras"]
