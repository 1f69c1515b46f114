"""Choosing a rasterizer, and gsplat behind our interface (a stand-in plays its part: no GPU is needed)."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import types

import fake_gsplat
import numpy as np
import pytest
import torch
from rendering_scenes import random_scene

from gspc.errors import BackendError
from gspc.rendering import render_view
from gspc.rendering.heads import reference_gaussians
from gspc.rendering.rasterizer import Backend, choose_backend, rasterize

CUDA = Backend("cuda", "cpu", "the stand-in on CPU tensors")
CPU = Backend("cpu", "cpu", "test")


@pytest.fixture
def gsplat(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """gsplat as an installed package with a compiled module, on a machine with one GPU."""
    package = types.ModuleType("gsplat")
    package.__version__ = "1.5.3"
    package.rasterization = fake_gsplat.rasterization
    cuda = types.ModuleType("gsplat.cuda")
    backend = types.ModuleType("gsplat.cuda._backend")
    backend._C = object()
    for module in (package, cuda, backend):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    package.backend = backend
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device=None: "Test GPU")
    return package


def test_cpu_is_chosen_without_torch() -> None:
    code = (
        "import sys; from gspc.rendering import choose_backend; b = choose_backend('cpu');"
        "assert b.name == b.device == 'cpu', b; assert not {'torch', 'gsplat'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_without_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setitem(sys.modules, "gsplat", None)  # importing it would fail: it must not be tried
    backend = choose_backend("auto")
    assert (backend.name, backend.device) == ("cpu", "cpu")
    assert backend.reason == "backend cpu: torch sees no CUDA device"
    for device in ("cuda", "cuda:0"):
        message = f"device '{device}' cannot be used: torch sees no CUDA device"
        with pytest.raises(BackendError, match=message) as caught:
            choose_backend(device)
        assert caught.value.exit_code == 5


@pytest.mark.parametrize("device", ["gpu", "", "cuda:", "cuda:x", "cuda:-1", "mps", "1"])
def test_unknown_devices(device: str) -> None:
    with pytest.raises(BackendError, match="is unknown; use auto, cpu or cuda"):
        choose_backend(device)


def test_with_a_gpu(gsplat) -> None:
    for device, place in (("auto", "cuda"), ("cuda", "cuda"), ("cuda:0", "cuda:0")):
        backend = choose_backend(device)
        assert (backend.name, backend.device) == ("cuda", place)
        assert backend.reason.startswith("backend cuda: Test GPU, ") and "\n" not in backend.reason
    assert choose_backend("cpu").name == "cpu"
    with pytest.raises(BackendError, match=r"torch sees 1 CUDA device\(s\)"):
        choose_backend("cuda:1")


def fails(error: Exception):
    class Broken(types.ModuleType):
        @property
        def _C(self) -> object:
            raise error

    return Broken("gsplat.cuda._backend")


def test_gsplat_that_does_not_load_is_not_chosen(gsplat, monkeypatch: pytest.MonkeyPatch) -> None:
    cases = [
        (fails(RuntimeError("Error building\nlong log\n")), "kernels do not load .Error building."),
        (fails(OSError("libcudart.so.11: not found")), "kernels do not load .libcudart.so.11: not found."),
        (None, "does not import"),
    ]
    for module, message in cases:
        monkeypatch.setitem(sys.modules, "gsplat.cuda._backend", module)
        backend = choose_backend("auto")
        assert backend.name == "cpu" and "\n" not in backend.reason
        with pytest.raises(BackendError, match=message):
            choose_backend("cuda")
    monkeypatch.setitem(sys.modules, "gsplat.cuda._backend", gsplat.backend)
    gsplat.backend._C = None
    with pytest.raises(BackendError, match="kernels are not built and no CUDA toolkit"):
        choose_backend("cuda")
    gsplat.backend._C = object()
    gsplat.__version__ = "9.0.0"  # newer: what counts is what it takes
    assert choose_backend("cuda").reason.endswith("rasterizer gsplat 9.0.0")
    gsplat.__version__, gsplat.rasterization = "1.4.0", lambda means, near_plane, packed: None
    wanted = r"gsplat 1\.4\.0 is installed, which has no backgrounds, .*; gspc needs 1\.5\.3"
    with pytest.raises(BackendError, match=wanted):
        choose_backend("cuda")


def test_missing_gsplat_is_said(gsplat, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gsplat", None)
    assert choose_backend("auto").name == "cpu"
    with pytest.raises(BackendError, match=r"pip install 'gspc\[cuda\]'"):
        choose_backend("cuda")


def test_gsplat_does_not_talk_on_stdout(gsplat, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    import importlib

    real = importlib.import_module

    def talking(name: str) -> types.ModuleType:
        sys.stdout.write(f"Setting up {name}")
        return real(name)

    monkeypatch.setattr(importlib, "import_module", talking)
    assert choose_backend("cuda").name == "cuda"
    captured = capsys.readouterr()
    assert captured.out == "" and "Setting up gsplat" in captured.err


def tensors(seed: int = 0) -> tuple[list[torch.Tensor], object]:
    scene = random_scene(20, seed=seed)
    gaussians = reference_gaussians(scene, scene.cameras[0])
    return [torch.from_numpy(value.copy()).requires_grad_() for value in gaussians.parts], scene.cameras[0]


def run(backend: Backend, background=(0.2, 0.4, 0.6)):
    values, view = tensors()
    output = rasterize(backend, *values, view, background)
    weight = torch.from_numpy(np.random.default_rng(0).standard_normal(output.image.shape).astype(np.float32))
    ((output.image * weight).sum() + (output.alpha * weight[..., 0]).sum()).backward()
    return output, [value.grad for value in values], values


def test_gsplat_output_in_our_conventions(gsplat) -> None:
    output, grads, values = run(CUDA)
    count = len(values[0])
    assert output.image.shape == (36, 48, 3) and output.alpha.shape == (36, 48)
    assert output.radii.shape == (count,) and output.radii.dtype == torch.int32
    assert int(output.radii.max()) > 0
    assert output.means2d_grad.shape == (count, 2)
    assert all(grad is not None and torch.isfinite(grad).all() for grad in grads)


def test_screen_space_gradient_is_in_pixels(gsplat) -> None:
    """A shift of the principal point shifts all projected means: their gradients add up to its derivative."""
    values, view = tensors()
    ramp = torch.arange(48, dtype=torch.float64)[None, :, None] / 48
    output = rasterize(CUDA, *values, view, (0.2, 0.4, 0.6))
    (output.image * ramp).sum().backward()
    step, losses = 0.05, []
    for sign in (-1, 1):
        moved = dataclasses.replace(view, cx=view.cx + sign * step)
        with torch.no_grad():
            image = rasterize(CUDA, *values, moved, (0.2, 0.4, 0.6)).image
        losses.append(float((image * ramp).sum()))
    slope = (losses[1] - losses[0]) / (2 * step)
    # 5 %: the edges where alpha drops below 1/255 move too, which no gradient sees.
    assert float(output.means2d_grad[:, 0].sum()) == pytest.approx(slope, rel=0.05)


def test_both_backends_agree(gsplat) -> None:
    """Image, alpha, every gradient, the screen-space gradient and what counts as visible."""
    ours, our_grads, *_ = run(CPU)
    theirs, their_grads, *_ = run(CUDA)
    torch.testing.assert_close(ours.image, theirs.image, rtol=0, atol=2e-5)
    torch.testing.assert_close(ours.alpha, theirs.alpha, rtol=0, atol=2e-5)
    for a, b in zip(our_grads, their_grads, strict=True):
        torch.testing.assert_close(a, b, rtol=2e-3, atol=2e-3 * float(b.abs().max()))
    scale = float(theirs.means2d_grad.abs().max())
    torch.testing.assert_close(ours.means2d_grad, theirs.means2d_grad, rtol=2e-3, atol=2e-3 * scale)
    assert torch.equal(ours.radii > 0, theirs.radii > 0)


@pytest.mark.parametrize("backend", [CPU, CUDA])
def test_no_gaussians_leave_the_background(gsplat, backend: Backend) -> None:
    _, view = tensors()
    empty = [torch.zeros(0, n, requires_grad=True) for n in (3, 4, 3)]
    opacities, colors = torch.zeros(0, requires_grad=True), torch.zeros(0, 3, requires_grad=True)
    output = rasterize(backend, *empty, opacities, colors, view, (0.25, 0.5, 1.0))
    assert torch.equal(output.image, torch.tensor([0.25, 0.5, 1.0]).expand(36, 48, 3))
    assert torch.equal(output.alpha, torch.zeros(36, 48))
    assert output.radii.shape == (0,) and output.means2d_grad.shape == (0, 2)
    output.image.sum().backward()


def test_without_gradients(gsplat) -> None:
    values, view = tensors()
    with torch.no_grad():
        output = rasterize(CUDA, *values, view, (0, 0, 0))
    assert not output.image.requires_grad and float(output.means2d_grad.abs().sum()) == 0


def test_a_decoded_scene_on_cuda_looks_the_same(gsplat) -> None:
    scene = random_scene(40)
    for view in scene.cameras:
        theirs = render_view(scene, view, backend=CUDA)
        assert theirs.dtype == np.float32
        np.testing.assert_allclose(theirs, render_view(scene, view), atol=2e-5)
    empty = random_scene(0)
    assert np.array_equal(
        render_view(empty, empty.cameras[0], backend=CUDA), np.ones((36, 48, 3), np.float32)
    )
