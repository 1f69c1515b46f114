"""The rasterizer's entries: what they refuse, numpy without torch, memory, and timings for who asks."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from test_raster import make_camera, make_scene, render_kernel

from gspc.errors import BackendError
from gspc.ops import arrays
from gspc.ops.kernels import kernels
from gspc.ops.raster import rasterize


def test_memory_is_reused() -> None:
    camera, scene = make_camera(400, 300, 400.0), make_scene(20000, 1)
    for _ in range(4):
        render_kernel(scene, camera)
    kept = kernels().pool_kept_bytes()
    for _ in range(4):
        render_kernel(scene, camera)
    assert kept > 1 << 20
    assert kernels().pool_kept_bytes() <= kept * 1.5
    kernels().pool_trim()
    assert kernels().pool_kept_bytes() == 0


def test_timings_are_for_who_asks() -> None:
    """Each call adds to the timings it is given, and to no others."""
    scene, camera = [t.numpy() for t in make_scene(200)], make_camera(64, 48)
    view = camera[0].reshape(16).tolist(), list(camera[1]), *camera[2:4], list(camera[4])
    forward, both = kernels().RasterTimings(), kernels().RasterTimings()
    kernels().raster_forward(*scene, *view, timings=forward)
    image, _, _, state = kernels().raster_forward(*scene, *view, timings=both)
    kernels().raster_backward(state, *scene, np.ones_like(image), None, timings=both)
    before = forward.parts
    kernels().raster_backward(state, *scene, np.ones_like(image), None)
    assert forward.parts == before
    names = ["projection", "sorting", "binning", "blending", "blending backward", "projection backward"]
    for timings, count in ((forward, 4), (both, 6)):
        assert [name for name, _, _ in timings.parts] == names
        assert [wall > 0 for _, wall, _ in timings.parts] == [i < count for i in range(6)]
        assert all(cpu >= 0 for _, _, cpu in timings.parts)


def test_numpy_entries_without_torch() -> None:
    code = (
        "import sys, numpy as np\n"
        "from gspc.ops import arrays\n"
        "f = lambda *s: np.full(s, 0.5, np.float32)\n"
        "r = arrays.rasterize(f(3, 3), f(3, 4), f(3, 3), f(3), f(3, 3), np.eye(4), (20, 20, 8, 8), 16, 16)\n"
        "g = arrays.rasterize_backward(r, f(3, 3), f(3, 4), f(3, 3), f(3), f(3, 3), np.ones_like(r.image))\n"
        "assert r.image.shape == (16, 16, 3) and r.alpha.max() > 0.4 and np.abs(g.colors).max() > 0\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_errors() -> None:
    camera, scene = make_camera(), make_scene(4)
    with pytest.raises(ValueError, match=r"quats: float32 \[4, 4\] expected"):
        rasterize(scene[0], scene[1][:3], *scene[2:], *camera)
    with pytest.raises(ValueError, match="means: float32"):
        rasterize(scene[0].double(), *scene[1:], *camera)
    with pytest.raises(ValueError, match="means: float32"):
        rasterize(scene[0][0], *scene[1:], *camera)
    with pytest.raises(ValueError, match=r"world_to_camera \[4, 4\]"):
        rasterize(*scene, torch.eye(3), *camera[1:])
    for size in ((0, 5), (5, -1), (20000, 5)):
        with pytest.raises(ValueError, match="width and height"):
            rasterize(*scene, *camera[:2], *size, camera[4])
    with pytest.raises(ValueError, match="positive focal lengths"):
        rasterize(*scene, camera[0], (0.0, 50.0, 5.0, 5.0), *camera[2:])
    with pytest.raises(ValueError, match="must be finite"):
        rasterize(*scene, camera[0] * math.nan, *camera[1:])
    with pytest.raises(BackendError, match="on the CPU only"):
        rasterize(scene[0].to("meta"), *scene[1:], *camera)
    numpy_scene = [t.numpy() for t in scene]
    with pytest.raises(ValueError, match="scales: contiguous float32"):
        arrays.rasterize(*numpy_scene[:2], numpy_scene[2].T, *numpy_scene[3:], np.eye(4), *camera[1:])
    raster = arrays.rasterize(*numpy_scene, np.eye(4), *camera[1:])
    with pytest.raises(ValueError, match="grad_image"):
        arrays.rasterize_backward(raster, *numpy_scene, raster.image[:5])
    with pytest.raises(ValueError, match="not the Gaussians"):
        arrays.rasterize_backward(raster, *(a[:2] for a in numpy_scene), raster.image)
