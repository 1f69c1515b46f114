"""What only a GPU can show: gsplat and our CUDA kernels agree with the CPU there. Skipped where there is
none."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from rendering_scenes import random_scene

from gspc.format.grid import GridPlane, GridSpec
from gspc.ops import cuda
from gspc.ops import grid as grid_ops
from gspc.ops.grid import cuda as grid_cuda
from gspc.ops.ssim import cuda as ssim_cuda
from gspc.ops.ssim import definition
from gspc.rendering import Renderer, choose_backend, rasterize
from gspc.rendering.heads import reference_gaussians

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA device")


@pytest.fixture(scope="module")
def backend():
    chosen = choose_backend("auto")
    if chosen.name != "cuda":
        pytest.skip(chosen.reason)
    return chosen


def test_pictures_of_a_decoded_scene(backend) -> None:
    scene = random_scene(500)
    ours, theirs = Renderer(scene), Renderer(scene, backend)
    for view in scene.cameras:
        difference = np.abs(ours.render(view) - theirs.render(view))
        assert difference.max() < 5e-3 and difference.mean() < 1e-4  # gsplat is built with fast math


def test_gradients_of_the_rasterizer(backend) -> None:
    scene = random_scene(60)
    view = scene.cameras[0]
    gaussians = reference_gaussians(scene, view)
    weight = torch.from_numpy(np.random.default_rng(0).standard_normal((36, 48, 3)).astype(np.float32))
    results = []
    for chosen in (choose_backend("cpu"), backend):
        means, quats, scales, opacities, colors = (
            torch.tensor(value, device=chosen.device, requires_grad=True) for value in gaussians.parts
        )
        output = rasterize(chosen, means, quats, scales, opacities, colors, view, (0.2, 0.4, 0.6))
        (output.image * weight.to(chosen.device)).sum().backward()
        leaves = (means, quats, scales, opacities, colors)
        gradients = [leaf.grad for leaf in leaves] + [output.means2d_grad]
        results.append([gradient.cpu() for gradient in gradients if gradient is not None])
    assert len(results[0]) == len(results[1]) == 6
    for a, b in zip(*results, strict=True):
        assert float((a - b).norm() / a.norm()) < 0.01


def kernels_or_skip() -> None:
    reason = cuda.why_not()
    if reason is not None:
        pytest.skip(reason)


@pytest.mark.parametrize("weight", [1.0, torch.tensor(1.7, dtype=torch.float64)])
@pytest.mark.parametrize("root", [False, True])
@pytest.mark.parametrize("kind", [torch.float32, torch.uint8])
def test_our_photometric_kernels(kind: torch.dtype, root: bool, weight: torch.Tensor | float) -> None:
    kernels_or_skip()
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(187, 250, 3, generator=generator).cuda().requires_grad_()
    target = torch.rand(187, 250, 3, generator=generator)
    target = ((target * 255).to(kind) if kind == torch.uint8 else target).cuda()
    weight = weight.cuda() if isinstance(weight, torch.Tensor) else weight
    ours, ours_loss = ssim_cuda.photometric(image, target, 0.2, weight, root=root)
    ours_loss.backward()
    twin = image.detach().clone().requires_grad_()
    loss, squared = definition.picture_loss(twin, target, 0.2, weight, root=root)
    loss.backward()
    torch.testing.assert_close(ours_loss.detach(), loss.detach(), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(ours.detach()[2] * float(weight), squared, rtol=1e-4, atol=1e-6)
    scaled = target / 255 if kind == torch.uint8 else target
    l1, similarity = (twin - scaled).abs().mean(), definition.ssim(twin, scaled)
    torch.testing.assert_close(
        ours.detach()[:2], torch.stack([l1, similarity]).detach(), rtol=1e-5, atol=1e-5
    )
    assert image.grad is not None and twin.grad is not None
    torch.testing.assert_close(image.grad, twin.grad, rtol=1e-3, atol=1e-3 * float(twin.grad.abs().max()))
    assert torch.equal(ssim_cuda.photometric(image, target)[0], ours)


def test_our_grid_kernels() -> None:
    kernels_or_skip()
    planes = (GridPlane(0, 18, 13), GridPlane(0, 201, 13), GridPlane(1, 130, 15), GridPlane(3, 1026, 15))
    spec = GridSpec((100, -50, 0), (1000, 2000, 500), planes)
    rng = np.random.default_rng(0)
    positions = torch.from_numpy(rng.integers(-10, 2500, (20_000, 3), dtype=np.int32))
    table = torch.from_numpy(rng.standard_normal((spec.total_entries, 4)).astype(np.float32))
    grad = torch.from_numpy(rng.standard_normal((20_000, 16)).astype(np.float32))
    ours = [table.cuda().requires_grad_() for _ in range(2)]
    theirs = table.clone().requires_grad_()
    expected = grid_ops.grid_context(positions, theirs, spec)
    expected.backward(grad)
    for leaf in ours:
        context = grid_cuda.grid_context(positions.cuda(), leaf, spec)
        assert torch.equal(context.detach().cpu(), expected.detach())
        context.backward(grad.cuda())
    first, second = (leaf.grad for leaf in ours)
    assert first is not None and second is not None and theirs.grad is not None
    assert torch.equal(first, second)  # whatever the timing
    torch.testing.assert_close(first.cpu(), theirs.grad, rtol=1e-4, atol=1e-4)
