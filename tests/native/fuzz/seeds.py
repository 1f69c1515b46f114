"""Writes the small whole streams that the fuzzers of decoding begin with: a few anchors of every variant.

    seeds.py DIR

A stream of six anchors and of small networks takes the paths that a large one takes, in a tenth of the time.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parents[1]), str(HERE.parents[2])]

import synthetic  # noqa: E402

from gspc.codec import encode  # noqa: E402

SELECTIVE = ("plain", "default", "everything", "unbounded-trits")  # variants with selective refinement, too


def small(
    anchors: int,
    levels: int,
    seed: int,
    variant: synthetic.Variant = synthetic.PLAIN,
    *,
    stages: tuple[int, ...] = (),
) -> bytes:
    """A stream of one to three kilobytes, in slices of three anchors. With `stages`, the stage of each level
    of the stream, refinement is selective."""
    grid = synthetic.grid_spec(2, 1, 4, 4)
    sizes = {"features": 5, "offsets": 2, "hidden": (3, 4, 5, 3), "heads_hidden": 2, "views": seed % 2}
    scene = synthetic.scene(anchors, levels=levels, grid=grid, seed=seed, variant=variant, **sizes)
    if stages:
        scene = synthetic.selective(scene, stages, seed=seed)
    return encode(scene, slice_anchors=3)


def escapes(anchors: int) -> bytes:
    """The same with features of up to 23 bits, which no table holds, at far corners of space."""
    scene = synthetic.tiny(anchors, levels=2, seed=53, views=0, variant=synthetic.VARIANTS["two-chunks"])
    rng = np.random.default_rng(0)
    features = rng.integers(-(1 << 23) + 1, 1 << 23, scene.features.shape) >> rng.integers(
        0, 24, scene.features.shape
    )
    positions = rng.integers(0, 1 << 21, (anchors, 3)).astype(np.int32)
    wild = replace(scene, positions=positions, features=features.astype(np.int32), metadata={})
    return encode(wild, slice_anchors=3)


def main(folder: Path) -> None:
    """Two slices and two levels each; once more levels, and once no anchor."""
    folder.mkdir(parents=True, exist_ok=True)
    streams = {
        name: small(6, 2, 60 + i, variant) for i, (name, variant) in enumerate(synthetic.VARIANTS.items())
    }
    for i, name in enumerate(SELECTIVE):
        streams[f"selective-{name}"] = small(6, 2, 80 + i, synthetic.VARIANTS[name], stages=(1, 2, 2))
    streams["four-levels"] = small(8, 4, 50, synthetic.VARIANTS["everything"])
    streams["escapes"] = escapes(6)
    streams["no-anchor"] = small(0, 1, 52)
    for name, data in streams.items():
        (folder / name).write_bytes(data)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
