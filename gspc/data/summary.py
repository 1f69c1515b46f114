"""The report of a loaded scene, for `gspc fit --dry-run`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from gspc.data.report import CameraReport, FrameReport, Notes, SceneReport
from gspc.data.views import Used
from gspc.scene import Camera, SceneData


def report_of(
    scene: SceneData,
    kind: str,
    source: Path,
    home: Path,
    used: Sequence[Used],
    points_from: str,
    notes: Notes,
) -> SceneReport:
    """What was understood of a scene that was read from `source` with the photographs in `home`."""
    return SceneReport(
        scene=scene.name,
        kind=kind,
        model=str(source),
        photographs=str(home),
        cameras=_cameras(used),
        train=tuple(view.camera.name for view in scene.train),
        test=tuple(view.camera.name for view in scene.test),
        masks=sum(view.mask is not None for view in scene.views),
        points=len(scene.points),
        points_from=points_from,
        background="white" if min(scene.background) > 0.5 else "black",
        frame=frame_of([view.camera for view in scene.views]),
        left_out=tuple(notes.left_out),
        notes=tuple(notes.lines),
    )


def _cameras(used: Sequence[Used]) -> tuple[CameraReport, ...]:
    """The kinds of cameras, the most used first."""
    kinds = Counter(
        (
            one.lens.model,
            one.lens.width,
            one.lens.height,
            one.camera.width,
            one.camera.height,
            one.lens.straight,
        )
        for one in used
    )
    return tuple(
        CameraReport(model, width, height, count, used_width, used_height, not straight)
        for (model, width, height, used_width, used_height, straight), count in kinds.most_common()
    )


def frame_of(cameras: Sequence[Camera]) -> FrameReport:
    """Where cameras stand."""
    centers = np.array([camera.center for camera in cameras])
    middle = centers.mean(0)
    up = -np.array([camera.world_to_camera[1, :3] for camera in cameras]).mean(0)
    up = up / (np.linalg.norm(up) or 1.0)
    radius = float(np.linalg.norm(centers - middle, axis=1).max())
    x, y, z = (float(value) for value in middle)
    a, b, c = (float(value) for value in up)
    return FrameReport((x, y, z), radius, (a, b, c))
