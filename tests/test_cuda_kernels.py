"""The CUDA kernels without a GPU: compiled by nvcc for every architecture, and run on the host by a small
emulation.

The emulation (cuda_on_host.hpp) runs the very sources, launches and barriers included, through the same
ctypes calls and autograd functions that a GPU machine uses, and compares them with the CPU kernels.
"""

from __future__ import annotations

import ctypes
import re
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cuda_close import by_each

from gspc.errors import BackendError
from gspc.format.grid import GridPlane, GridSpec
from gspc.ops import arrays, cuda
from gspc.ops import grid as grid_ops
from gspc.ops import ssim as ssim_ops
from gspc.ops.grid import cuda as grid_cuda
from gspc.ops.grid import definition as grid_definition
from gspc.ops.ssim import cuda as ssim_cuda
from gspc.ops.ssim import definition


@pytest.mark.skipif(cuda.nvcc() is None, reason="nvcc is not on this machine")
@pytest.mark.parametrize("architecture", ["75", "80", "90", "120"])
def test_nvcc_builds_them(architecture: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And every kernel has registers for what it holds: nothing spills to memory."""
    compiler = cuda.nvcc()
    assert compiler is not None
    said: list[str] = []
    real = subprocess.run

    def run(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        result = real([*command, "-Xptxas", "-v"], **options)
        said.append(result.stdout + result.stderr)
        return result

    with monkeypatch.context() as patch:
        patch.setattr(subprocess, "run", run)
        path = cuda.build(architecture, tmp_path / "cache", compiler)
    spills = re.findall(r"(\d+) bytes spill stores, (\d+) bytes spill loads", "".join(said))
    assert len(spills) > 30 and set(spills) == {("0", "0")}
    library = cuda.load(
        path
    )  # every function is there; the CUDA runtime is linked in and needs no driver to load
    assert library.gspc_photometric_tiles(17, 16) == 2
    assert list((tmp_path / "cache").iterdir()) == [path] and f"sm{architecture}" in path.name
    before = path.stat().st_mtime_ns
    assert cuda.build(architecture, tmp_path / "cache", compiler) == path
    assert path.stat().st_mtime_ns == before  # taken from the cache


def test_build_failures_are_one_line(tmp_path: Path) -> None:
    compiler = tmp_path / "nvcc"
    compiler.write_text(
        "#!/bin/sh\necho 'note'; echo 'x.cu(3): error: no such thing' >&2; echo more >&2; exit 2\n"
    )
    compiler.chmod(0o755)
    with pytest.raises(
        BackendError, match=r"nvcc cannot build gspc's kernels: x\.cu\(3\): error: no such thing$"
    ):
        cuda.build("90", tmp_path / "cache", str(compiler))
    assert list((tmp_path / "cache").iterdir()) == []
    with pytest.raises(BackendError, match="cannot be built in"):
        cuda.build("90", tmp_path / "cache", str(tmp_path / "missing"))
    (tmp_path / "file").write_text("")
    with pytest.raises(BackendError, match="cannot be built in"):
        cuda.build("90", tmp_path / "file", str(compiler))


def test_cache_key_covers_sources_and_architecture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiler = tmp_path / "nvcc"
    compiler.write_text('#!/bin/sh\nwhile [ "$1" != -o ]; do shift; done; echo built > "$2"\n')
    compiler.chmod(0o755)
    source = tmp_path / "a.cu"
    source.write_text("one")
    monkeypatch.setattr(cuda, "sources", lambda: (source,))
    first = cuda.build("80", tmp_path / "cache", str(compiler))
    assert first.read_text() == "built\n" and cuda.build("90", tmp_path / "cache", str(compiler)) != first
    source.write_text("two")
    assert cuda.build("80", tmp_path / "cache", str(compiler)) != first
    monkeypatch.setattr(cuda, "sources", lambda: ())
    with pytest.raises(BackendError, match="sources are missing"):
        cuda.build("80", tmp_path / "cache", str(compiler))


def test_nothing_happens_without_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    monkeypatch.setattr(cuda, "build", lambda *arguments: pytest.fail("built without a GPU"))
    cuda._library.cache_clear()
    assert cuda.why_not() == "torch sees no CUDA device"
    with pytest.raises(BackendError, match="CUDA kernels cannot be used: torch sees no CUDA device"):
        grid_cuda.grid_context(torch.zeros(1, 3, dtype=torch.int32), torch.zeros(SPEC.total_entries, 4), SPEC)


def test_operators_take_them_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    for value, reason, expected in (
        (None, None, "gspc's own CUDA kernels"),
        ("1", None, "gspc's own CUDA kernels"),
        (None, "no nvcc", "torch's operations: no nvcc"),
        ("0", None, "torch's operations: GSPC_CUDA_KERNELS=0 asks for them"),
    ):
        monkeypatch.delenv("GSPC_CUDA_KERNELS", raising=False)
        if value is not None:
            monkeypatch.setenv("GSPC_CUDA_KERNELS", value)
        monkeypatch.setattr(cuda, "why_not", lambda reason=reason: reason)
        assert cuda.enabled() is ("own" in expected)
        assert cuda.summary() == f"training steps by {expected}"


def test_cache_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GSPC_CACHE", "/somewhere")
    assert cuda.cache_directory() == Path("/somewhere")
    monkeypatch.delenv("GSPC_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/cache")
    assert cuda.cache_directory() == Path("/cache/gspc")


def pictures(height: int, width: int, kind: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(height * 1000 + width)
    image = torch.rand(height, width, 3, generator=generator)
    target = (image + 0.2 * torch.randn(image.shape, generator=generator)).clamp(0, 1)
    target = (target * 255).round().to(torch.uint8) if kind == torch.uint8 else target
    return image.requires_grad_(), target


@pytest.mark.parametrize("kind", [torch.float32, torch.uint8])
@pytest.mark.parametrize("size", [(1, 1), (5, 40), (16, 16), (37, 21)])
def test_photometric_equals_the_cpu(on_host, size: tuple[int, int], kind: torch.dtype) -> None:
    image, target = pictures(*size, kind)
    ours, ours_loss = ssim_cuda.photometric(image, target, 0.2)
    ours_loss.backward()
    twin = image.detach().clone().requires_grad_()
    loss = ssim_ops.picture_loss(twin, target, 0.2)[0]
    loss.backward()
    same = arrays.photometric(twin.detach().numpy(), target.numpy(), 0.2, gradient=False)
    assert float(ours_loss.detach()) == pytest.approx(float(loss.detach()), abs=1e-6)
    assert float(ours[0].detach()) == pytest.approx(same.l1, abs=1e-6)
    assert float(ours[1].detach()) == pytest.approx(same.ssim, abs=2e-6)
    assert image.grad is not None and twin.grad is not None
    torch.testing.assert_close(image.grad, twin.grad, rtol=1e-4, atol=1e-4 * float(twin.grad.abs().max()))


@pytest.mark.parametrize("root", [False, True])
@pytest.mark.parametrize("weight", [0.0, 1.0, 1.7])
def test_loss_of_a_picture_equals_the_cpu(on_host, weight: float, root: bool) -> None:
    image, target = pictures(37, 21, torch.uint8)
    with torch.no_grad():
        image[3:9] += 0.7  # beyond 1, which drawing does not do
    counting = torch.tensor(weight, dtype=torch.float64)
    means, loss = ssim_cuda.photometric(image, target, 0.2, counting, root=root)
    (2 * loss).backward()
    twin = image.detach().clone().requires_grad_()
    want, squared = ssim_ops.picture_loss(twin, target, 0.2, counting, root=root)
    (2 * want).backward()
    assert float(loss.detach()) == pytest.approx(float(want.detach()), abs=1e-6)
    assert float(means.detach()[2]) * weight == pytest.approx(float(squared), rel=1e-5)
    assert image.grad is not None and twin.grad is not None
    torch.testing.assert_close(image.grad, twin.grad, rtol=1e-4, atol=1e-4 * float(twin.grad.abs().max()))


def test_photometric_gradient_against_differences(on_host) -> None:
    image, target = pictures(13, 18, torch.float32)
    ssim_cuda.photometric(image, target)[0][1].backward()
    direction = torch.randn(image.shape, generator=torch.Generator().manual_seed(1))
    values = []
    for step in (-1e-3, 1e-3):
        moved = image.detach().double() + step * direction.double()
        values.append(float(definition.ssim(moved, target.double())))
    assert image.grad is not None
    assert float((image.grad * direction).sum()) == pytest.approx((values[1] - values[0]) / 2e-3, rel=1e-3)


def test_photometric_repeats_and_needs_no_gradient(on_host) -> None:
    image, target = pictures(40, 35, torch.uint8)
    first = ssim_cuda.photometric(image, target)[0].detach()
    with torch.no_grad():  # also the other order of threads
        assert torch.equal(ssim_cuda.photometric(image, target)[0], first)
        assert torch.equal(ssim_cuda.photometric(image, target)[0], first)
        turned, _ = ssim_cuda.photometric(image.transpose(0, 1), target.transpose(0, 1))  # not contiguous
    torch.testing.assert_close(turned, first, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", [torch.float32, torch.uint8])
@pytest.mark.parametrize("size", [(1, 1), (37, 21)])
def test_squared_error_equals_the_definition(on_host, size: tuple[int, int], kind: torch.dtype) -> None:
    image, target = pictures(*size, kind)
    shown = image.detach() * 1.5 - 0.2  # beyond 0 and 1
    exact = definition.squared_error(shown.double(), target if kind == torch.uint8 else target.double())
    assert float(ssim_cuda.photometric(shown, target)[0][2]) == pytest.approx(float(exact), rel=1e-5)


SPEC = GridSpec(
    box_low=(100, -50, 0),
    box_size=(1000, 2000, 3),
    planes=(
        GridPlane(0, 5, 10),  # dense 3D
        GridPlane(0, 300, 9),  # hashed 3D
        GridPlane(1, 20, 9),  # dense xy
        GridPlane(2, 1000, 8),  # hashed xz
        GridPlane(3, 2047, 10),  # hashed yz
    ),
)


def grid_inputs(count: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(seed)
    positions = rng.integers(-10, 2200, (count, 3), dtype=np.int32)
    positions[: count // 4] = rng.integers(0, 1 << 21, (count // 4, 3))
    table = rng.standard_normal((SPEC.total_entries, 4)).astype(np.float32)
    table[:8] = np.array([0.0, -0.0, 1.0, -1.0, np.nan, 1.0000001, -1.0000001, 1e-45], np.float32)[:, None]
    return torch.from_numpy(positions), torch.from_numpy(table).requires_grad_()


@pytest.mark.parametrize("count", [0, 1, 255, 700])
def test_grid_equals_the_cpu(on_host, count: int) -> None:
    positions, table = grid_inputs(count)
    ours = grid_cuda.grid_context(positions, table, SPEC)
    twin = table.detach().clone().requires_grad_()
    theirs = grid_ops.grid_context(positions, twin, SPEC)
    assert torch.equal(ours, theirs)  # the same integers
    grad = torch.randn(ours.shape, generator=torch.Generator().manual_seed(2))
    ours.backward(grad)
    theirs.backward(grad)
    assert table.grad is not None and twin.grad is not None
    torch.testing.assert_close(table.grad, twin.grad, rtol=1e-5, atol=1e-5)
    assert torch.equal(table.grad == 0, twin.grad == 0)


@pytest.mark.parametrize(("visible", "sampled"), [(400, 90), (0, 3), (5, 0)])
def test_rows_of_the_grid_and_its_signs(
    on_host, monkeypatch: pytest.MonkeyPatch, visible: int, sampled: int
) -> None:
    """All that a step reads of a grid, whose gradients come together."""
    positions, table = grid_inputs(700)
    generator = torch.Generator().manual_seed(5)
    index = torch.randperm(700, generator=generator)[:visible].sort().values
    also = torch.randint(700, (sampled,), generator=generator)

    def run(given: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return grid_ops.grid_rows(positions, given, SPEC, index, also)

    def exact(given: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return grid_definition.grid_rows(positions, given, SPEC, index, also)

    given = table.detach().nan_to_num()
    ours = by_each(monkeypatch, [given], run, exact)
    assert torch.equal(ours[0], grid_ops.grid_context(positions[index], given, SPEC))


def test_a_share_without_rows(on_host) -> None:
    """The gradient of the signs alone, as far as embeddings are not beyond 1."""
    positions, table = grid_inputs(9)
    none = torch.zeros(0, dtype=torch.int64)
    *_, share = grid_cuda.grid_rows(positions, table, SPEC, none, none)
    share.backward()
    inside = table.detach().abs() <= 1
    assert float(share.detach()) == pytest.approx(float((table >= 0).double().mean()), rel=1e-6)
    assert torch.equal(table.grad != 0, inside)
    assert float(table.grad[10].abs().max()) == pytest.approx(0.5 / table.numel(), rel=1e-6)


def test_grid_gradient_does_not_depend_on_order(on_host) -> None:
    positions, table = grid_inputs(400)
    grad = torch.randn(400, 20, generator=torch.Generator().manual_seed(2)) * 1e-7
    results = []
    for order in (torch.arange(400), torch.randperm(400, generator=torch.Generator().manual_seed(3))):
        table.grad = None
        grid_cuda.grid_context(positions[order], table, SPEC).backward(grad[order])
        assert table.grad is not None
        results.append(table.grad.clone())
    assert torch.equal(*results)


@pytest.mark.parametrize("size", [1e-44, 1e-30, 1e30])
def test_grid_gradient_of_any_size(on_host, size: float) -> None:
    """Small or large, the sums are as exact as the floats that hold them; a full entry does not overflow."""
    positions, table = grid_inputs(300)
    positions[:] = positions[-1]
    grid_cuda.grid_context(positions, table, SPEC).backward(torch.full((300, 20), size))
    unit = table.detach().clone().requires_grad_()
    grid_ops.grid_context(positions[:1], unit, SPEC).backward(torch.full((1, 20), 300.0))
    assert table.grad is not None and unit.grad is not None
    expected = unit.grad.double() * float(np.float32(size))
    torch.testing.assert_close(table.grad.double(), expected, rtol=1e-6, atol=2e-45)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_grid_gradient_that_is_not_finite_shows(on_host, bad: float) -> None:
    positions, table = grid_inputs(10)
    grad = torch.zeros(10, 20)
    grad[3, 4] = bad
    grid_cuda.grid_context(positions, table, SPEC).backward(grad)
    assert table.grad is not None
    gate = (table.detach() >= -1) & (table.detach() <= 1)
    assert torch.equal(torch.isnan(table.grad), gate)


def test_the_library_checks_sizes(host_library) -> None:
    good = [0, 0, 0, 1, 1, 1, 0, 5, 10]
    for planes, index, value in (
        *((1, *bad) for bad in ((3, 0), (0, 1 << 23), (6, 4), (7, 0), (7, 2048), (8, 0), (8, 23))),
        (65, 0, 0),
    ):
        shape = np.array(good, np.int32)
        shape[index] = value
        call = grid_cuda._Call(shape=shape.ctypes.data, planes=planes, count=1)
        assert host_library.gspc_grid_forward(ctypes.byref(call), 0) == 1
    flat = ssim_cuda._Call(height=0, width=5, target_bytes=4)
    assert host_library.gspc_photometric_forward(ctypes.byref(flat), 0) == 1
