"""Progressive masks (PCGS Eq. 1 and 2)."""

import itertools
import math

import torch

from gspc.model.masks import anchor_mask, first_level, gaussian_mask


def parameters(n=200, k=10, s=4, seed=0):
    return torch.randn(n, k, s, generator=torch.Generator().manual_seed(seed)) * 4 - 4


def test_masks_never_shrink_with_the_level():
    p = parameters()
    masks = [gaussian_mask(p, level) for level in range(5)]
    assert masks[0].sum() == 0
    for before, after in itertools.pairwise(masks):
        assert (after >= before).all()
    assert masks[1].sum() < masks[4].sum()


def test_threshold_is_one_percent():
    edge = math.log(0.01 / 0.99)
    p = torch.tensor([[[edge + 1e-3], [edge - 1e-3]]])
    assert gaussian_mask(p, 1).tolist() == [[1.0, 0.0]]


def test_planes_add_their_softplus():
    p = torch.tensor([[[-6.0, 2.0, -30.0]]])  # sigmoid(-6) < 0.01; -6 + softplus(2) = -3.87 is above
    assert [gaussian_mask(p, level).item() for level in (1, 2, 3)] == [0.0, 1.0, 1.0]
    assert first_level(p).item() == 2


def test_first_level_agrees_with_the_masks():
    p = parameters(seed=3)
    first = first_level(p)
    for level in range(1, 5):
        assert torch.equal(gaussian_mask(p, level) > 0.5, (first > 0) & (first <= level))


def test_gradient_is_that_of_the_sigmoid():
    p = parameters(n=5).requires_grad_()
    gaussian_mask(p, 2).sum().backward()
    logits = (p[..., 0] + torch.nn.functional.softplus(p[..., 1])).detach()
    slope = torch.sigmoid(logits) * (1 - torch.sigmoid(logits))
    torch.testing.assert_close(p.grad[..., 0], slope)
    torch.testing.assert_close(p.grad[..., 1], slope * torch.sigmoid(p[..., 1].detach()))
    assert (p.grad[..., 2:] == 0).all()


def test_an_anchor_lives_when_any_gaussian_does():
    mask = torch.tensor(
        [[0.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [1.0, 1.0, 1.0, 1.0]], requires_grad=True
    )
    alive = anchor_mask(mask)
    assert alive.tolist() == [0.0, 1.0, 1.0]
    alive.sum().backward()
    assert (mask.grad == 0.25).all()
