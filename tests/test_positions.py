"""Anchor positions: round trips, sizes, the readable decoder, and hostile bytes."""

from __future__ import annotations

import hashlib
import itertools
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from bench import bench_positions as bench

from gspc import _codec
from gspc.errors import BitstreamError
from gspc.reference import positions as reference

ROOT = Path(__file__).parents[1]
DATA = ROOT.parent / "shared/data"
NONE = np.zeros(0, np.uint64)

# Part of the format: another start state or other bytes need a new version of it.
PRIORS = "46f143b51ec98767"
BALL = (4448, "60834100ed152949")


def keys(*values: int) -> np.ndarray:
    return np.array(sorted(values), np.uint64)


def random_keys(n: int, bits: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.unique(rng.integers(0, 1 << (3 * bits), n, dtype=np.uint64))


def surface_keys(n: int, seed: int = 3) -> tuple[np.ndarray, int]:
    points, stride = bench.surfaces(n, seed)
    found = bench.keys_of(np.round(points / stride[:, None]) * stride[:, None])
    return found, (int(found[-1]).bit_length() + 2) // 3


def round_trip(
    fresh: np.ndarray, bits: int, known: np.ndarray = NONE, low: int = 0, high: int | None = None
) -> bytes:
    high = 1 << (3 * bits) if high is None else high
    data: bytes = _codec.encode_positions(known, fresh, low, high, bits)
    out = _codec.decode_positions(data, known, low, high, bits, len(fresh))
    assert out is not None
    assert np.array_equal(out, fresh)
    return data


def by_reference(data: bytes, known: np.ndarray, low: int, high: int, bits: int, n: int) -> list[int]:
    return reference.decode_positions(data, known.tolist(), (low, high), bits, n)


@pytest.mark.parametrize("bits", range(1, 22))
@pytest.mark.parametrize("n", [0, 1, 2, 8, 100])
def test_round_trips_at_every_depth(bits: int, n: int) -> None:
    fresh = random_keys(n, bits, seed=bits)
    data = round_trip(fresh, bits)
    if n <= 8 or bits in (3, 7):
        assert by_reference(data, NONE, 0, 1 << (3 * bits), bits, len(fresh)) == fresh.tolist()
    assert n > 0 or data == b""
    assert n != 1 or len(data) <= 3 * bits // 8 + 2


@pytest.mark.parametrize("bits", [1, 2, 21])
def test_first_and_last_keys(bits: int) -> None:
    last = (1 << (3 * bits)) - 1
    for fresh in (
        keys(0),
        keys(last),
        keys(0, last),
        keys(0, 1),
        keys(last - 1, last),
        keys(0, 1, 2, 3, 4, 5, 6, 7),
    ):
        round_trip(fresh, bits)


def test_a_full_cube_costs_nothing_and_a_full_interval_too() -> None:
    assert len(round_trip(np.arange(8, dtype=np.uint64), 1)) <= 2
    assert len(round_trip(np.arange(512, dtype=np.uint64), 3)) <= 40
    # Nothing but the known keys' gaps is left: the last fresh key is implied.
    assert len(round_trip(keys(3), 1, keys(0, 1, 2, 4, 5, 6, 7))) == 0


def test_the_interval_is_knowledge() -> None:
    fresh = random_keys(50, 21)[:20]
    low, high = int(fresh[0]), int(fresh[-1]) + 1
    round_trip(fresh, 21, low=low, high=high)
    assert len(round_trip(keys(77777), 21, low=77777, high=77778)) == 0
    assert len(round_trip(keys(77777), 21, low=77777, high=77779)) <= 1
    near = keys(2**62 - 1, 2**62)  # on both sides of the middle
    round_trip(near, 21, low=2**62 - 1, high=2**62 + 1)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 1.0])
def test_known_keys_are_context(share: float) -> None:
    everything, bits = surface_keys(600)
    known = np.random.default_rng(2).random(len(everything)) < share
    data = round_trip(everything[~known], bits, everything[known])
    out = by_reference(data, everything[known], 0, 1 << (3 * bits), bits, int((~known).sum()))
    assert out == everything[~known].tolist()


def test_slices_and_levels_agree_with_the_reference() -> None:
    everything, bits = surface_keys(700, seed=8)
    level = np.random.default_rng(4).integers(0, 3, len(everything))
    edges = [0, int(everything[150]), int(everything[400]) - 1, 1 << (3 * bits)]
    for low, high in itertools.pairwise(edges):
        inside = (everything >= low) & (everything < high)
        for one in range(3):
            known, fresh = everything[inside & (level < one)], everything[inside & (level == one)]
            data = round_trip(fresh, bits, known, low, high)
            assert by_reference(data, known, low, high, bits, len(fresh)) == fresh.tolist()


@pytest.mark.parametrize(
    ("known", "fresh", "low", "high", "bits"),
    [
        ([], [5, 5], 0, 512, 3),  # twice
        ([], [6, 5], 0, 512, 3),  # not sorted
        ([6, 5], [1], 0, 512, 3),
        ([5], [5], 0, 512, 3),  # known already
        ([], [5], 6, 512, 3),  # outside the interval
        ([], [5], 0, 5, 3),
        ([5], [7], 6, 512, 3),
        ([], [5], 0, 513, 3),  # interval outside the cube
        ([], [5], 9, 4, 3),
        ([], [5], 0, 512, 0),  # depth
        ([], [5], 0, 512, 22),
    ],
)
def test_what_cannot_be_coded_is_refused(
    known: list[int], fresh: list[int], low: int, high: int, bits: int
) -> None:
    k, f = np.array(known, np.uint64), np.array(fresh, np.uint64)
    with pytest.raises(ValueError, match="sorted, distinct"):
        _codec.encode_positions(k, f, low, high, bits)


def test_impossible_counts_are_damage() -> None:
    data = bytes(range(256))
    assert _codec.decode_positions(data, NONE, 0, 8, 1, 9) is None
    assert _codec.decode_positions(data, keys(0, 1), 0, 8, 1, 7) is None
    assert _codec.decode_positions(data, NONE, 5, 5, 1, 1) is None
    assert _codec.decode_positions(data, NONE, 0, 8, 1, 2**40) is None
    assert _codec.decode_positions(b"", NONE, 0, 1 << 48, 16, 5000) is None


def test_damage_gives_nothing_or_a_legal_answer() -> None:
    everything, bits = surface_keys(2500)
    rng = np.random.default_rng(0)
    known = everything[rng.random(len(everything)) < 0.4]
    fresh = np.setdiff1d(everything, known)
    low, high = int(everything[0]), int(everything[-1]) + 1
    data = _codec.encode_positions(known, fresh, low, high, bits)
    noticed = 0
    for trial in range(200):
        bad = bytearray(data)
        if trial % 3 == 0:
            del bad[int(rng.integers(0, len(bad))) :]
        else:
            for at in rng.integers(0, len(bad), 1 + trial % 5):
                bad[at] ^= 1 << int(rng.integers(0, 8))
        out = _codec.decode_positions(bytes(bad), known, low, high, bits, len(fresh))
        if out is None:
            noticed += 1
            continue
        assert len(out) == len(fresh) and (np.diff(out.astype(object)) > 0).all()
        assert out[0] >= low and out[-1] < high
        assert not np.isin(out, known).any()
    assert noticed > 190


def test_the_reference_notices_damage_too() -> None:
    fresh, bits = surface_keys(300)
    data = bytearray(round_trip(fresh, bits))
    data[len(data) // 3] ^= 16
    assert _codec.decode_positions(bytes(data), NONE, 0, 1 << (3 * bits), bits, len(fresh)) is None
    with pytest.raises(BitstreamError):
        by_reference(bytes(data), NONE, 0, 1 << (3 * bits), bits, len(fresh))


def test_the_start_state_is_pinned() -> None:
    slots, weights = _codec.position_priors()
    digest = hashlib.sha256(slots.astype("<u2").tobytes() + weights.astype("<i4").tobytes()).hexdigest()
    assert digest.startswith(PRIORS)


def test_the_bytes_are_pinned() -> None:
    x, y, z = np.mgrid[0:32, 0:32, 0:32].reshape(3, -1)
    ball = np.abs((x - 16) ** 2 + (y - 16) ** 2 + (z - 16) ** 2 - 150) < 20
    fresh = bench.keys_of(np.stack([x, y, z], 1)[ball] * 37 % 1021)
    known, fresh = fresh[::3], np.delete(fresh, slice(None, None, 3))
    data = round_trip(fresh, 10, known)
    assert (len(data), hashlib.sha256(data).hexdigest()[:16]) == BALL


def test_nested_lattices_cost_less_than_loose_points() -> None:
    points, stride = bench.surfaces(40_000)
    on = np.round(points / stride[:, None]) * stride[:, None]
    loose = on + np.floor(np.random.default_rng(1).uniform(-0.5, 0.5, on.shape) * stride[:, None] + 0.5)
    sizes = [8 * bench.coded(k, 11).bytes / len(k) for k in (bench.keys_of(on), bench.keys_of(loose))]
    assert sizes[0] < 0.8 * sizes[1]


@pytest.mark.parametrize("name", list(bench.GPCC))
def test_smaller_than_gpcc(name: str) -> None:
    if not (DATA / name).is_dir():
        pytest.skip(f"needs {DATA / name}")
    cloud = bench.quantized(bench.colmap_points(DATA / name))
    whole = bench.coded(cloud, 16).bytes
    assert 8 * whole / len(cloud) < 0.985 * bench.GPCC[name]
    assert bench.coded(cloud, 16, size=16384).bytes < 1.01 * whole
    level = np.random.default_rng(0).integers(0, 3, len(cloud))
    rate = 8 * bench.coded(cloud, 16, level).bytes / len(cloud)
    assert rate < 1.03 * (8 * whole / len(cloud) + bench.entropy(level))


PROGRAM = r"""
#include <cstdio>
#include <random>
#include "codec/positions/positions.hpp"
using namespace gspc;
int main() {
  std::mt19937_64 rng(1);
  for (int trial = 0; trial < 126; ++trial) {
    const int bits = 1 + trial % 21;
    const uint64_t end = uint64_t{1} << (3 * bits);
    std::vector<uint64_t> known, fresh, out;
    const uint64_t step = end / 400 + 1;
    for (uint64_t key = rng() % step; key < end; key += 1 + rng() % (2 * step))
      (rng() % 3 ? fresh : known).push_back(key);
    BinaryEncoder encoder;
    if (!encode_positions(encoder, known, fresh, {0, end}, bits)) return 1;
    std::vector<uint8_t> good = encoder.finish();
    {
      std::vector<uint8_t> exact(good);  // so that one byte too far is seen
      exact.shrink_to_fit();
      BinaryDecoder decoder(exact.data(), exact.size());
      if (!decode_positions(decoder, known, {0, end}, bits, fresh.size(), out) || out != fresh) return 2;
      if (!decoder.finished()) return 3;
    }
    for (int damage = 0; damage < 20; ++damage) {
      std::vector<uint8_t> bad(good);
      if (damage % 4 == 0) bad.resize(bad.empty() ? 0 : rng() % bad.size());
      for (int i = 0; i <= damage && !bad.empty(); ++i)
        bad[rng() % bad.size()] ^= static_cast<uint8_t>(rng());
      if (damage == 19) for (auto& b : bad) b = static_cast<uint8_t>(rng());
      bad.shrink_to_fit();
      out.clear();
      BinaryDecoder decoder(bad.data(), bad.size());
      const size_t n = damage % 5 == 0 ? rng() % 2000 : fresh.size();
      if (!decode_positions(decoder, known, {0, end}, bits, n, out) && !out.empty()) return 4;
      if (!out.empty() && out.size() != n) return 5;
    }
  }
  return 0;
}
"""


def test_hostile_bytes_under_sanitizers(tmp_path: Path) -> None:
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("needs g++")
    source, program = tmp_path / "hostile.cpp", tmp_path / "hostile"
    source.write_text(PROGRAM)
    flags = ["-std=c++17", "-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    sources = [str(source), *map(str, sorted((ROOT / "kernels/codec/positions").glob("*.cpp")))]
    built = subprocess.run(
        [compiler, *flags, f"-I{ROOT / 'kernels'}", *sources, "-o", str(program)],
        capture_output=True,
        check=False,
    )
    if b"cannot find" in built.stderr:
        pytest.skip("needs the sanitizer libraries")
    assert built.returncode == 0, built.stderr.decode()
    ran = subprocess.run([str(program)], capture_output=True, check=False)
    assert ran.returncode == 0, ran.stderr.decode()
