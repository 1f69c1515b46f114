"""Bits per anchor position and speed, beside G-PCC (tmc13 v23, 16 bits per axis, duplicates merged).

    PYTHONPATH=. python tests/bench/bench_positions.py [DATA]

DATA holds COLMAP directories (default ../shared/data). As for the figures of G-PCC, each axis of the bounding
box has 65535 steps of its own. The priors were made from fern, fox, bonsai-small and a splat file; truck and
lego are new to them.
"""

from __future__ import annotations

import math
import struct
import sys
import time
from pathlib import Path

import numpy as np

from gspc import _codec

GPCC = {"truck": 19.61, "bonsai-small": 20.80, "fox": 28.77, "lego": 24.50}
NONE = np.zeros(0, np.uint64)


def colmap_points(directory: Path) -> np.ndarray:
    """Float64 [N, 3] of sparse/0/points3D.bin."""
    data = (directory / "sparse/0/points3D.bin").read_bytes()
    points = np.empty((struct.unpack_from("<Q", data)[0], 3))
    at = 8
    for i in range(len(points)):
        points[i] = struct.unpack_from("<3d", data, at + 8)
        at += 51 + 8 * struct.unpack_from("<Q", data, at + 43)[0]
    return points


def quantized(points: np.ndarray, steps: int = 65535, *, cube: bool = False) -> np.ndarray:
    """Sorted distinct Morton keys; each axis scaled on its own, or all alike."""
    low, extent = points.min(0), np.ptp(points, axis=0)
    return keys_of(np.round((points - low) / (extent.max() if cube else extent) * steps))


def keys_of(positions: np.ndarray) -> np.ndarray:
    return np.unique(_codec.morton_keys(np.ascontiguousarray(positions.astype(np.int32))))


def surfaces(n: int, seed: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Noisy planes and spheres in voxels [M, 3], and the stride (1, 4 or 16) of each point's lattice."""
    rng = np.random.default_rng(seed)
    parts = []
    for i in range(14):
        m = int(n * rng.uniform(0.3, 1.5) / 14)
        center = rng.uniform(-500, 500, 3)
        if i % 2:
            d = rng.normal(size=(m, 3))
            p = center + d / np.linalg.norm(d, axis=1)[:, None] * rng.uniform(50, 300)
        else:
            u, v = np.linalg.qr(rng.normal(size=(3, 2)))[0].T
            a, b = rng.uniform(-400, 400, (2, m, 1)) * rng.uniform(0.3, 1)
            p = center + a * u + b * v
        parts.append(p + rng.normal(size=p.shape) * 1.5)
    points = np.concatenate(parts)
    stride = rng.choice([1, 4, 16], p=[0.35, 0.4, 0.25], size=len(points))
    return points - np.floor(points.min(0) / 16 - 1) * 16, stride


class Coded:
    """Bytes and seconds of coding key sets one after another."""

    def __init__(self, bits: int) -> None:
        self.bits, self.bytes, self.points, self.encode, self.decode = bits, 0, 0, 0.0, 0.0

    def add(self, fresh: np.ndarray, known: np.ndarray = NONE, low: int = 0, high: int | None = None) -> None:
        high = 1 << (3 * self.bits) if high is None else high
        t0 = time.process_time()
        data = _codec.encode_positions(known, fresh, low, high, self.bits)
        t1 = time.process_time()
        out = _codec.decode_positions(data, known, low, high, self.bits, len(fresh))
        t2 = time.process_time()
        assert out is not None and np.array_equal(out, fresh)
        self.bytes += len(data)
        self.points += len(fresh)
        self.encode += t1 - t0
        self.decode += t2 - t1

    def line(self, name: str, target: float, of: str) -> None:
        rate = 8 * self.bytes / self.points
        speeds = [self.points / seconds / 1e6 for seconds in (self.encode, self.decode)]
        print(
            f"{name:40s} {self.points:7d} points {rate:7.3f} bits  {of:>11s} {target:7.3f} "
            f"({100 * (rate / target - 1):+5.1f} %)  encode {speeds[0]:5.2f} decode {speeds[1]:5.2f} M/s"
        )


def coded(keys: np.ndarray, bits: int, level: np.ndarray | None = None, size: int | None = None) -> Coded:
    """Codes `keys` in slices of `size`, each level given the earlier ones of its slice."""
    result = Coded(bits)
    level = np.zeros(len(keys), int) if level is None else level
    size = size or len(keys)
    for start in range(0, len(keys), size):
        k, s = keys[start : start + size], level[start : start + size]
        low = int(k[0]) if start else 0
        high = int(keys[start + size]) if start + size < len(keys) else None
        for one in range(int(s.max()) + 1):
            result.add(k[s == one], k[s < one], low, high)
    return result


def entropy(level: np.ndarray) -> float:
    share = np.bincount(level) / len(level)
    return -sum(p * math.log2(p) for p in share if p)


def main() -> None:
    data = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[3] / "shared/data"
    rng = np.random.default_rng(0)
    for name, bar in GPCC.items():
        if (data / name).is_dir():
            coded(quantized(colmap_points(data / name)), 16).line(name, bar, "G-PCC")
    names = [name for name in ("truck", "bonsai-small") if (data / name).is_dir()]
    sets = {name: (quantized(colmap_points(data / name)), 16) for name in names}
    points, stride = surfaces(150_000)
    lattice = keys_of(np.round(points / stride[:, None]) * stride[:, None])
    sets["nested lattices"] = (lattice, (int(lattice[-1]).bit_length() + 2) // 3)
    for name, (keys, bits) in sets.items():
        one = 8 * coded(keys, bits).bytes / len(keys)
        for size in (16384, 4096):
            coded(keys, bits, size=size).line(f"{name}, slices of {size}", one, "whole")
        gap = (np.roll(keys, -4).astype(float) - np.roll(keys, 4)).clip(1)
        density = np.log2(gap) + rng.normal(size=len(keys))
        splits = {
            "3 random levels": rng.integers(0, 3, len(keys)),
            "3 levels, dense first": np.digitize(density, np.quantile(density, [1 / 3, 2 / 3])),
            "3 levels, sparse first": np.digitize(-density, np.quantile(-density, [1 / 3, 2 / 3])),
        }
        for label, level in splits.items():
            coded(keys, bits, level).line(f"{name}, {label}", one + entropy(level), "one + H")
    # The same points with each lattice point moved at random inside half a cell: as many keys, no lattice.
    moved = np.round(points / stride[:, None]) * stride[:, None] + np.floor(
        rng.uniform(-0.5, 0.5, points.shape) * stride[:, None] + 0.5
    )
    free = keys_of(moved)
    bits = (int(free[-1]).bit_length() + 2) // 3
    off = 8 * coded(free, bits).bytes / len(free)
    coded(lattice, sets["nested lattices"][1]).line("nested lattices", off, "off lattice")


if __name__ == "__main__":
    main()
