"""Scenes from disk: COLMAP models, transforms, photographs, masks, camera choice; and the demo scene."""

from gspc.data.cameras import load_cameras, read_cameras, suggested_cameras
from gspc.data.load import load_scene, understand
from gspc.data.report import SceneReport, TeacherReport

__all__ = [
    "SceneReport",
    "TeacherReport",
    "load_cameras",
    "load_scene",
    "read_cameras",
    "suggested_cameras",
    "understand",
]
