"""Writes the golden streams of this format version and the hashes of their symbols.

Run by hand, and only when the format changes before a release: `python tests/golden/regenerate.py`. Streams
of a released version are never rewritten.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent.parent)]

import synthetic  # noqa: E402

from gspc.codec import decode, encode  # noqa: E402
from gspc.format.parity import with_parity  # noqa: E402
from gspc.format.scene import QuantizedScene  # noqa: E402


def wild() -> QuantizedScene:
    """Escapes everywhere, corners of space, no cameras, no metadata."""
    scene = synthetic.tiny(40, levels=2, seed=11, views=0)
    rng = np.random.default_rng(0)
    positions = rng.integers(0, 1 << 21, (40, 3)).astype(np.int32)
    positions[:2] = [[0, 0, 0], [(1 << 21) - 1] * 3]
    features = rng.integers(-(1 << 23) + 1, 1 << 23, scene.features.shape).astype(np.int32)
    return replace(scene, positions=positions, features=features, metadata={}, rate_weights=())


def far() -> QuantizedScene:
    """Escapes of mixtures to both sides, next to symbols of 23 bits."""
    scene = synthetic.tiny(40, levels=2, seed=15, views=0, variant=synthetic.Variant(chunks=3))
    rng = np.random.default_rng(1)
    features = rng.integers(-(1 << 23) + 1, 1 << 23, scene.features.shape)
    features = features >> rng.integers(0, 24, features.shape)
    return replace(scene, features=features.astype(np.int32), metadata={}, rate_weights=())


def scenes() -> dict[str, tuple[QuantizedScene, int]]:
    """Name -> scene and anchors per slice."""
    return (
        {
            "three-levels": (synthetic.tiny(200, levels=3, seed=10), 64),
            "one-level": (synthetic.tiny(33, levels=1, seed=12), 16384),
            "eight-levels": (synthetic.tiny(120, levels=8, seed=13), 50),
            "escapes": (wild(), 16),
            "empty": (synthetic.tiny(0, levels=2, seed=14), 16384),
            "mixture-escapes": (far(), 16),
            "swollen": (replace(synthetic.tiny(150, levels=3, seed=18), swell=(40, 7)), 50),
            "parity": (synthetic.tiny(150, levels=3, seed=17), 50),
            "eight-of-everything": (
                synthetic.tiny(70, levels=8, seed=16, views=0, variant=synthetic.VARIANTS["everything"]),
                40,
            ),
        }
        | {
            name: (synthetic.tiny(90, levels=3, seed=20 + i, views=0, variant=variant), 40)
            for i, (name, variant) in enumerate(synthetic.VARIANTS.items())
            if name != "plain"
        }
        | {
            f"selective-{name}": (
                synthetic.selective(
                    synthetic.tiny(90, levels=levels, seed=60 + i, views=0, variant=synthetic.VARIANTS[name]),
                    stages,
                    seed=i,
                ),
                40,
            )
            for i, (name, levels, stages) in enumerate(SELECTIVE)
        }
    )


# Variant, levels of training, and the stage of each level of the stream.
SELECTIVE = (
    ("plain", 3, synthetic.STAGES),
    ("default", 3, synthetic.STAGES),
    ("everything", 4, (1, 2, 2, 3, 3, 4, 4, 4)),
    ("unbounded-trits", 2, (1, 2, 2)),
    ("unrefined", 2, (1, 1, 2)),
)


def main() -> None:
    """Everything anew."""
    hashes = {}
    for name, (scene, slice_anchors) in scenes().items():
        data = encode(scene, slice_anchors=slice_anchors)
        if name == "parity":
            data = with_parity(data)
        (HERE / f"{name}.pcgs").write_bytes(data)
        hashes[name] = [decode(data, upto=level).symbol_hash for level in range(1, scene.levels + 1)]
        print(f"{name}: {len(data)} bytes")
    (HERE / "hashes.json").write_text(json.dumps(hashes, indent=2) + "\n")


if __name__ == "__main__":
    main()
