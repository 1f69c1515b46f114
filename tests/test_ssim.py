"""Fused SSIM and loss of a picture: reference, known values, finite differences, hostile values."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from gspc.ops import arrays
from gspc.ops.kernels import kernels
from gspc.ops.ssim import definition, picture_loss, squared_error, ssim

KERNELS = kernels()
LEVELS = ["base", "v3", "v4"]
ISAS = LEVELS[: LEVELS.index(KERNELS.supported_isa()) + 1]
SIZES = [(1, 1), (1, 40), (37, 1), (5, 7), (11, 11), (53, 75), (64, 128), (130, 33)]


@pytest.fixture(autouse=True)
def _restore() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    KERNELS.set_isa("v4")
    torch.set_num_threads(threads)
    KERNELS.set_threads(threads)


def make_pair(height: int, width: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """An image and a photograph (uint8) that resembles it."""
    g = torch.Generator().manual_seed(seed)
    photo = torch.rand(height, width, 3, generator=g)
    image = photo + 0.1 * torch.randn(height, width, 3, generator=g)
    return image, (photo * 255).to(torch.uint8)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize(("height", "width"), SIZES)
def test_values_and_gradient_match_reference(height: int, width: int, isa: str) -> None:
    KERNELS.set_isa(isa)
    image, target = make_pair(height, width)
    for weight in (0.2, 0.0, 1.0):
        x, y = image.clone().requires_grad_(), image.double().requires_grad_()
        got, want = picture_loss(x, target, weight)[0], definition.picture_loss(y, target, weight)[0]
        assert got.item() == pytest.approx(want.item(), abs=2e-6)
        got.backward()
        want.backward()
        assert x.grad is not None and y.grad is not None
        scale = y.grad.abs().max()
        assert ((x.grad.double() - y.grad).abs().max() / scale).item() < 1e-5


@pytest.mark.parametrize("root", [False, True])
@pytest.mark.parametrize("weight", [1.0, torch.tensor(1.7, dtype=torch.float64)])
@pytest.mark.parametrize("isa", ISAS)
def test_loss_of_a_picture_matches_reference(isa: str, weight: Tensor | float, root: bool) -> None:
    KERNELS.set_isa(isa)
    for size in SIZES:
        image, target = make_pair(*size)
        x, y = image.clone().requires_grad_(), image.double().requires_grad_()  # some of it beyond [0, 1]
        loss, squared = picture_loss(x, target, 0.2, weight, root=root)
        want, want_squared = definition.picture_loss(y, target, 0.2, weight, root=root)
        assert loss.item() == pytest.approx(want.item(), abs=2e-6)
        assert squared.item() == pytest.approx(want_squared.item(), rel=1e-5)
        assert not squared.requires_grad
        (3 * loss).backward()
        want.backward()
        assert x.grad is not None and y.grad is not None
        torch.testing.assert_close(x.grad.double(), 3 * y.grad, atol=1e-7, rtol=1e-4)


def test_loss_of_a_picture_against_central_differences() -> None:
    image, target = make_pair(9, 13, 2)
    x = image.clamp(0.1, 0.9).double().requires_grad_()
    definition.picture_loss(x, target, 0.3, 1.3, root=True)[0].backward()
    assert x.grad is not None
    g = torch.Generator().manual_seed(0)
    for _ in range(5):
        direction = torch.randn(x.shape, generator=g, dtype=torch.float64)
        ends = [
            definition.picture_loss(x.detach() + s * direction, target, 0.3, 1.3, root=True)[0].item()
            for s in (1e-6, -1e-6)
        ]
        assert (x.grad * direction).sum().item() == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=1e-6)


def test_known_losses_of_a_picture() -> None:
    """A picture that is off by 3/10 in one of four pixels, without SSIM: 3/40 on average, 3/20 as a root."""
    target = torch.full((2, 2, 3), 0.5)
    image = target.clone()
    image[0, 0] += 0.3
    image.requires_grad_()
    assert picture_loss(image, target, 0.0)[0].item() == pytest.approx(0.075, rel=1e-5)
    loss, squared = picture_loss(image, target, 0.0, root=True)
    assert loss.item() == pytest.approx(0.15, rel=1e-5) and squared.item() == pytest.approx(0.0225, rel=1e-5)
    loss.backward()
    assert image.grad is not None
    assert image.grad[0, 0].tolist() == pytest.approx([0.3 / (12 * 0.15)] * 3, rel=1e-5)
    assert not image.grad[1].any() and not image.grad[0, 1].any()


@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_a_picture_without_error_does_not_pull(weight: float) -> None:
    image = torch.rand(12, 12, 3).requires_grad_()
    target = image.detach().clone() if weight else torch.rand(12, 12, 3)
    loss, squared = picture_loss(image, target, 0.2, weight, root=True)
    loss.backward()
    assert image.grad is not None and float(image.grad.abs().max()) < 1e-5
    assert loss.item() == pytest.approx(0, abs=2e-6) and squared.item() == 0


@pytest.mark.parametrize("by", [picture_loss, definition.picture_loss])
def test_the_root_has_no_slope_where_there_is_next_to_no_error(by: Any) -> None:
    target = torch.full((4, 4, 3), 0.5)
    for error, slope in ((3e-7, 0.0), (1e-4, 1 / 48)):
        image = (target + error).requires_grad_()
        by(image, target, 0.0, root=True)[0].backward()
        assert image.grad is not None
        assert image.grad.flatten().tolist() == pytest.approx([slope] * 48, rel=1e-2)


def test_one_pixel_that_counts() -> None:
    """The factor on means is large then; the loss keeps its digits, as many as SSIM of a flat picture has."""
    image, target = torch.full((200, 300, 3), 0.5), torch.full((200, 300, 3), 0.5)
    image[3, 4] = 0.6
    for root in (False, True):
        loss, squared = picture_loss(image, target, 0.2, 6e4, root=root)
        want, _ = definition.picture_loss(image.double(), target.double(), 0.2, 6e4, root=root)
        assert loss.item() == pytest.approx(want.item(), rel=2e-4)
        assert squared.item() == pytest.approx(0.01, rel=1e-5)


def test_a_bad_pixel_shows_in_the_root() -> None:
    image, target = make_pair(12, 12)
    image[3, 4, 1] = math.nan
    assert math.isnan(picture_loss(image, target, 0.2, root=True)[0].item())


@pytest.mark.parametrize("isa", ISAS)
def test_ssim_alone(isa: str) -> None:
    KERNELS.set_isa(isa)
    image, target = make_pair(40, 61, 1)
    for other in (target, target.float() / 255):
        x = image.clone().requires_grad_()
        y = image.double().requires_grad_()
        value, want = ssim(x, other), definition.ssim(y, target.double() / 255)
        assert value.item() == pytest.approx(want.item(), abs=1e-6)
        (3 * value).backward()
        want.backward()
        assert x.grad is not None and y.grad is not None
        torch.testing.assert_close(x.grad.double(), 3 * y.grad, atol=1e-8, rtol=1e-4)


def test_known_values() -> None:
    flat = torch.full((30, 30, 3), 0.5)
    assert ssim(flat, flat).item() == pytest.approx(1.0, abs=1e-6)
    darker = torch.full((30, 30, 3), 127, dtype=torch.uint8)
    l1, similarity = 0.5 - 127 / 255, ssim(flat, darker).item()
    assert similarity > 0.999
    assert picture_loss(flat, darker, 0.0)[0].item() == pytest.approx(l1, rel=1e-5)
    assert picture_loss(flat, darker, 0.2)[0].item() == pytest.approx(
        0.8 * l1 + 0.2 * (1 - similarity), rel=1e-5
    )
    # Far from the edges a flat pair has no variance: SSIM is its luminance term.
    dark, bright = torch.full((60, 60, 3), 0.2), torch.full((60, 60, 3), 0.6)
    middle = (2 * 0.2 * 0.6 + 1e-4) / (0.2**2 + 0.6**2 + 1e-4)
    wide = ssim(dark.repeat(10, 10, 1), bright.repeat(10, 10, 1)).item()
    assert wide == pytest.approx(middle, abs=0.02)


def test_reference_against_central_differences() -> None:
    image, target = make_pair(9, 13, 2)
    x = image.double().requires_grad_()
    definition.picture_loss(x, target, 0.3)[0].backward()
    assert x.grad is not None
    g = torch.Generator().manual_seed(0)
    for _ in range(5):
        direction = torch.randn(x.shape, generator=g, dtype=torch.float64)
        ends = [
            definition.picture_loss(image.double() + s * direction, target, 0.3)[0].item()
            for s in (1e-7, -1e-7)
        ]
        assert (x.grad * direction).sum().item() == pytest.approx((ends[0] - ends[1]) / 2e-7, rel=1e-4)


def test_same_bits_for_any_number_of_threads() -> None:
    image, target = make_pair(211, 97, 3)
    results = []
    for threads in (1, 2, 3, 5):
        KERNELS.set_threads(threads)
        found = arrays.photometric(image.numpy(), target.numpy(), 0.2)
        assert found.gradient is not None
        results.append(found)
    for other in results[1:]:
        assert (other.loss, other.l1, other.ssim) == (results[0].loss, results[0].l1, results[0].ssim)
        assert np.array_equal(other.gradient, results[0].gradient)


def test_instruction_sets_agree() -> None:
    image, target = make_pair(70, 90, 4)
    results = []
    for isa in ISAS:
        KERNELS.set_isa(isa)
        results.append(arrays.photometric(image.numpy(), target.numpy(), 0.2))
    for other in results[1:]:
        assert other.loss == pytest.approx(results[0].loss, rel=1e-6)
        assert np.allclose(other.gradient, results[0].gradient, atol=1e-9, rtol=1e-4)


@pytest.mark.parametrize("poison", [math.nan, math.inf, -math.inf])
def test_one_bad_pixel_shows_in_the_loss_and_stays_local(poison: float) -> None:
    image, target = make_pair(40, 50, 5)
    clean = arrays.photometric(image.numpy(), target.numpy(), 0.2)
    image[3, 4, 1] = poison
    found = arrays.photometric(image.numpy(), target.numpy(), 0.2)
    assert not math.isfinite(found.loss)
    assert found.gradient is not None and clean.gradient is not None
    assert np.array_equal(found.gradient[20:], clean.gradient[20:])
    assert np.array_equal(found.gradient[:, 20:], clean.gradient[:, 20:])


def test_extreme_values() -> None:
    """Images far outside [0, 1], as early in a fit."""
    target = torch.zeros(20, 20, 3, dtype=torch.uint8)
    for value in (0.0, 1e-30, -3.0, 1e4):
        x = torch.full((20, 20, 3), value, requires_grad=True)
        loss = picture_loss(x, target, 0.2)[0]
        loss.backward()
        assert loss.item() == pytest.approx(0.8 * abs(value) + 0.2 * (1 - ssim(x, target).item()), rel=1e-6)
        assert x.grad is not None and x.grad.isfinite().all()


def test_without_gradient() -> None:
    image, target = make_pair(20, 20)
    with torch.no_grad():
        loss, similarity = picture_loss(image.requires_grad_(), target, 0.2)[0], ssim(image, target)
    assert not loss.requires_grad
    live = picture_loss(image, target, 0.2)[0]
    assert live.item() == loss.item()
    assert live.requires_grad
    assert arrays.ssim(image.detach().numpy(), target.numpy()) == pytest.approx(similarity.item(), rel=1e-6)
    assert arrays.photometric(image.detach().numpy(), target.numpy(), 0.2, gradient=False).gradient is None


def test_views_are_accepted() -> None:
    image, target = make_pair(20, 30)
    want = picture_loss(image.permute(1, 0, 2).contiguous(), target.permute(1, 0, 2).contiguous(), 0.2)
    got = picture_loss(image.permute(1, 0, 2), target.permute(1, 0, 2), 0.2)
    assert [v.item() for v in got] == [v.item() for v in want]


def test_numpy_entries_without_torch() -> None:
    code = (
        "import sys, numpy as np\n"
        "from gspc.ops import arrays\n"
        "x = np.full((9, 9, 3), 0.5, np.float32)\n"
        "assert abs(arrays.ssim(x, x) - 1) < 1e-6\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_errors() -> None:
    image, target = make_pair(8, 8)
    with pytest.raises(ValueError, match="image: float32"):
        ssim(image.double(), target)
    with pytest.raises(ValueError, match="image: float32"):
        ssim(image[..., :2], target)
    with pytest.raises(ValueError, match="image: float32"):
        ssim(image[:0], target[:0])
    with pytest.raises(ValueError, match=r"target: uint8 or float32 \[8, 8, 3\]"):
        picture_loss(image, target[:4], 0.2)
    with pytest.raises(ValueError, match="target: uint8 or float32"):
        picture_loss(image, target.int(), 0.2)
    with pytest.raises(ValueError, match="target: is on meta"):
        picture_loss(image, target.to("meta"), 0.2)
    with pytest.raises(ValueError, match="image: contiguous float32"):
        arrays.photometric(image.numpy()[::2], target.numpy()[::2], 0.2)
    with pytest.raises(ValueError, match="target: contiguous"):
        arrays.photometric(image.numpy(), target.numpy().astype(np.float64), 0.2)


@pytest.mark.parametrize("size", [(1, 1), (7, 5), (61, 83)])
@pytest.mark.parametrize("kind", [torch.uint8, torch.float32])
@pytest.mark.parametrize("isa", ISAS)
def test_squared_error_is_the_reference(isa: str, size: tuple[int, int], kind: torch.dtype) -> None:
    KERNELS.set_isa(isa)
    image = (
        torch.randn(*size, 3, generator=torch.Generator().manual_seed(1)) + 0.5
    )  # half of it beyond [0, 1]
    target = torch.rand(*size, 3, generator=torch.Generator().manual_seed(2))
    target = (target * 255).to(kind) if kind == torch.uint8 else target
    expected = float(
        definition.squared_error(image.double(), target if kind == torch.uint8 else target.double())
    )
    assert squared_error(image, target) == pytest.approx(expected, rel=1e-6)
    assert squared_error(image.clamp(0, 1), image.clamp(0, 1)) == 0
    image[0, 0, 1] = torch.nan
    assert math.isnan(float(squared_error(image, target)))
    with pytest.raises(ValueError, match="target"):
        squared_error(image, target[:0])


def test_squared_error_is_the_same_for_any_number_of_threads() -> None:
    image, target = torch.rand(90, 91, 3), torch.rand(90, 91, 3)
    found = []
    for threads in (1, 3):
        torch.set_num_threads(threads)
        found.append(squared_error(image, target))
    assert found[0] == found[1]
