"""Variants of real scenes: in other units, or an object in Blender's layout without points.

    python tests/bench/variants.py OUT [--data DIR]

writes OUT/fox-x0.1, fox-x10 and fox-x50 (photographs linked, not copied), and OUT/lego-white and lego-alpha;
`tests/bench/scenes.py fox-x10 lego-alpha --data OUT` then measures them.
"""

from __future__ import annotations

import argparse
import json
import math
from dataclasses import replace
from pathlib import Path

import imageio.v3 as iio
import numpy as np
from scipy import ndimage

from gspc.config import DataOptions
from gspc.data import colmap, load_scene
from gspc.scene import View


def in_units(source: Path, out: Path, scale: float) -> None:
    """The COLMAP scene `source` with every length times `scale`."""
    model = colmap.read_model(source / "sparse/0")
    images = [
        replace(image, translation=tuple(scale * part for part in image.translation))
        for image in model.images
    ]
    points = replace(model.points, positions=scale * model.points.positions)
    (out / "sparse/0").mkdir(parents=True, exist_ok=True)
    if not (out / "images").exists():
        (out / "images").symlink_to((source / "images").resolve())
    colmap.write_model(out / "sparse/0", replace(model, images=tuple(images), points=points))


def blender(source: Path, out: Path, *, transparent: bool, most: int | None = None) -> None:
    """The scene `source`, an object on pure white, in Blender's layout without points: white, or transparent
    where white reaches the border. `most`: training views at most, evenly spread."""
    scene = load_scene(source, DataOptions())
    step = 1 if most is None else -(-len(scene.train) // most)
    for part, views in (("train", scene.train[::step]), ("test", scene.test)):
        (out / part).mkdir(parents=True, exist_ok=True)
        frames = [_frame(view, part) for view in views]
        for view, frame in zip(views, frames, strict=True):
            pixels = view.load()
            if transparent:
                pixels = np.dstack([pixels, np.where(_outside(pixels), 0, 255).astype(np.uint8)])
            iio.imwrite(out / f"{frame['file_path']}.png", pixels)
        camera = views[0].camera
        angle = 2 * math.atan(camera.width / 2 / camera.fx)
        content = {"camera_angle_x": angle, "frames": frames}
        (out / f"transforms_{part}.json").write_text(json.dumps(content))


def _frame(view: View, part: str) -> dict[str, object]:
    """A frame of transforms.json: camera-to-world, axes x right, y up, z back."""
    pose = np.linalg.inv(view.camera.world_to_camera)
    pose[:, 1:3] *= -1
    return {"file_path": f"./{part}/{Path(view.camera.name).stem}", "transform_matrix": pose.tolist()}


def _outside(pixels: np.ndarray) -> np.ndarray:  # [H, W, 3] -> [H, W]
    """Pure white that reaches the border."""
    white = (pixels == 255).all(axis=2)
    regions, _ = ndimage.label(white)
    border = np.concatenate([regions[0], regions[-1], regions[:, 0], regions[:, -1]])
    return np.isin(regions, np.unique(border[border > 0]))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("--data", type=Path, default=Path(__file__).resolve().parents[3] / "shared" / "data")
    args = parser.parse_args()
    for scale in (0.1, 10, 50):
        in_units(args.data / "fox", args.out / f"fox-x{scale:g}", scale)
    blender(args.data / "lego", args.out / "lego-white", transparent=False)
    blender(args.data / "lego", args.out / "lego-alpha", transparent=True)


if __name__ == "__main__":
    main()
