"""Our pass of Adam against torch's."""

import copy

import numpy as np
import pytest
import torch

from gspc.ops import place
from gspc.ops.kernels import kernels
from gspc.ops.optimizer import Adam

SHAPES = [(1,), (3, 5), (40_000, 3), (16,), (0, 4), ()]


def made(kind, dtype=torch.float32):
    torch.manual_seed(0)
    params = [torch.nn.Parameter(torch.randn(shape).to(dtype)) for shape in SHAPES]
    groups = [
        {"params": params[:3], "lr": 1e-2},
        {"params": params[3:], "lr": 1e-3, "betas": (0.5, 0.99), "eps": 1e-3},
    ]
    return params, kind(groups, lr=0.0, eps=1e-15, fused=True)


def steps(params, optimizer, count, first=0):
    for number in range(first, first + count):
        torch.manual_seed(100 + number)
        for i, p in enumerate(params):
            p.grad = torch.randn_like(p) * 10.0 ** (i - 3)
            if (i, number) in ((1, 2), (3, 0)):  # left out of a step
                p.grad = None
        for group in optimizer.param_groups:
            group["lr"] *= 0.9
        optimizer.step()


def test_steps_are_torchs(isa):
    found = []
    for kind in (Adam, torch.optim.Adam):
        params, optimizer = made(kind)
        steps(params, optimizer, 6)
        states = [optimizer.state[p] for p in params]
        moments = [state[key] for state in states for key in ("step", "exp_avg", "exp_avg_sq")]
        found.append([p.detach() for p in params] + moments)
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=2e-5, atol=2e-6)


def test_the_first_step_is_the_learning_rate():
    """Whatever the gradient's size, and nothing where it is 0."""
    p = torch.nn.Parameter(torch.zeros(4))
    p.grad = torch.tensor([1e-6, -1.0, 1e6, 0.0])
    Adam([p], lr=0.25, eps=1e-15, fused=True).step()
    assert p.tolist() == pytest.approx([-0.25, 0.25, -0.25, 0.0], rel=1e-5)


def test_goes_on_from_torchs_state_and_the_other_way():
    ends = []
    for kinds in ((Adam, Adam), (torch.optim.Adam, Adam), (Adam, torch.optim.Adam)):
        params, first = made(kinds[0])
        steps(params, first, 3)
        second = made(kinds[1])[1]
        for group, own in zip(second.param_groups, first.param_groups, strict=True):
            group["params"] = own["params"]
        second.load_state_dict(copy.deepcopy(first.state_dict()))
        steps(params, second, 3, first=3)
        ends.append([p.detach().clone() for p in params])
    for other in ends[1:]:
        for a, b in zip(ends[0], other, strict=True):
            torch.testing.assert_close(a, b, rtol=2e-5, atol=2e-6)


def test_same_bits_for_any_number_of_threads():
    found = []
    for threads in (1, 3):
        torch.set_num_threads(threads)
        params, optimizer = made(Adam)
        steps(params, optimizer, 3)
        found.append([p.detach() for p in params])
    torch.set_num_threads(1)
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


def test_other_tensors_are_torchs_business(monkeypatch):
    """Doubles, and values that do not lie in rows, which must not be updated in a copy."""
    monkeypatch.setattr(kernels(), "adam", lambda *arguments: pytest.fail("not for these"))
    params, optimizer = made(Adam, torch.float64)
    before = [p.detach().clone() for p in params]
    steps(params, optimizer, 2)
    assert not torch.equal(params[2], before[2])
    turned = torch.nn.Parameter(torch.zeros(3, 4).T)
    turned.grad = torch.ones(4, 3)
    Adam([turned], lr=1.0, fused=True).step()
    assert (turned < -0.9).all()


def test_sizes_must_fit():
    four, five = np.zeros(4, np.float32), np.zeros(5, np.float32)
    setting = [0.1, 1.0, 0.9, 0.999, 1e-8]
    with pytest.raises(ValueError, match="one size"):
        kernels().adam([[four, four, five]], [four], [setting])
    with pytest.raises(ValueError, match="as many"):
        kernels().adam([[four, four, four]], [four], [])


def test_the_kernel_of_a_gpu(on_host, monkeypatch):
    """Adam by the CUDA kernel, run on the host: as by torch in float64, with more tensors than a launch
    takes; torch goes on from its state."""

    def run(kind, dtype, count):
        torch.manual_seed(0)
        params = [torch.nn.Parameter(torch.randn(7, i % 5 + 1).to(dtype)) for i in range(70)]
        params[0] = torch.nn.Parameter(torch.randn(3000).to(dtype))
        groups = [{"params": params[:9], "lr": 1e-2}, {"params": params[9:], "lr": 1e-3, "betas": (0.5, 0.9)}]
        optimizer = kind(groups, lr=0.0, eps=1e-15)
        for number in range(count):
            for i, p in enumerate(params):
                generator = torch.Generator().manual_seed(100 * number + i)
                p.grad = torch.randn(p.shape, generator=generator).to(dtype)
                if i == number:
                    p.grad = None
            optimizer.step()
        return params, optimizer

    monkeypatch.setattr(place, "of", lambda tensor: "cuda")
    found, ours = run(Adam, torch.float32, 4)
    wanted, exact = run(torch.optim.Adam, torch.float64, 4)
    for p, q in zip(found, wanted, strict=True):
        states = zip(ours.state[p].values(), exact.state[q].values(), strict=True)
        for got, want in [(p, q), *states]:
            error = float((got.detach().double() - want.detach().double()).norm())
            assert error <= 1e-5 * float(want.detach().double().norm())
    resumed = torch.optim.Adam([{"params": found[:9]}, {"params": found[9:]}], lr=0.0)
    resumed.load_state_dict(ours.state_dict())
    resumed.step()
