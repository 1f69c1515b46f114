"""What a run is made of, so that it is not resumed as another one: all that changes what it comes to."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path

from gspc.config import FitOptions
from gspc.errors import InputError
from gspc.recipe import ingredients, value_text
from gspc.scene import SceneData, View
from gspc.train.coarse import digest_of

# What builds did that had no such setting yet.
EARLIER = {"picture_error": "mean-absolute", "ssim_weight": "0.2", "growth_choice": "chance"}
COLORS = {(0.0, 0.0, 0.0): "black", (1.0, 1.0, 1.0): "white"}


def run_settings(scene: SceneData, options: FitOptions, iterations: int, ranks: int = 1) -> dict[str, str]:
    """Name and text of every option, ingredient and photograph that a run's result depends on; not those that
    only say where and how it runs (device, threads, logs, memory). Raises InputError for a photograph that
    is gone."""
    found: dict[str, object] = {
        **options.recipe.values(),
        "scene": scene.name,
        "iterations": iterations,  # instead of the recipe's
        "levels": options.level_count,  # likewise
        "seed": options.seed,
        "voxel size": options.voxel_size or "measured",
        "heads precision": options.heads_precision,
        "rate weights": " ".join(map(value_text, options.weights)),
        "target size": options.target_size or "none",
        "background": COLORS.get(scene.background) or " ".join(map(value_text, scene.background)),
        "number of training views": len(scene.train),
    }
    if options.coarse is not None:
        found["coarse model"] = digest_of(options.coarse)
    if ranks > 1:
        found["ranks"] = ranks
    for view in scene.train:
        found |= _view_settings(view)
    return {name: value_text(value) for name, value in found.items()}


def _view_settings(view: View) -> dict[str, str]:
    camera = view.camera
    intrinsics = (camera.fx, camera.fy, camera.cx, camera.cy)
    pose = itertools.chain(*camera.world_to_camera[:3].tolist())
    return {
        f"size of {camera.name}": f"{camera.width}x{camera.height}",
        f"intrinsics of {camera.name}": " ".join(map(value_text, intrinsics)),
        f"pose of {camera.name}": " ".join(map(value_text, pose)),
        f"photograph {camera.name}": _file_size(view.path),
        f"mask of {camera.name}": _file_size(view.mask_path),
        f"orientation of {camera.name}": str(view.turned),
    }


def _file_size(path: Path | None) -> str:
    """Tells photographs of one name apart, as far as their sizes do, without reading all of them."""
    if path is None:
        return "no file"
    try:
        return f"{path.stat().st_size} bytes"
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from error


def of_training() -> frozenset[str]:
    """The settings that a branch may have of its own: what the loss weighs and when things happen. What a
    model consists of and the photographs are those of its checkpoint, and so is the state of chance."""
    own = {name for name, about in ingredients().items() if about.group in ("rate", "schedule")}
    return frozenset(own - {"iterations"} | {"rate weights", "target size", "ranked"})


def first_difference(before: Mapping[str, str], now: Mapping[str, str]) -> str | None:
    """The first setting that is not the same, with both values, in words; None where there is none."""
    for name in (*now, *before):
        old, new = before.get(name, EARLIER.get(name, "none")), now.get(name, "none")
        if old != new:
            return f"{name} = {old}, now it is {new}"
    return None
