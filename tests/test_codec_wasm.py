"""`make wasm`, and the golden streams through it under node."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gspc.codec import decode

ROOT = Path(__file__).parent.parent
GOLDEN = ROOT / "tests/golden"
HASHES: dict[str, list[str]] = json.loads((GOLDEN / "hashes.json").read_text())
BUILD_SECONDS = 540


@pytest.fixture(scope="module")
def module() -> Path:
    """pcgs.wasm, built where it stays: only what changed is compiled again."""
    missing = [name for name in ("emcc", "node", "make") if shutil.which(name) is None]
    if missing:
        pytest.skip(f"no {', '.join(missing)} here")
    subprocess.run(
        ["make", f"-j{os.cpu_count()}", "wasm"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        timeout=BUILD_SECONDS,
    )
    return ROOT / "build/wasm/pcgs.wasm"


def run(module: Path, *asked: tuple[Path, int]) -> list[dict[str, Any]]:
    """The answers to (stream, level; 0: the last)."""
    lines = "\n".join(json.dumps([str(path), level]) for path, level in asked)
    program = ROOT / "tests/codec_cli/wasm_decode.mjs"
    command = ["node", str(program), str(module)]
    out = subprocess.run(command, input=lines.encode(), capture_output=True, check=True, timeout=120).stdout
    return [json.loads(line) for line in out.splitlines()]


def test_golden_streams(module: Path) -> None:
    asked = [(name, level) for name, hashes in HASHES.items() for level in range(1, len(hashes) + 1)]
    got = run(module, *((GOLDEN / f"{name}.pcgs", level) for name, level in asked))
    assert [answer.get("symbolHash") for answer in got] == [HASHES[name][level - 1] for name, level in asked]


@pytest.mark.parametrize("name", ["three-levels", "shared-pool", "own-planes", "pool-only"])
def test_values(module: Path, name: str) -> None:
    path = GOLDEN / f"{name}.pcgs"
    (got,) = run(module, (path, 0))
    want = decode(path.read_bytes()).scene
    assert (got["level"], got["levels"], got["truncated"]) == (3, 3, False)
    assert got["count"] == len(want.anchors) and got["cameras"] == len(want.cameras)
    assert got["alive"] == int(want.gaussian_mask.sum())
    arrays = (want.anchors, want.features, want.log_scales, want.offsets)
    np.testing.assert_allclose(got["sums"], [float(np.sum(a, dtype=np.float64)) for a in arrays], rtol=1e-6)
    assert (got["features"], got["residuals"]) == (want.features.shape[1], want.residuals)
    h = want.heads
    layers = ((h.w1, h.b1), (h.w_opacity, h.b_opacity), (h.w_color, h.b_color), (h.w_cov, h.b_cov))
    for (outputs, inputs, *totals), layer in zip(got["heads"], layers, strict=True):
        assert (outputs, inputs) == layer[0].shape
        assert totals == pytest.approx(
            [float(part.sum(dtype=np.float64)) for part in layer], rel=1e-5, abs=1e-6
        )
    assert json.loads(got["metadata"])["metadata"] == dict(want.metadata)


def test_errors_are_exceptions(module: Path, tmp_path: Path) -> None:
    data = (GOLDEN / "three-levels.pcgs").read_bytes()
    flipped = bytearray(data)
    flipped[-1] ^= 1
    cases = {
        b"hello": "bad magic",
        b"": "empty",
        data[:100]: "truncated",
        bytes(flipped): "checksum error",
    }
    paths = []
    for i, content in enumerate(cases):
        paths.append(tmp_path / f"{i}.pcgs")
        paths[-1].write_bytes(content)
    answers = run(module, *((path, 0) for path in paths), (GOLDEN / "three-levels.pcgs", 4))
    for answer, part in zip(answers, [*cases.values(), "level 4 was asked for"], strict=True):
        assert part in answer["error"]
