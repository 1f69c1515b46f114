"""Paths of cameras through a scene: made from its suggested cameras, or read from a file."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gspc.errors import InputError, UsageError
from gspc.pipeline.source import naming

if TYPE_CHECKING:
    from gspc.choices import LensField
    from gspc.pipeline.plain import PlainScene
    from gspc.scene import F64, Camera, DecodedScene, Note
    from gspc.tiles import TiledScene

FRAMES = 150  # of a path that does not say how many itself
MOST_FRAMES = 100_000
MOST_BYTES = 64 << 20  # of a file of key poses


def camera_path(
    scene: DecodedScene | PlainScene | TiledScene,
    kind: str,
    *,
    frames: int | None = None,
    cameras: Sequence[Camera] | None = None,
    field: LensField = "full",
    on_note: Callable[[Note], None] = lambda note: None,
) -> tuple[Camera, ...]:
    """The cameras of a path: `kind` is orbit, spiral, or the name of a file.

    orbit and spiral go around what `cameras`, by default the scene's suggested ones, look at, in `frames`
    steps. A COLMAP directory or a transforms.json gives its cameras in the order of their names, each a frame
    or, with `frames`, a key pose. A JSON list of key poses is interpolated. Raises UsageError, InputError.
    """
    from gspc.rendering import paths

    if frames is not None and not 1 <= frames <= MOST_FRAMES:
        raise UsageError(f"--frames {frames}: give 1 to {MOST_FRAMES:,}")
    given = scene.cameras if cameras is None else cameras
    if kind == "orbit":
        return paths.orbit(given, _points(scene), frames or FRAMES)
    if kind == "spiral":
        return paths.spiral(given, _points(scene), frames or FRAMES)
    file = Path(kind)
    if not file.exists():
        raise UsageError(f"--path {kind}: no such file; give orbit, spiral, cameras or key poses")
    with naming(kind):
        listed = _listed(file)
        if listed is None:
            from gspc.data import read_cameras

            found, notes = read_cameras(file, field)
            for note in notes:
                on_note(note)
            return found if frames is None else paths.through(found, frames)
        keys, loop = listed
        if not given and not all("size" in key for key in keys):
            raise InputError("its key poses need a size and intrinsics: the scene suggests no camera")
        like = paths.typical(given) if given else None
        return paths.through(
            [_key(entry, number, like) for number, entry in enumerate(keys)], frames or FRAMES, loop=loop
        )


def _points(scene: DecodedScene | PlainScene | TiledScene) -> F64:
    from gspc.pipeline.plain import PlainScene
    from gspc.scene import DecodedScene

    if isinstance(scene, DecodedScene):  # whose cameras are in the coordinates of the photographs
        return scene.frame.to_user(scene.anchors)
    return scene.splats.means.astype("float64") if isinstance(scene, PlainScene) else scene.points


def _listed(file: Path) -> tuple[list[Any], bool] | None:
    """Key poses and whether the path is closed; None for a file that is no list of them."""
    if not file.is_file() or file.suffix.lower() != ".json":
        return None
    if file.stat().st_size > MOST_BYTES:
        raise InputError(f"is larger than {MOST_BYTES >> 20} MiB; a list of key poses is not")
    try:
        content = json.loads(file.read_text())
    except (ValueError, RecursionError) as error:
        raise InputError(f"is not JSON ({error})") from None
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror or error})") from None
    if isinstance(content, list):
        return content, False
    if isinstance(content, dict) and isinstance(content.get("keys"), list):
        return content["keys"], content.get("loop") is True
    return None


def _key(entry: Any, number: int, like: Camera | None) -> Camera:
    """A key pose: a camera as decoded scenes hold it, or position, look_at and, if wanted, up and
    field_of_view (degrees, along the width)."""
    import numpy as np

    from gspc.format.limits import MAX_TRANSLATION
    from gspc.format.usable import camera_problem
    from gspc.rendering import paths
    from gspc.scene import Camera

    wrong = InputError(
        f"key pose {number} has neither world_to_camera, size and intrinsics nor position and look_at"
    )
    if not isinstance(entry, dict):
        raise wrong
    try:
        if "world_to_camera" in entry:
            base = {} if like is None else like.to_plain()
            found = Camera.from_plain({**base, "name": f"key_{number}", **entry})
        else:
            assert like is not None
            position, target = (np.array([float(v) for v in entry[name]]) for name in ("position", "look_at"))
            up = np.array([float(v) for v in entry.get("up", _up(like))])
            if not position.shape == target.shape == up.shape == (3,):
                raise wrong
            if not (np.abs([position, target, up]) <= MAX_TRANSLATION).all():
                raise InputError(
                    f"key pose {number}: position, look_at and up must be numbers up to {MAX_TRANSLATION:g}"
                )
            found = paths.look_at(_with_field(like, entry), f"key_{number}", position, target, up)
    except (KeyError, TypeError, ValueError, OverflowError):
        raise wrong from None
    if (problem := camera_problem(found)) is not None:
        raise InputError(f"key pose {number}: {problem}")
    return found


def _up(like: Camera) -> list[float]:
    return [-float(value) for value in like.world_to_camera[1, :3]]


def _with_field(like: Camera, entry: dict[str, Any]) -> Camera:
    from dataclasses import replace

    if "field_of_view" not in entry:
        return like
    degrees = float(entry["field_of_view"])
    if not 1 <= degrees <= 170:
        raise InputError(f"field_of_view {degrees:g}: give 1 to 170 degrees")
    focal = like.width / 2 / math.tan(math.radians(degrees) / 2)
    return replace(like, fx=focal, fy=focal * like.fy / like.fx)
