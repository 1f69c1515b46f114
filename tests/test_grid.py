"""The context grid: integers against the written formulas, gradients against the reference, hostile input."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from gspc import _kernels
from gspc.format.grid import GridPlane, GridSpec
from gspc.ops import arrays
from gspc.ops.grid import definition, grid_context

SMALL = GridSpec(
    (1000, 5, 70000),
    (777, 1, 123456),
    (
        GridPlane(0, 3, 13),  # dense
        GridPlane(0, 33, 13),
        GridPlane(0, 2047, 5),
        GridPlane(1, 130, 15),
        GridPlane(2, 514, 9),
        GridPlane(3, 11, 15),
        GridPlane(2, 1, 2),  # the smallest plane: exactly full
    ),
)
BOXES = (
    SMALL,
    GridSpec((0, 0, 0), (1 << 21, 1, 1 << 22), SMALL.planes),
    GridSpec((-500, -(1 << 22), 1 << 22), (1000, 1 << 22, 1 << 22), SMALL.planes),
)
ISAS = ("base", "v3", "v4")


def formula(position: np.ndarray, signs: np.ndarray, spec: GridSpec) -> list[int]:
    """The contract's formulas for one position, in Python integers."""
    u = []
    clamped = [min(max(int(p), 0), 2**21 - 1) for p in position]
    for p, low, size in zip(clamped, spec.box_low, spec.box_size, strict=True):
        if p < low:
            d = low - p
            value = 2**15 - (2**15 * d) // (d + size)
        elif p >= low + size:
            d = p - (low + size)
            value = 2**20 - 2**15 + (2**15 * d) // (d + size)
        else:
            value = 2**15 + ((p - low) * (2**20 - 2**16)) // size
        u.append(min(value, 2**20 - 1))
    out = []
    for plane, start in zip(spec.planes, spec.starts, strict=True):
        axes = ((0, 1, 2), (0, 1), (0, 2), (1, 2))[plane.dims]
        cells = [(u[axis] * plane.resolution) >> 20 for axis in axes]
        fractions = [((u[axis] * plane.resolution) >> 12) & 255 for axis in axes]
        total = np.zeros(4, dtype=object)
        for corner in itertools.product((0, 1), repeat=len(axes)):
            at = [cell + upper for cell, upper in zip(cells, corner, strict=True)]
            weight = 1
            for fraction, upper in zip(fractions, corner, strict=True):
                weight *= fraction if upper else 256 - fraction
            if plane.dense:
                index = sum(a * (plane.resolution + 1) ** i for i, a in enumerate(at))
            else:
                index = 0
                for a, prime in zip(at, (1, 2654435761, 805459861), strict=False):
                    index ^= (a * prime) % 2**32
                index %= 2**plane.log2_size
            total = total + weight * np.where(signs[start + index], 1, -1)
        half, shift = (2**14, 15) if plane.dims == 0 else (2**6, 7)
        out += [(int(s) + half) >> shift for s in total]
    return out


def some_positions(spec: GridSpec, count: int, seed: int = 0) -> np.ndarray:
    """Random positions, all corners of the domain, and the box's borders."""
    rng = np.random.default_rng(seed)
    corners = np.array(list(itertools.product((0, 2**21 - 1), repeat=3)))
    low, size = np.array(spec.box_low), np.array(spec.box_size)
    borders = np.array([low - 1, low, low + 1, low + size - 1, low + size, low + size + 1, low + size // 2])
    inside = rng.integers(low, low + size, (count // 2, 3))
    anywhere = rng.integers(0, 2**21, (count - count // 2, 3))
    points = np.concatenate([corners, borders, inside, anywhere]).clip(0, 2**21 - 1)
    return points.astype(np.int32)


@pytest.mark.parametrize("spec", BOXES)
def test_integers_equal_formulas_reference_and_kernel(spec: GridSpec, isa: str) -> None:
    rng = np.random.default_rng(1)
    signs = rng.random((spec.total_entries, 4)) < 0.5
    positions = some_positions(spec, 60)
    expected = np.array([formula(p, signs, spec) for p in positions])
    assert np.array_equal(arrays.grid_context_int(positions, signs, spec), expected)
    assert np.array_equal(arrays.grid_context(positions, signs, spec) * 512, expected)
    embeddings = torch.from_numpy(np.where(signs, 0.25, -3.0).astype(np.float32))
    slow = definition.grid_context(torch.from_numpy(positions), embeddings, spec)
    fast = grid_context(torch.from_numpy(positions), embeddings, spec)
    assert slow.dtype == fast.dtype == torch.float32
    assert np.array_equal(slow.numpy() * 512, expected) and torch.equal(slow, fast)
    assert np.abs(expected).max() <= 512


def test_all_equal_signs_give_one() -> None:
    positions = some_positions(SMALL, 40)
    for value in (True, False):
        context = arrays.grid_context_int(positions, np.full((SMALL.total_entries, 4), value), SMALL)
        assert (context == (512 if value else -512)).all()


def test_positions_outside_the_domain_are_clamped(isa: str) -> None:
    signs = np.random.default_rng(2).random((SMALL.total_entries, 4)) < 0.5
    far = np.array([[-1, -(2**31), 2**21], [2**31 - 1, 7, -5]], np.int64).astype(np.int32)
    assert np.array_equal(
        arrays.grid_context_int(far, signs, SMALL),
        arrays.grid_context_int(far.astype(np.int64).clip(0, 2**21 - 1), signs, SMALL),
    )


@pytest.mark.parametrize("count", [0, 1, 15, 16, 17, 127, 128, 129, 1000])
def test_gradient_equals_reference(count: int, isa: str) -> None:
    rng = np.random.default_rng(3)
    positions = torch.from_numpy(
        some_positions(SMALL, 1000)[-count:] if count else np.zeros((0, 3), np.int32)
    )
    values = rng.normal(0, 1, (SMALL.total_entries, 4)).astype(np.float32)
    values[:4] = [[1.0, -1.0, 0.0, -0.0], [np.nan, np.inf, -np.inf, 1.0000001], [1e-40] * 4, [-1e-40] * 4]
    grad = torch.from_numpy(rng.normal(size=(count, SMALL.context_size)).astype(np.float32))
    results = []
    for function in (grid_context, definition.grid_context):
        embeddings = torch.from_numpy(values.copy()).requires_grad_()
        out = function(positions, embeddings, SMALL)
        results.append((out.detach(), *torch.autograd.grad(out, embeddings, grad)))
    assert torch.equal(results[0][0], results[1][0])
    torch.testing.assert_close(results[0][1], results[1][1], rtol=1e-4, atol=1e-5)
    assert (results[0][1][torch.from_numpy(~(np.abs(values) <= 1))] == 0).all()


def test_gradient_is_the_interpolation_weight() -> None:
    """One position in the middle of the only cell: each of the corners gets an equal share."""
    spec = GridSpec((0, 0, 0), (64, 64, 64), (GridPlane(0, 1, 3), GridPlane(1, 1, 2)))
    embeddings = torch.full((12, 4), 0.5).requires_grad_()
    context = grid_context(torch.tensor([[32, 32, 32]], dtype=torch.int32), embeddings, spec)
    assert context.tolist() == [[1.0] * 8]
    (grad,) = torch.autograd.grad(context.sum(), embeddings)
    assert torch.equal(grad, torch.cat([torch.full((8, 4), 1 / 8), torch.full((4, 4), 1 / 4)]))


def test_bit_equal_for_any_number_of_threads(isa: str) -> None:
    rng = np.random.default_rng(4)
    positions = torch.from_numpy(some_positions(SMALL, 3000))
    values = torch.from_numpy(rng.normal(size=(SMALL.total_entries, 4)).astype(np.float32)).requires_grad_()
    grad = torch.from_numpy(rng.normal(size=(len(positions), SMALL.context_size)).astype(np.float32))
    before, results = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 3, 7):
            torch.set_num_threads(threads)
            out = grid_context(positions, values, SMALL)
            results.append((out.detach(), *torch.autograd.grad(out, values, grad)))
    finally:
        torch.set_num_threads(before)
    for other in results[1:]:
        assert torch.equal(results[0][0], other[0]) and torch.equal(results[0][1], other[1])


def test_flat_and_per_plane_embeddings() -> None:
    rng = np.random.default_rng(5)
    positions = torch.from_numpy(some_positions(SMALL, 20))
    whole = torch.from_numpy(rng.normal(size=(SMALL.total_entries, 4)).astype(np.float32))
    parts = [p.clone().requires_grad_() for p in whole.split(SMALL.entries)]
    expected = grid_context(positions, whole, SMALL)
    assert torch.equal(grid_context(positions, whole.flatten(), SMALL), expected)
    out = grid_context(positions, parts, SMALL)
    assert torch.equal(out, expected)
    out.sum().backward()
    assert all(p.grad is not None and p.grad.shape == p.shape for p in parts)


def test_spec_sizes() -> None:
    assert SMALL.entries == (64, 8192, 32, 131 * 131, 512, 144, 4)
    assert SMALL.starts == (0, 64, 8256, 8288, 25449, 25961, 26105)
    assert SMALL.total_entries == 26109 and SMALL.context_size == 28
    assert [plane.dense for plane in SMALL.planes] == [True, False, False, True, False, True, True]
    assert GridSpec((0, 0, 0), (1, 1, 1), ()).context_size == 0


@pytest.mark.parametrize(
    ("low", "size", "planes", "message"),
    [
        ((0, 0), (1, 1, 1), (), "3 values"),
        ((0, 0, 0), (1, 0, 1), (), "box_size"),
        ((0, 0, -(1 << 22) - 1), (1, 1, 1), (), "box_low"),
        ((0, 0, 0), (1, 1, (1 << 22) + 1), (), "box_size"),
        ((0, 0, 0), (1, 1, 1), ((4, 8, 8),), "limits"),
        ((0, 0, 0), (1, 1, 1), ((0, 2048, 8),), "limits"),
        ((0, 0, 0), (1, 1, 1), ((0, 0, 8),), "limits"),
        ((0, 0, 0), (1, 1, 1), ((0, 8, 23),), "limits"),
        ((0, 0, 0), (1, 1, 1), ((0, 8, 8),) * 65, "planes"),
        ((0, 0, 0), (1, 1, 1), ((0, 2047, 22),) * 5, "entries"),
    ],
)
def test_spec_limits(low: tuple, size: tuple, planes: tuple, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        GridSpec(low, size, planes)


def test_wrong_arguments_are_refused() -> None:
    positions = torch.zeros(2, 3, dtype=torch.int32)
    table = torch.zeros(SMALL.total_entries, 4)
    for bad_positions in (positions.long(), positions[:, :2], positions.flatten()):
        with pytest.raises(ValueError, match="positions"):
            grid_context(bad_positions, table, SMALL)
    for bad_table in (table.double(), table[1:], torch.zeros(0)):
        with pytest.raises(ValueError, match="embeddings"):
            grid_context(positions, bad_table, SMALL)
    with pytest.raises(ValueError, match="positions are on meta, embeddings on cpu"):
        grid_context(positions.to("meta"), table, SMALL)
    with pytest.raises(ValueError, match="signs"):
        arrays.grid_context(positions.numpy(), np.zeros((3, 4), bool), SMALL)
    with pytest.raises(ValueError, match="positions"):
        arrays.grid_context(np.zeros((3, 2)), np.zeros((SMALL.total_entries, 4), bool), SMALL)
    shape = arrays.grid_shape_array(SMALL)
    shape[3] = 0  # the C++ side checks for itself, too
    with pytest.raises(ValueError, match="box size"):
        _kernels.grid_forward_int(
            shape,
            np.zeros(SMALL.total_entries + _kernels.GRID_SIGN_PADDING, np.uint8),
            np.zeros((1, 3), np.int32),
            np.zeros((1, SMALL.context_size), np.int16),
        )


def test_no_positions_no_planes() -> None:
    empty = np.zeros((0, 3), np.int32)
    assert arrays.grid_context(empty, np.zeros((SMALL.total_entries, 4), bool), SMALL).shape == (0, 28)
    none = GridSpec((0, 0, 0), (1, 1, 1), ())
    assert grid_context(torch.zeros(5, 3, dtype=torch.int32), torch.zeros(0, 4), none).shape == (5, 0)
