"""Plain Gaussians for tests, and how to compare two sets of them."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from data_scenes import SHARED
from scipy.spatial.transform import Rotation

from gspc.splats import Splats, checked

FILES = SHARED / "splats"
SPLAT_TRANSFORM = "SPLAT_TRANSFORM"  # environment variable: the command, such as "node .../cli.mjs"


def random_splats(count: int = 600, degree: int = 3, seed: int = 0) -> Splats:
    """Gaussians of sizes, opacities and harmonics as scenes have them."""
    rng = np.random.default_rng(seed)
    sh = rng.normal(0, 0.08, (count, (degree + 1) ** 2, 3))
    sh[:, 0] = np.clip(rng.normal(0, 1, (count, 3)), -3, 3)  # a byte of SPZ ends at 3.3
    return checked(
        Splats(
            means=rng.normal(0, 2, (count, 3)).astype(np.float32),
            quats=rng.normal(size=(count, 4)).astype(np.float32),
            log_scales=rng.normal(-4, 1, (count, 3)).astype(np.float32),
            logits=rng.normal(0, 2, count).astype(np.float32),
            sh=sh.astype(np.float32),
        )
    )


def matched(found: Splats, wanted: Splats) -> Splats:
    """`found` in the order of `wanted`: formats sort by place or weight."""
    from scipy.spatial import cKDTree

    rows = cKDTree(found.means).query(wanted.means)[1]
    assert len(set(rows)) == wanted.count == found.count
    return found.take(rows)


def matrices(quats: np.ndarray) -> np.ndarray:  # [M, 4] wxyz -> [M, 3, 3]
    return Rotation.from_quat(quats[:, [1, 2, 3, 0]]).as_matrix()


def differences(found: Splats, wanted: Splats) -> dict[str, float]:
    """Largest differences by what a Gaussian is; rotations as matrices, whose signs are no choice."""
    degree = min(found.degree, wanted.degree)
    a, b = found.with_degree(degree), wanted.with_degree(degree)
    pairs = {
        "means": (a.means, b.means),
        "rotations": (matrices(a.quats), matrices(b.quats)),
        "log_scales": (a.log_scales, b.log_scales),
        "opacities": (a.opacities, b.opacities),
        "dc": (a.sh[:, 0], b.sh[:, 0]),
        "rest": (a.sh[:, 1:], b.sh[:, 1:]),
    }
    return {name: float(np.abs(x - y).max(initial=0)) for name, (x, y) in pairs.items()}


def shared(name: str) -> bytes:
    """A file of the shared data; skips where it is missing."""
    path = FILES / name
    if not path.is_file():
        pytest.skip(f"{path} is not here")
    return path.read_bytes()


def splat_transform(source: Path, target: Path, *options: str) -> None:
    """Converts with PlayCanvas' own tool; skips where it is missing or older than 3."""
    named = os.environ.get(SPLAT_TRANSFORM) or shutil.which("splat-transform")
    if not named:
        pytest.skip(f"splat-transform 3 is not here; name its command in {SPLAT_TRANSFORM}")
    command = [*named.split(), "-w", "-q", "-g", "cpu", "--max-workers", "0"]
    done = subprocess.run(
        [*command, *options, str(source), str(target)], capture_output=True, timeout=200, check=False
    )
    if done.returncode and b"node" in done.stderr.lower() and b"unsupported" in done.stderr.lower():
        pytest.skip("splat-transform needs Node 22")
    assert done.returncode == 0, done.stderr.decode()
