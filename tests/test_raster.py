"""The rasterizer against its reference, finite differences, hostile values, threads, instruction sets."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from torch import Tensor

from gspc.ops import arrays
from gspc.ops.kernels import kernels
from gspc.ops.raster import RasterOutput, definition, rasterize

KERNELS = kernels()
LEVELS = ["base", "v3", "v4"]
ISAS = LEVELS[: LEVELS.index(KERNELS.supported_isa()) + 1]
NAMES = ("means", "quats", "scales", "opacities", "colors")
Camera = tuple[Tensor, tuple[float, float, float, float], int, int, tuple[float, float, float]]


@pytest.fixture(autouse=True)
def _restore() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # small tensors: threads only get in the way
    yield
    KERNELS.set_isa("v4")
    torch.set_num_threads(threads)
    KERNELS.set_threads(threads)


def make_camera(width: int = 75, height: int = 53, focal: float = 80.0) -> Camera:
    turn = 0.2
    matrix = torch.eye(4, dtype=torch.float64)
    matrix[0, 0] = matrix[2, 2] = math.cos(turn)
    matrix[0, 2], matrix[2, 0] = math.sin(turn), -math.sin(turn)
    matrix[:3, 3] = torch.tensor([0.3, -0.1, 0.2])
    center = (0.48 * width, 0.51 * height)
    return matrix, (focal, 1.06 * focal, *center), width, height, (0.2, 0.5, 0.1)


def make_scene(count: int, seed: int = 0, size: float = 0.05, opacity: float = 1.0) -> list[Tensor]:
    g = torch.Generator().manual_seed(seed)
    means = torch.randn(count, 3, generator=g) * torch.tensor([1.0, 0.7, 1.0]) + torch.tensor([0.0, 0.0, 4.0])
    quats = torch.randn(count, 4, generator=g)
    scales = torch.exp(torch.randn(count, 3, generator=g) * 0.7) * size
    opacities = torch.rand(count, generator=g) * opacity
    return [means, quats, scales, opacities, torch.rand(count, 3, generator=g)]


def loss_weights(height: int, width: int) -> tuple[Tensor, Tensor]:
    g = torch.Generator().manual_seed(5)
    image = torch.randn(height, width, 3, generator=g, dtype=torch.float64)
    return image, torch.randn(height, width, generator=g, dtype=torch.float64)


def render_kernel(scene: list[Tensor], camera: Camera) -> tuple[RasterOutput, list[Tensor]]:
    params = [t.clone().float().requires_grad_() for t in scene]
    out = rasterize(*params, *camera)
    to_image, to_alpha = loss_weights(camera[3], camera[2])
    ((out.image * to_image).sum() + (out.alpha * to_alpha).sum()).backward()
    return out, [*(p.grad for p in params if p.grad is not None), out.means2d_grad]


@functools.cache
def reference_of(name: str) -> tuple[tuple[Tensor, ...], list[Tensor]]:
    return render_reference(SCENES[name](), make_camera())


def render_reference(scene: list[Tensor], camera: Camera) -> tuple[tuple[Tensor, ...], list[Tensor]]:
    params = [t.clone().double().requires_grad_() for t in scene]
    image, alpha, radii, means2d = definition.rasterize(*params, *camera)
    means2d.retain_grad()
    to_image, to_alpha = loss_weights(camera[3], camera[2])
    ((image * to_image).sum() + (alpha * to_alpha).sum()).backward()
    grads = [p.grad for p in (*params, means2d)]
    return (image, alpha, radii), [torch.zeros(0) if g is None else g for g in grads]


def difference(got: Tensor, want: Tensor) -> float:
    """Largest difference relative to the largest value."""
    if want.numel() == 0:
        return 0.0
    return ((got.double() - want.double()).abs().max() / want.double().abs().max().clamp(min=1e-9)).item()


def needles(count: int) -> list[Tensor]:
    scene = make_scene(count, 7)
    scene[2] = torch.tensor([3.0, 0.002, 0.002]).expand(count, 3).contiguous()
    return scene


def outside(count: int) -> list[Tensor]:
    """Centers beyond the sides of the image, where the Jacobian's tangent is clamped; they reach in."""
    scene = make_scene(count, 8, size=0.8)
    scene[0] = scene[0] * torch.tensor([4.0, 4.0, 0.3]) + torch.tensor([0.0, 0.0, 1.5])
    return scene


SCENES: dict[str, Callable[[], list[Tensor]]] = {
    "one": lambda: make_scene(1, 1, size=0.2),
    "few": lambda: make_scene(50, 1),
    "many": lambda: make_scene(400, 2),
    "opaque": lambda: make_scene(300, 3, size=0.3, opacity=1.2),
    "needles": lambda: needles(60),
    "outside": lambda: outside(60),
    "specks": lambda: make_scene(300, 4, size=1e-4),
}


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("name", SCENES)
def test_values_and_gradients_match_reference(name: str, isa: str) -> None:
    camera, scene = make_camera(), SCENES[name]()
    KERNELS.set_isa(isa)
    out, grads = render_kernel(scene, camera)
    (image, alpha, radii), want = reference_of(name)
    # A pair may fall on the other side of a threshold: 1/255 of a value in single pixels.
    for got, ref in ((out.image, image), (out.alpha, alpha)):
        error = (got.double() - ref).abs()
        assert error.max() < 6e-3
        assert error.mean() < 3e-6
        assert torch.quantile(error.flatten(), 0.999) < 3e-5
    assert (out.radii != radii).float().mean() < 0.02
    assert ((out.radii > 0) == (radii > 0)).all()
    limit = 6e-3 if name == "needles" else 5e-4  # ill-conditioned: the float32 reference is off by 1e-2
    for label, got, ref in zip((*NAMES, "means2d"), grads, want, strict=True):
        assert difference(got, ref) < limit, label
        cosine = torch.nn.functional.cosine_similarity(got.double().flatten(), ref.flatten(), 0)
        assert cosine > 1 - limit**2, label


@pytest.mark.parametrize(("width", "height"), [(1, 1), (16, 16), (17, 1), (1, 33), (15, 47), (64, 32)])
def test_sizes(width: int, height: int) -> None:
    camera, scene = make_camera(width, height, 60.0), make_scene(80, 3, size=0.2)
    out, grads = render_kernel(scene, camera)
    (image, alpha, _), want = render_reference(scene, camera)
    assert out.image.shape == (height, width, 3)
    assert out.alpha.shape == (height, width)
    torch.testing.assert_close(out.image.double(), image, atol=1e-4, rtol=0)
    torch.testing.assert_close(out.alpha.double(), alpha, atol=1e-4, rtol=0)
    for label, got, ref in zip((*NAMES, "means2d"), grads, want, strict=True):
        assert difference(got, ref) < 1e-3, label


def test_gradients_against_central_differences() -> None:
    """The float64 reference's loss moved along random directions; the scene keeps clear of all thresholds."""
    camera = make_camera(24, 20, 40.0)
    scene = [t.double() for t in make_scene(6, 11, size=0.6)]
    scene[3] = scene[3] * 0.3 + 0.2
    to_image, to_alpha = loss_weights(camera[3], camera[2])
    threshold, definition.MIN_ALPHA = definition.MIN_ALPHA, 0.0  # the skip is a jump that no difference sees

    def loss(params: list[Tensor]) -> float:
        image, alpha, _, _ = definition.rasterize(*params, *camera)
        return ((image * to_image).sum() + (alpha * to_alpha).sum()).item()

    params = [t.clone().requires_grad_() for t in scene]
    image, alpha, _, _ = definition.rasterize(*params, *camera)
    ((image * to_image).sum() + (alpha * to_alpha).sum()).backward()
    g = torch.Generator().manual_seed(3)
    try:
        for which, param in enumerate(params):
            for _ in range(3):
                direction = torch.randn(param.shape, generator=g, dtype=torch.float64)
                step = 1e-5
                ends = []
                for sign in (1, -1):
                    moved = list(scene)
                    moved[which] = scene[which] + sign * step * direction
                    ends.append(loss(moved))
                want = (ends[0] - ends[1]) / (2 * step)
                assert param.grad is not None
                assert (param.grad * direction).sum().item() == pytest.approx(want, rel=1e-5, abs=1e-7), (
                    NAMES[which]
                )
    finally:
        definition.MIN_ALPHA = threshold


def test_same_bits_for_any_number_of_threads() -> None:
    camera, scene = make_camera(200, 130, 200.0), make_scene(9000, 5)
    results = []
    for threads in (1, 2, 3):
        KERNELS.set_threads(threads)
        out, grads = render_kernel(scene, camera)
        results.append([out.image.detach(), out.alpha.detach(), out.radii, *grads])
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


def test_instruction_sets_agree() -> None:
    camera, scene = make_camera(), make_scene(500, 6)
    results = []
    for isa in ISAS:
        KERNELS.set_isa(isa)
        out, grads = render_kernel(scene, camera)
        results.append([out.image.detach(), out.alpha.detach(), *grads])
    for other in results[1:]:
        assert all(difference(a, b) < 1e-3 for a, b in zip(results[0], other, strict=True))


def test_state_remembers_its_instruction_set() -> None:
    scene, camera = [t.numpy() for t in make_scene(100)], make_camera()
    KERNELS.set_isa(ISAS[-1])
    first = arrays.rasterize(*scene, camera[0].numpy(), *camera[1:])
    ones = np.ones_like(first.image)
    want = arrays.rasterize_backward(first, *scene, ones)
    KERNELS.set_isa("base")
    again = arrays.rasterize_backward(first, *scene, ones)
    assert np.array_equal(want.means, again.means)


@pytest.mark.parametrize("isa", ISAS)
def test_hostile_values_are_culled(isa: str) -> None:
    """Every poison in every parameter: these Gaussians vanish, the others render as if they were alone."""
    KERNELS.set_isa(isa)
    camera = make_camera()
    good = make_scene(40, 9)
    alone, alone_grads = render_kernel(good, camera)
    poisons = [math.nan, math.inf, -math.inf, 3e38, -3e38]
    rows = [
        (field, poison)
        for field in range(5)
        for poison in poisons
        if not (field in (1, 4) and abs(poison) == 3e38)
    ]
    bad = make_scene(len(rows) + 3, 10)
    for row, (field, poison) in enumerate(rows):
        bad[field][row] = poison if field != 3 else bad[field][row] * 0 + poison
    bad[3][: len(rows)] = torch.where(bad[3][: len(rows)].abs() == 3e38, -1.0, bad[3][: len(rows)])
    bad[0][-3, 2] = -5.0  # behind the camera
    bad[1][-2] = 0.0  # no rotation at all
    bad[3][-1] = 0.003  # fainter than 1/255
    mixed = [torch.cat([b, a]) for a, b in zip(good, bad, strict=True)]
    out, grads = render_kernel(mixed, camera)
    assert (out.radii[: len(bad[0])] == 0).all()
    assert torch.equal(out.image, alone.image)
    assert torch.equal(out.alpha, alone.alpha)
    for got, want in zip(grads, alone_grads, strict=True):
        assert (got[: len(bad[0])] == 0).all()
        assert torch.equal(got[len(bad[0]) :], want)


@pytest.mark.parametrize("isa", ISAS)
def test_extreme_but_finite_values_stay_finite(isa: str) -> None:
    KERNELS.set_isa(isa)
    camera, scene = make_camera(), make_scene(64, 12)
    scene[2][:8] = 0.0
    scene[2][8:16] = 1e-38
    scene[2][16:24] = 1e4
    scene[2][24:32, 0] = 1e6
    scene[1][32:36] *= 1e-12
    scene[1][36:40] *= 1e12
    scene[3][40:44] = 1e6
    scene[0][44:48, 2] = 0.0  # near the camera's plane, seen or not
    scene[0][48:52] *= 1e6
    scene[2][56:60] = -0.05
    out, grads = render_kernel(scene, camera)
    for tensor in (out.image, out.alpha, *grads):
        assert tensor.isfinite().all()
    assert (out.alpha >= 0).all()
    assert (out.alpha <= 1).all()


def test_nothing_to_draw() -> None:
    camera = make_camera(33, 17)
    for scene in (make_scene(0), [t * s for t, s in zip(make_scene(5), (-1, 1, 1, 1, 1), strict=True)]):
        out, grads = render_kernel(scene, camera)
        assert torch.equal(out.image, torch.tensor(camera[4]).expand(17, 33, 3))
        assert (out.alpha == 0).all()
        assert all((g == 0).all() for g in grads)
        assert out.radii.shape == (len(scene[0]),)


def facing(depths: list[float], opacity: list[float], size: float) -> list[Tensor]:
    count = len(depths)
    means = torch.tensor([[0.0, 0.0, d] for d in depths])
    quats = torch.tensor([1.0, 0.0, 0.0, 0.0]).expand(count, 4).contiguous()
    return [
        means,
        quats,
        torch.full((count, 3), size),
        torch.tensor(opacity),
        torch.eye(3)[torch.arange(count) % 3],
    ]


PLAIN: Camera = (torch.eye(4, dtype=torch.float64), (50.0, 50.0, 8.5, 8.5), 17, 17, (0.0, 0.0, 0.0))


def test_order_of_depth_and_ties_by_index() -> None:
    red_in_front = rasterize(*facing([1.0, 2.0], [0.9, 0.9], 1.0), *PLAIN)
    torch.testing.assert_close(red_in_front.image[8, 8], torch.tensor([0.9, 0.09, 0.0]), atol=1e-4, rtol=0)
    green_in_front = rasterize(*facing([2.0, 1.0], [0.9, 0.9], 1.0), *PLAIN)
    torch.testing.assert_close(green_in_front.image[8, 8], torch.tensor([0.09, 0.9, 0.0]), atol=1e-4, rtol=0)
    tie = rasterize(*facing([2.0, 2.0], [0.9, 0.9], 1.0), *PLAIN)
    torch.testing.assert_close(tie.image[8, 8], torch.tensor([0.9, 0.09, 0.0]), atol=1e-4, rtol=0)


def test_constants_of_blending() -> None:
    """Alpha at most 0.999; a Gaussian that would take the transmittance to 1e-4 ends the pixel undrawn."""
    one = rasterize(*facing([2.0], [1.0], 1.0), *PLAIN)
    assert one.alpha[8, 8].item() == pytest.approx(0.999, abs=1e-6)
    two = rasterize(*facing([2.0, 3.0], [1.0, 0.5], 1.0), *PLAIN)
    assert two.alpha[8, 8].item() == pytest.approx(0.9995, abs=1e-6)
    stopped = rasterize(*facing([2.0, 3.0, 4.0], [1.0, 0.95, 0.5], 1.0), *PLAIN)
    assert stopped.alpha[8, 8].item() == pytest.approx(
        0.999, abs=1e-6
    )  # 0.001 * 0.05 < 1e-4, and 0.5 comes too late
    faint = rasterize(*facing([2.0], [1.02 / 255], 1.0), *PLAIN)
    assert faint.alpha[8, 8].item() == pytest.approx(1.02 / 255, rel=1e-4)
    assert rasterize(*facing([0.009], [1.0], 1.0), *PLAIN).radii.item() == 0
    assert rasterize(*facing([0.011], [1.0], 1.0), *PLAIN).radii.item() > 0


def test_blur_and_pixel_centers() -> None:
    """A point is a Gaussian of variance 0.3 pixels around its projection; pixel (8, 8) is centered at 8.5."""
    point = rasterize(*facing([2.0], [0.8], 0.0), *PLAIN)
    offsets = torch.arange(17) - 8.0
    want = 0.8 * torch.exp(-0.5 * (offsets[:, None] ** 2 + offsets[None, :] ** 2) / 0.3)
    want = torch.where(want >= 1 / 255, want, 0.0)
    torch.testing.assert_close(point.alpha, want, atol=2e-6, rtol=1e-5)


def test_backward_twice_and_alpha_alone() -> None:
    camera = make_camera()
    params = [t.requires_grad_() for t in make_scene(60, 13)]
    out = rasterize(*params, *camera)
    loss = out.alpha.sum()
    first = torch.autograd.grad(loss, params[:4], retain_graph=True)
    second = torch.autograd.grad(loss, params[:4])
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert first[3].sum() > 0


def test_inputs_may_be_views_and_are_not_changed() -> None:
    camera, scene = make_camera(), make_scene(30)
    packed = torch.cat([scene[0], scene[2]], 1)
    copies = [t.clone() for t in scene]
    want = rasterize(*scene, *camera).image
    got = rasterize(packed[:, :3], scene[1], packed[:, 3:], *scene[3:], *camera).image
    assert torch.equal(want, got)
    assert all(torch.equal(a, b) for a, b in zip(scene, copies, strict=True))
