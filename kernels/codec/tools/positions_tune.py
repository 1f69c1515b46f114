"""Makes positions/positions_priors.inc, the state in which the positions coder starts every slice and level.

    python kernels/codec/tools/positions_tune.py CLOUD.npy [CLOUD.npy ...]

Each cloud is float [N, 3]. From each come anchors as they arise in training: quantized points, points on
one voxel lattice, points grown on nested lattices of 1, 4 and 16 voxels; whole or cut into slices; all at
once or spread over levels at random or by density. A C++ program counts the decisions each slot sees; each
slot gets the probability and the confidence (one of eight) that make the adaptive code of all files
shortest, as a beta-binomial mixture has it. The mixing weights are the means of what they adapt to. The
output is part of the format: changing it needs a new version.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch

HERE = Path(__file__).resolve().parent
PRIORS = HERE.parent / "positions" / "positions_priors.inc"
CONFIDENCE = np.array([0, 1, 3, 7, 15, 35, 90, 250])
PROGRAM = r"""
#include <cstdio>
#include "codec/positions/positions.hpp"
#include "codec/positions/positions_model.hpp"
using namespace gspc;
static positions::Models last;
static const positions::Slot* base;
static std::vector<uint32_t> counts(2 * positions::kSlotCount);
namespace gspc::positions {
void tune_begin(const void* m) { base = static_cast<const Slot*>(m); }
void tune_end(const void* m) { last = *static_cast<const Models*>(m); }
void tune_slot(const Slot* s, int bit) { ++counts[2 * (s - base) + bit]; }
}
int main(int argc, char** argv) {
  FILE* out = fopen(argv[1], "wb");
  for (int a = 2; a < argc; ++a) {
    uint64_t h[5];
    FILE* f = fopen(argv[a], "rb");
    if (!f || fread(h, 8, 5, f) != 5) return 1;
    std::vector<uint64_t> known(h[3]), fresh(h[4]);
    if (fread(known.data(), 8, h[3], f) != h[3] || fread(fresh.data(), 8, h[4], f) != h[4]) return 1;
    fclose(f);
    std::fill(counts.begin(), counts.end(), 0);
    last = positions::initial_models();
    BinaryEncoder e;
    if (!encode_positions(e, known, fresh, {h[1], h[2]}, static_cast<int>(h[0]))) return 2;
    const uint64_t bytes = e.finish().size();
    fwrite(&bytes, 8, 1, out);
    fwrite(counts.data(), 4, counts.size(), out);
    fwrite(&last.weights, 4, positions::kWeightCount, out);
  }
  return fclose(out);
}
"""


def spread(v: np.ndarray) -> np.ndarray:
    x = v.astype(np.uint64) & np.uint64(0x1FFFFF)
    for shift, mask in (
        (32, 0x001F00000000FFFF),
        (16, 0x001F0000FF0000FF),
        (8, 0x100F00F00F00F00F),
        (4, 0x10C30C30C30C30C3),
        (2, 0x1249249249249249),
    ):
        x = (x | x << np.uint64(shift)) & np.uint64(mask)
    return x


def morton(q: np.ndarray) -> np.ndarray:
    """Sorted distinct keys of integer positions [N, 3]."""
    return np.unique(spread(q[:, 0]) | spread(q[:, 1]) << np.uint64(1) | spread(q[:, 2]) << np.uint64(2))


def shuffled_axes(q: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Axes permuted and reversed, so that no scene's orientation is learned; lattices of 16 are kept."""
    top = (int(q.max()) // 16 + 1) * 16
    q = q[:, rng.permutation(3)]
    return np.where(rng.random(3) < 0.5, top - q, q)


def anchor_clouds(x: np.ndarray, rng: np.random.Generator) -> list[np.ndarray]:
    """Integer positions [M, 3] of several kinds made from a cloud [N, 3]."""
    low, extent = x.min(0), x.max(0) - x.min(0)
    clouds = [
        np.round((x - low) / extent * 65535),
        np.round((x - low) / extent.max() * 65535 * rng.uniform(0.5, 1)),
    ]
    middle = np.median(x, 0)
    core = x[(np.abs(x - middle) < 4 * np.median(np.abs(x - middle), 0) + 1e-9).all(1)]
    order = core[np.argsort(morton_order(core))]
    gap = np.linalg.norm(np.diff(order, axis=0), axis=1)
    near = np.median(gap)
    for scale in (1.0, 0.25):
        voxel = near * scale
        q = np.round(core / voxel)
        clouds.append(q - q.min(0))
    for voxel, amount in ((near / 8, 2.0), (near / 2, 4.0)):
        chosen = rng.integers(0, len(order) - 1, int(amount * len(order)))
        spread_by = np.minimum(gap[chosen], 20 * near)[:, None]
        grown = order[chosen] + rng.normal(size=(len(chosen), 3)) * spread_by * rng.uniform(0.2, 1.0)
        stride = rng.choice([1, 4, 16], p=rng.dirichlet([2, 2, 2]), size=len(grown))[:, None]
        q = np.concatenate([np.round(order / voxel), np.round(grown / (voxel * stride)) * stride])
        q -= np.floor(q.min(0) / 16) * 16
        clouds.append(q)
    return [q.clip(0, (1 << 20) - 1).astype(np.int64) for q in clouds]


def morton_order(x: np.ndarray) -> np.ndarray:
    q = ((x - x.min(0)) / (x.max(0) - x.min(0)).max() * 0x1FFFFF).astype(np.int64)
    return spread(q[:, 0]) | spread(q[:, 1]) << np.uint64(1) | spread(q[:, 2]) << np.uint64(2)


def files_of(
    keys: np.ndarray, rng: np.random.Generator
) -> list[tuple[int, int, int, np.ndarray, np.ndarray]]:
    """(bits, low, high, known, fresh) of a cloud: sliced and spread over levels."""
    bits = max(1, (int(keys[-1]).bit_length() + 2) // 3)
    size = int(rng.choice([len(keys), 16384, 16384, 4096]))
    levels = int(rng.choice([1, 3, 4]))
    density = np.log2((np.roll(keys, -4).astype(float) - np.roll(keys, 4)).clip(1))
    noise = float(rng.choice([0.5, 2.0, 1e6]))  # 1e6: levels at random
    score = density * rng.choice([-1, 1]) + rng.normal(size=len(keys)) * noise
    level = np.digitize(score, np.quantile(score, np.arange(1, levels) / levels))
    found = []
    for start in range(0, len(keys), size):
        k, s = keys[start : start + size], level[start : start + size]
        low = int(keys[start]) if start else 0
        high = int(keys[start + size]) if start + size < len(keys) else 1 << (3 * bits)
        for one in range(levels):
            if (s == one).any():
                found.append((bits, low, high, k[s < one], k[s == one]))
    return found


def run(paths: list[Path], work: Path) -> tuple[int, np.ndarray, np.ndarray]:
    """Total bytes, counts [files, slots, 2], final weights [files, weights]."""
    program, source = work / "tune", work / "tune.cpp"
    source.write_text(PROGRAM)
    sources = [str(source), *map(str, sorted((HERE.parent / "positions").glob("*.cpp")))]
    flags = ["-std=c++17", "-O2", "-DGSPC_POSITIONS_TUNE", f"-I{HERE.parent.parent}"]
    subprocess.run(["g++", *flags, *sources, "-o", str(program)], check=True)
    subprocess.run([str(program), str(work / "out"), *map(str, paths)], check=True)
    raw = np.fromfile(work / "out", np.uint8).reshape(len(paths), -1)
    weights = PRIORS.read_text().split("{")[1].count(",")
    total = int(raw[:, :8].copy().view(np.uint64).sum())
    counts = raw[:, 8 : -4 * weights].copy().view(np.uint32).reshape(len(paths), -1, 2)
    return total, counts.astype(np.float64), raw[:, -4 * weights :].copy().view(np.int32)


def fit(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Probability symbol (0..90) and confidence class (0..7) of each slot."""
    torch.set_num_threads(1)
    symbols = np.full(counts.shape[1], 45)
    classes = np.zeros(counts.shape[1], int)
    grid = 1 / (1 + np.exp(-(np.arange(91) - 45) * 44 / 256))
    for slot in range(counts.shape[1]):
        c = counts[:, slot]
        c = c[c.sum(1) > 0]
        if len(c) == 0:
            continue
        c = c[:: len(c) // 100 + 1]
        share = np.minimum(1, 300 / c.sum(1))[:, None]
        mean = ((c * share).sum(0)[1] + 0.4) / ((c * share).sum() + 0.8)
        middle = int(np.abs(grid - mean).argmin())
        near = np.unique(np.clip(np.arange(middle - 6, middle + 7, 3), 0, 90))
        p = torch.from_numpy(grid[near])[:, None, None]
        strength = torch.from_numpy(CONFIDENCE + 0.5)[None, :, None]
        a, b = strength * p, strength * (1 - p)
        one, zero = torch.from_numpy(c[:, 1]), torch.from_numpy(c[:, 0])
        gain = (
            torch.lgamma(a + one)
            + torch.lgamma(b + zero)
            - torch.lgamma(a + b + one + zero)
            + torch.lgamma(a + b)
            - torch.lgamma(a)
            - torch.lgamma(b)
        ).sum(2)
        best = int(gain.argmax())
        symbols[slot], classes[slot] = near[best // 8], best % 8
    return symbols, classes


def write(path: Path, symbols: np.ndarray, classes: np.ndarray, weights: np.ndarray) -> None:
    def letter(v: int) -> str:
        code = v + 35
        return chr(code if code < 92 else code + 1)

    text = "".join(letter(int(s)) + letter(int(c)) for s, c in zip(symbols, classes, strict=True))
    lines = [f'    "{text[i : i + 110]}"' for i in range(0, len(text), 110)]
    rows = ["    " + " ".join(f"{int(w)}," for w in weights[i : i + 16]) for i in range(0, len(weights), 16)]
    path.write_text(
        "// Made by positions_tune.py; part of the format.\n"
        "const char kPriorSlots[] =\n" + "\n".join(lines) + ";\n\n"
        "const int16_t kPriorWeights[] = {\n" + "\n".join(rows) + "};\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clouds", nargs="+", type=Path)
    options = parser.parse_args()
    rng = np.random.default_rng(1)
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        paths: list[Path] = []
        points = 0
        for cloud in options.clouds:
            for q in anchor_clouds(np.load(cloud), rng):
                keys = morton(shuffled_axes(q, rng))
                if len(keys) > 120_000:  # a run of neighbors, not a random thinning
                    start = int(rng.integers(0, len(keys) - 120_000))
                    keys = keys[start : start + 120_000]
                for bits, low, high, known, fresh in files_of(keys, rng):
                    paths.append(work / f"{len(paths)}.bin")
                    head = np.array([bits, low, high, len(known), len(fresh)], np.uint64)
                    paths[-1].write_bytes(head.tobytes() + known.tobytes() + fresh.tobytes())
                    points += len(fresh)
        total, counts, _ = run(paths, work)
        sys.stderr.write(f"{len(paths)} files, {points} points, {8 * total / points:.4f} bits each\n")
        symbols, classes = fit(counts)
        size = counts.sum((1, 2))[:, None]
        text = PRIORS.read_text().split("{")[1].split("}")[0]
        weights = np.array([int(w) for w in text.split(",")[:-1]])
        for _ in range(3):
            write(PRIORS, symbols, classes, weights)
            total, _, final = run(paths, work)
            sys.stderr.write(f"{8 * total / points:.4f} bits each\n")
            weights = np.round((final * np.minimum(size, 2e5)).sum(0) / np.minimum(size, 2e5).sum() / 256)


if __name__ == "__main__":
    main()
