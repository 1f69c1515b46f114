"""Rows of parameters: values and gradients as in the readable definition, noise that is uniform and
repeatable, one gradient for two uses, and what is refused."""

import dataclasses

import numpy as np
import pytest
import torch
from rendering_scenes import look_at, random_scene

from gspc.model import masks as model_masks
from gspc.ops.kernels import kernels
from gspc.ops.rows import (
    add_statistics,
    definition,
    mask_rows,
    mean_product,
    noisy_rows,
    positive_share,
    rounded_rows,
    visible_rows,
)
from gspc.rendering.culling import anchor_bounds, visible_anchors
from gspc.scene import Camera

N, K, S = 700, 10, 3
SEED = 0x1234_5678_9ABC_DEF0
LIMIT = float(torch.logit(torch.tensor(model_masks.THRESHOLD)))


def selection(seed=0):
    rng = torch.Generator().manual_seed(seed)
    index = (torch.rand(N, generator=rng) < 0.6).nonzero().squeeze(1)
    return index, torch.randint(N, (90,), generator=rng)


@pytest.mark.parametrize("shape", [(32,), (6,), (10, 3), (1,), (0,)])
@pytest.mark.parametrize("stepped", [False, True])
def test_rows_are_the_reference(isa, shape, stepped):
    index, also = selection()
    found = []
    for function in (noisy_rows, definition.noisy_rows):
        torch.manual_seed(1)
        values = torch.randn(N, *shape, requires_grad=True)
        step = torch.rand(len(index), requires_grad=True) if stepped else None
        noisy, plain = function(values, index, also, step, 0.5, SEED)
        loss = (noisy * torch.randn_like(noisy)).sum() + (plain * torch.randn_like(plain)).sum()
        loss.backward()
        found.append((noisy, plain, values.grad, step.grad if stepped else torch.zeros(1)))
    assert found[0][0].shape == (len(index), *shape)
    for got, want in zip(*found, strict=True):
        torch.testing.assert_close(got, want, rtol=1e-5, atol=1e-6)


def test_noise_is_uniform_and_belongs_to_its_row():
    index = torch.arange(N)
    values, none = torch.zeros(N, 64), torch.zeros(0, dtype=torch.int64)
    noise = noisy_rows(values, index, none, None, 1.0, SEED)[0]
    assert noise.abs().max() <= 0.5 and abs(float(noise.mean())) < 0.005
    assert abs(float(noise.var()) - 1 / 12) < 0.002
    assert abs(float((noise[:, 1:] * noise[:, :-1]).mean())) < 0.002
    assert torch.equal(noisy_rows(values, index[5:9], none, None, 1.0, SEED)[0], noise[5:9])
    for other in (SEED + 1, SEED + (1 << 32)):
        different = noisy_rows(values, index, none, None, 1.0, other)[0]
        assert abs(float((noise * different).mean())) < 0.002
    assert torch.equal(noisy_rows(values + 0.3, index, none, None, 0.0, SEED)[0], values + 0.3)


@pytest.mark.parametrize(("finest", "coarser"), [(1, 0), (9, 0), (9, 1), (9, 2), (3, 1)])
@pytest.mark.parametrize("shape", [(32,), (6,), (10, 3), (1,), (0,)])
def test_rounded_rows_are_the_reference(isa, shape, finest, coarser):
    index, also = selection(3)
    found = []
    for function in (rounded_rows, definition.rounded_rows):
        torch.manual_seed(1)
        values = torch.randn(N, *shape, requires_grad=True)
        center = torch.randn(N, values[0].numel()) * 0.1
        step = torch.rand(N) * 0.3 + 0.05
        rounded, plain = function(values, index, also, center, step, finest, coarser)
        loss = (rounded * torch.randn_like(rounded)).sum() + (plain * torch.randn_like(plain)).sum()
        loss.backward()
        found.append((rounded, plain, values.grad))
    for got, want in zip(*found, strict=True):
        torch.testing.assert_close(got, want, rtol=1e-5, atol=1e-5)
    if shape == (0,):
        return
    away = (found[0][0].flatten(1) - values.flatten(1)[index]).abs() / step[index][:, None]
    assert away.max() <= 0.5 * 3**coarser / finest * 1.001


def test_rounded_rows_are_what_the_codec_restores():
    torch.manual_seed(2)
    values, center, step = torch.randn(N, 16), torch.randn(N, 16) * 0.1, torch.rand(N) * 0.3 + 0.05
    every = torch.arange(N)
    symbols = torch.floor((values - center) / (step[:, None] / 9) + 0.5)
    for level in (3, 2, 1):
        want = center + symbols * step[:, None] / 3 ** (level - 1)
        got = rounded_rows(values, every, every[:0], center, step, 9, 3 - level)[0]
        torch.testing.assert_close(got, want, rtol=1e-5, atol=1e-5)
        symbols = torch.floor((symbols + 1) / 3)


def test_ties_go_up():
    values, step = torch.tensor([[0.5, -0.5, 1.5, 0.49]]), torch.ones(1)
    rounded = rounded_rows(values, torch.tensor([0]), torch.tensor([0]), torch.zeros(1, 4), step, 1, 0)[0]
    assert rounded.tolist() == [[1.0, 0.0, 2.0, 0.0]]


@pytest.mark.parametrize(
    ("level", "planes"), [(1, 3), (2, 3), (3, 3), (1, 1), (1, 2), (2, 2), (3, 4), (4, 4), (5, 6), (8, 8)]
)
def test_masks_are_the_models(isa, level, planes):
    index, also = selection(2)
    torch.manual_seed(3)
    start = torch.randn(N, K, planes) * 4 - 3
    found = []
    for kernel in (True, False):
        masks = start.clone().requires_grad_()
        mask, plain, alive = (mask_rows if kernel else definition.mask_rows)(masks, index, also, level)
        torch.manual_seed(4)
        loss = (mask * torch.randn_like(mask)).sum() + (plain * torch.randn_like(plain)).sum() + 0.7 * alive
        loss.backward()
        found.append((mask, plain, masks.grad))
        assert alive.item() == pytest.approx(float((model_masks.mask_logits(start, level) > LIMIT).sum()))
    assert set(found[0][0].unique().tolist()) == {0.0, 1.0}
    assert torch.equal(found[0][0], found[1][0].round()) and torch.equal(found[0][1], found[1][1])
    torch.testing.assert_close(found[0][2], found[1][2], rtol=2e-5, atol=1e-6)


def test_the_number_alive_needs_no_rows():
    none = torch.zeros(0, dtype=torch.int64)
    masks = torch.full((70, 2, 2), -6.0)
    masks[:3, 1, 1] = 6.0
    masks.requires_grad_()
    mask, plain, alive = mask_rows(masks, none, none, 2)
    assert mask.shape == (0, 2) and plain.shape == (0, 2, 2) and alive.item() == 3
    alive.backward()
    want = torch.sigmoid(model_masks.mask_logits(masks, 2)).sum()
    torch.testing.assert_close(masks.grad, torch.autograd.grad(want, masks)[0], rtol=1e-4, atol=1e-7)


def test_gradients_of_transposed_values():
    """They are those of a copy in rows."""
    index, also = selection(2)
    torch.manual_seed(7)
    found = []
    for laid in (lambda t: t, lambda t: t.permute(2, 1, 0).contiguous().permute(2, 1, 0)):
        torch.manual_seed(8)
        masks, values = laid(torch.randn(N, K, S) * 4 - 3), laid(torch.randn(N, 4, 1)).squeeze(2)
        masks.requires_grad_(), values.requires_grad_()
        mask, _, alive = mask_rows(masks, index, also, 2)
        ((mask * torch.randn_like(mask)).sum() + 0.3 * alive + positive_share(values)).backward()
        noisy_rows(values, index, also, None, 1.0, SEED)[0].pow(2).sum().backward()
        found.append((masks.is_contiguous(), masks.grad, values.grad))
    assert found[0][0] and not found[1][0]
    assert all(torch.equal(a, b) for a, b in zip(found[0][1:], found[1][1:], strict=True))


def test_extreme_masks_have_finite_gradients():
    masks = torch.tensor([[[1e30, 1e30], [-1e30, -1e30], [100.0, -100.0]]], requires_grad=True)
    index, none = torch.zeros(1, dtype=torch.int64), torch.zeros(0, dtype=torch.int64)
    mask = mask_rows(masks, index, none, 2)[0]
    mask.sum().backward()
    assert mask.tolist() == [[1.0, 0.0, 1.0]] and bool(torch.isfinite(masks.grad).all())


def test_same_bits_for_any_number_of_threads():
    index, also = selection()
    results = []
    for threads in (1, 3):
        torch.manual_seed(5)
        torch.set_num_threads(threads)
        values, step = torch.randn(N, 10, 3, requires_grad=True), torch.rand(len(index), requires_grad=True)
        noisy, plain = noisy_rows(values, index, also, step, 0.5, SEED)
        ((noisy**2).sum() + (plain**2).sum()).backward()
        masks = (torch.randn(N, K, S) * 4 - 3).requires_grad_()
        mask, _, alive = mask_rows(masks, index, also, S)
        ((mask * torch.randn_like(mask)).sum() + 0.3 * alive).backward()
        triples = torch.rand(20_000, 3, requires_grad=True)
        mean = mean_product(triples)
        mean.backward()
        seen = visible_rows(
            torch.randn(20_000, 3), torch.randn(20_000, 1) - 3, torch.randn(20_000, 4, 3), a_view()
        )
        results.append((noisy, values.grad, step.grad, mask, alive, masks.grad, mean, triples.grad, *seen))
    torch.set_num_threads(1)
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


def test_unused_outputs_and_no_rows():
    values, none = torch.randn(5, 4, requires_grad=True), torch.zeros(0, dtype=torch.int64)
    noisy, plain = noisy_rows(values, none, torch.tensor([3, 3]), None, 1.0, 1)
    assert noisy.shape == (0, 4)
    plain.sum().backward()
    assert values.grad.sum(1).tolist() == [0, 0, 0, 8, 0]


@pytest.mark.parametrize("index", [[-1], [5], [1, 1], [2, 1]])
def test_bad_rows_are_refused(index):
    values, none = torch.zeros(5, 4), torch.zeros(0, dtype=torch.int64)
    with pytest.raises(ValueError, match="rows"):
        noisy_rows(values, torch.tensor(index), none, None, 1.0, 1)
    with pytest.raises(ValueError, match="rows"):
        mask_rows(torch.zeros(5, 2, 2), none, torch.tensor([5]), 1)
    with pytest.raises(ValueError, match="level"):
        mask_rows(torch.zeros(5, 2, 2), none, none, 3)
    for finest, coarser in ((1, 1), (6, 2), (9, 9)):
        with pytest.raises(ValueError, match="multiple"):
            rounded_rows(values, none, none, torch.zeros(5, 4), torch.ones(5), finest, coarser)
        with pytest.raises(ValueError, match="multiple"):
            arrays = [values.numpy(), none.numpy(), none.numpy(), np.zeros((5, 4), np.float32)]
            out = np.empty((0, 4), np.float32)
            kernels().rows_rounded(*arrays, np.ones(5, np.float32), finest, coarser, out, out)
    with pytest.raises(ValueError, match="center"):
        rounded_rows(values, none, none, torch.zeros(5, 3), torch.ones(5), 1, 0)
    with pytest.raises(ValueError, match="float32"):
        noisy_rows(values.double(), none, none, None, 1.0, 1)


@pytest.mark.parametrize("function", [add_statistics, definition.add_statistics])
def test_statistics_are_plain_sums(function):
    rng = torch.Generator().manual_seed(6)
    index, _ = selection(7)
    drawn = (torch.rand(len(index) * K, generator=rng) < 0.4).nonzero().squeeze(1)
    radii = torch.randint(0, 3, (len(drawn),), generator=rng, dtype=torch.int32)
    pull, opacity = torch.randn(len(drawn), 2, generator=rng), torch.rand(len(drawn), generator=rng)
    sums = torch.zeros(N * K), torch.zeros(N * K), torch.zeros(N), torch.zeros(N)
    for _ in range(2):
        function(sums, index, drawn, radii, pull, opacity, (40.0, 30.0))
    flat, seen = index[drawn // K] * K + drawn % K, radii > 0
    gradient = torch.zeros(N * K)
    gradient[flat] = 2 * (pull * torch.tensor([40.0, 30.0])).norm(dim=1) * seen
    torch.testing.assert_close(sums[0], gradient)
    assert sums[1].sum() == 2 * seen.sum() and sums[3].sum() == 2 * len(index)
    torch.testing.assert_close(sums[2], torch.zeros(N).index_add_(0, index[drawn // K], 2 * opacity))


def test_statistics_that_do_not_fit_are_refused():
    two, four = torch.zeros(2), torch.zeros(4)
    one, pull = torch.zeros(1, dtype=torch.int64), torch.zeros(1, 2)
    radii, opacity = torch.ones(1, dtype=torch.int32), torch.ones(1)
    with pytest.raises(ValueError, match="sums have shapes"):
        add_statistics((four, two, two, two), one, one, radii, pull, opacity, (1.0, 1.0))
    with pytest.raises(ValueError, match="1 Gaussians, but 1 radii, 1 opacities and gradients"):
        add_statistics((four, four, two, two), one, one, radii, pull.T, opacity, (1.0, 1.0))
    with pytest.raises(ValueError, match="rows"):
        add_statistics((four, four, two, two), one + 2, one, radii, pull, opacity, (1.0, 1.0))


def a_view(turn=0.4):
    pose = np.eye(4)
    pose[:3, :3] = [[np.cos(turn), 0, np.sin(turn)], [0, 1, 0], [-np.sin(turn), 0, np.cos(turn)]]
    pose[:3, 3] = [0.3, -0.2, 2.5]
    return Camera("view", 64, 48, 70.0, 60.0, 30.0, 25.0, pose)


@pytest.mark.parametrize("anchors", [0, 1, 17, 5000])
@pytest.mark.parametrize("scales", [1, 6])
def test_visible_rows_are_the_reference(isa, anchors, scales):
    rng = torch.Generator().manual_seed(9)
    world = torch.randn(anchors, 3, generator=rng) * 3
    sizes = torch.randn(anchors, scales, generator=rng) - 3
    offsets = torch.randn(anchors, 5, 3, generator=rng)
    camera = a_view()
    index, where = visible_rows(world, sizes, offsets, camera)
    assert index.is_contiguous() and torch.equal(where, world[index])
    assert torch.equal(index, definition.visible_rows(world, sizes, offsets, camera)[0])
    assert anchors < 100 or anchors / 20 < len(index) < anchors * 0.6


def test_training_sees_what_is_drawn(isa):
    """The anchors of a view, by another test that finds their bounds first (`gspc.rendering.culling`)."""
    rng = np.random.default_rng(4)
    scene = random_scene(2000, seed=4)
    scene.log_scales[:] -= 2.5
    alive = dataclasses.replace(scene, gaussian_mask=np.ones_like(scene.gaussian_mask))
    tensors = [torch.from_numpy(t) for t in (scene.anchors, scene.log_scales, scene.offsets)]
    shares = []
    for _ in range(20):
        position = rng.standard_normal(3) * rng.choice([0.1, 1, 4])
        camera = look_at(
            "v", position, rng.standard_normal(3) * 0.1, 40, 30, float(rng.choice([15, 40, 200]))
        )
        drawn = visible_anchors(anchor_bounds(alive), camera).nonzero()[0]
        assert visible_rows(*tensors, camera)[0].tolist() == drawn.tolist()
        shares.append(len(drawn) / 2000)
    assert min(shares) < 0.3 and max(shares) > 0.5


def test_what_is_in_view():
    """Each side of a picture, by one anchor just inside it and one just outside; and what lies behind."""
    camera = Camera("view", 60, 40, 30.0, 40.0, 15.0, 30.0, np.eye(4))  # slopes 0.5, 1.5, 0.75, 0.25
    z, border = 2.0, np.sqrt(2 * np.log(255) * 0.6) + 1  # the blur's standard deviations, and a pixel
    x, y = z * border / 30, z * border / 40
    edges = [(-0.5 * z - x, 0), (1.5 * z + x, 0), (0, -0.75 * z - y), (0, 0.25 * z + y)]
    points = [[x * by, y * by, z] for x, y in edges for by in (0.999, 1.001)]
    world = torch.tensor(
        [*points, [0, 0, 0.011], [0, 0, 0.009], [0, 0, -2.0], [torch.nan, 0, 1.0]], dtype=torch.float32
    )
    sizes, still = torch.full((len(world), 6), -20.0), torch.zeros(len(world), 2, 3)
    assert visible_rows(world, sizes, still, camera)[0].tolist() == [0, 2, 4, 6, 8]

    def seen(place, moved, of_offsets=1.0, sigma=1e-9):
        logs = torch.tensor([[of_offsets, of_offsets, of_offsets, 1e-9, 1e-9, sigma]]).log()
        return len(visible_rows(torch.tensor([place]), logs, torch.tensor([moved]), camera)[0])

    behind, nowhere = [0.0, 0.0, -2.0], [0.0, 0.0, 0.0]
    assert seen(behind, [nowhere, [0.0, 1.5, 1.5]])  # reaches 2.1 in some direction
    assert not seen(behind, [nowhere, [0.0, 1.0, 1.5]])  # 1.8
    assert seen(behind, [nowhere, [0.0, 1.0, 1.5]], of_offsets=1.2)
    beside = [4.0, 0.0, 2.0]
    assert seen(beside, [nowhere, nowhere], sigma=0.3) and not seen(beside, [nowhere, nowhere], sigma=0.03)


def test_visible_rows_of_other_shapes():
    given = torch.zeros(3, 3), torch.zeros(3, 6), torch.zeros(3, 2, 3)
    for number, bad in (
        (0, given[0].double()),
        (0, given[0][:, :2]),
        (0, given[0][1:]),
        (1, given[1][:, :2]),
    ):
        with pytest.raises(ValueError, match="rows"):
            visible_rows(*given[:number], bad, *given[number + 1 :], a_view())
    for bad in (given[2][:, :0], given[2].double(), given[2][1:], given[2].flatten(1)):
        with pytest.raises(ValueError, match="rows"):
            visible_rows(*given[:2], bad, a_view())


@pytest.mark.parametrize("rows", [1, 19, 9001])
def test_mean_product_is_the_reference(isa, rows):
    found = []
    for function in (mean_product, definition.mean_product):
        values = torch.rand(rows, 3, generator=torch.Generator().manual_seed(1)).requires_grad_()
        mean = function(values)
        (2 * mean).backward()
        found.append((mean.detach(), values.grad))
    for got, want in zip(*found, strict=True):
        torch.testing.assert_close(got, want, rtol=1e-5, atol=0)
    direction = torch.randn(rows, 3, generator=torch.Generator().manual_seed(2))
    values = values.detach().double()
    ends = [float(definition.mean_product(values + step * direction)) for step in (1e-4, -1e-4)]
    slope = float((found[0][1] * direction).sum()) / 2
    assert slope == pytest.approx((ends[0] - ends[1]) / 2e-4, rel=1e-3, abs=1e-7)
    assert torch.isnan(mean_product(torch.zeros(0, 3)))
    with pytest.raises(ValueError, match="rows"):
        mean_product(torch.zeros(3))


@pytest.mark.parametrize("rows", [1, 333, 40_000])
def test_share_of_signs_is_the_reference(isa, rows):
    found = []
    for function in (positive_share, definition.positive_share):
        torch.manual_seed(8)
        values = torch.randn(rows, 4)
        values[0, :3] = torch.tensor([0.0, 1.0, -1.0])
        values.requires_grad_()
        share = function(values)
        (3 * share).backward()
        found.append((share, values.grad))
    for got, want in zip(*found, strict=True):
        torch.testing.assert_close(got, want)
    with pytest.raises(ValueError, match="float32"):
        positive_share(torch.zeros(4))
