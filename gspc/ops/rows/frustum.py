"""The sides of a view, for the definition and the kernel alike."""

from __future__ import annotations

from gspc.scene import Camera


def frustum_slopes(camera: Camera) -> tuple[float, float, float, float]:
    """Of the planes left, right, above and below a view; all positive where its axis is inside."""
    left, right = camera.cx / camera.fx, (camera.width - camera.cx) / camera.fx
    return left, right, camera.cy / camera.fy, (camera.height - camera.cy) / camera.fy
