"""glTF files of Gaussians as three.js loads them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from splat_scenes import random_splats

from gspc.splats import to_frame, write_splats
from gspc.splats.harmonics import C0

THREE = "GSPC_THREE"  # environment variable: the folder of the npm package `three`
PROGRAM = Path(__file__).parent / "three_reads_glb.mjs"


def test_three_reads_what_we_write(tmp_path: Path) -> None:
    """Count, places, shapes, opacities, every harmonic, and the plain color that viewers without the
    extension show, y up."""
    three, node = os.environ.get(THREE), shutil.which("node")
    if not three or not node:
        pytest.skip(f"needs node, and three (npm install three), whose folder {THREE} names")
    splats = random_splats(200)
    path = tmp_path / "scene.glb"
    path.write_bytes(write_splats(splats, "glb"))
    ran = subprocess.run(
        [node, PROGRAM, three, path], capture_output=True, text=True, timeout=100, check=True
    )
    (points,) = json.loads(ran.stdout)
    assert points["type"] == "Points"
    np.testing.assert_array_equal(points["matrix"], np.eye(4).reshape(-1))
    found = {name: np.array(rows) for name, rows in points["attributes"].items()}
    upright = to_frame(splats, "LUF")  # as glTF has it: the front looks along z
    own = "khr_gaussian_splatting:"
    np.testing.assert_array_equal(found["position"].astype(np.float32), upright.means)
    np.testing.assert_allclose(found[f"{own}scale"], upright.scales, rtol=1e-6)
    np.testing.assert_allclose(found[f"{own}opacity"][:, 0], upright.opacities, atol=1e-6)
    turns = found[f"{own}rotation"][:, [3, 0, 1, 2]]  # xyzw to wxyz
    quats = upright.quats / np.linalg.norm(upright.quats, axis=1, keepdims=True)
    np.testing.assert_allclose(np.abs((turns * quats).sum(axis=1)), 1, atol=1e-6)
    names = [f"{own}sh_degree_{degree}_coef_{n}" for degree in range(4) for n in range(2 * degree + 1)]
    harmonics = np.stack([found[name] for name in names], axis=1)
    np.testing.assert_allclose(harmonics, upright.sh, atol=1e-6)
    tints = np.clip(0.5 + C0 * upright.sh[:, 0], 0, 1)
    np.testing.assert_allclose(found["color"][:, :3], tints, atol=0.5 / 255 + 1e-6)
