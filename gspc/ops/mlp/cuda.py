"""Two-layer networks on a CUDA device, many in one launch: torch autograd over `kernels/cuda/mlp.cu` and
`mlp_slopes.cu`."""

from __future__ import annotations

import ctypes
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from gspc.ops import cuda as kernels
from gspc.ops.cuda import COUNT, INT, POINTER
from gspc.ops.mlp.types import Inputs, Rounding, TwoLayerWeights, parts_of

MAX_NETWORKS, MAX_PARTS = 8, 3
MOST_SLICES, ROWS_OF_SLICE = 64, 512  # of rows, whose weight gradients are added up in order
_WEIGHTS = ("w1", "b1", "w2", "b2")
_ROUNDED = ("rounded1", "rounded2", "taken1", "taken2")
_FACTORS = ("slope", "shift", "rate_weight", "weight", "bias")


class _Part(ctypes.Structure):
    """`MlpPart` of kernels/cuda/mlp.cuh."""

    _fields_ = (("x", POINTER), ("by", POINTER), ("stride", COUNT), ("width", COUNT))


class _Gain(ctypes.Structure):
    """`MlpGain`."""

    _fields_ = (
        *((name, POINTER) for name in _FACTORS),
        *((f"by_{name}", POINTER) for name in _FACTORS if name != "rate_weight"),
        ("sums", POINTER),
        *((name, INT) for name in ("level", "levels")),
    )


class _Network(ctypes.Structure):
    """`MlpNetwork`."""

    _fields_ = (
        ("parts", _Part * MAX_PARTS),
        ("gain", _Gain),
        *((name, COUNT) for name in ("inputs", "hidden", "outputs")),
        *((name, POINTER) for name in (*_WEIGHTS, "active", "y", *_ROUNDED, "units")),
        ("output_units", COUNT),
        ("by_y", POINTER),
        ("by_y_stride", COUNT),
        *((name, POINTER) for name in ("by_hidden", *(f"by_{name}" for name in _WEIGHTS))),
        ("adds", INT),
    )


class _Call(ctypes.Structure):
    """`MlpCall`."""

    _fields_ = (
        ("n", COUNT),
        *((name, POINTER) for name in ("index", "partial")),
        ("slices", COUNT),
        ("networks", INT),
        ("network", _Network * MAX_NETWORKS),
    )


@dataclass(frozen=True)
class _Plan:
    """Which of a call's tensors is what, network by network; those that several share are there once."""

    parts: tuple[tuple[int, ...], ...]
    weights: tuple[tuple[int, ...], ...]  # w1, b1, w2, b2
    factors: tuple[tuple[int, ...], ...]  # of the gain, or none
    levels: tuple[int, ...]  # counted from 0
    roundings: tuple[Rounding | None, ...]


def two_layers_each(
    inputs: Sequence[Inputs], networks: Sequence[TwoLayerWeights], index: Tensor | None
) -> tuple[Tensor, ...]:
    """`gspc.ops.mlp.two_layers_each` of checked float32 arguments: [n, I] of each network -> [n, O] of each;
    with an index [n], rows [N, I]."""
    found: list[Tensor] = []
    for first in range(0, len(networks), MAX_NETWORKS):
        some = slice(first, first + MAX_NETWORKS)
        plan, tensors = _planned(inputs[some], networks[some])
        found += _Networks.apply(plan, index, *tensors)
    return tuple(found)


def _planned(inputs: Sequence[Inputs], networks: Sequence[TwoLayerWeights]) -> tuple[_Plan, list[Tensor]]:
    tensors: list[Tensor] = []
    seen: dict[int, int] = {}

    def slots(some: Sequence[Tensor]) -> tuple[int, ...]:
        for tensor in some:
            if id(tensor) not in seen:
                seen[id(tensor)] = len(tensors)
                tensors.append(tensor)
        return tuple(seen[id(tensor)] for tensor in some)

    plan = _Plan(
        parts=tuple(slots(parts_of(x)) for x in inputs),
        weights=tuple(slots(network[:4]) for network in networks),
        factors=tuple(slots(net.gain[:5]) if net.gain else () for net in networks),
        levels=tuple(net.gain.level - 1 if net.gain else 0 for net in networks),
        roundings=tuple(net.rounding for net in networks),
    )
    return plan, tensors


def _filled(plan: _Plan, index: Tensor | None, tensors: Sequence[Tensor], n: int) -> _Call:
    """A call about `tensors`, which must outlive it."""
    call = _Call(n=n, networks=len(plan.parts), index=kernels.pointer(index))
    for net, parts, weights, factors, level, rounding in zip(
        call.network, plan.parts, plan.weights, plan.factors, plan.levels, plan.roundings, strict=False
    ):
        for part, slot in zip(net.parts, parts, strict=False):
            x = tensors[slot]
            part.x, part.stride, part.width = x.data_ptr(), x.stride(0), x.shape[1]
        _set(net, _WEIGHTS, weights, lambda slot: tensors[slot].data_ptr())
        w1, w2 = tensors[weights[0]], tensors[weights[2]]
        (net.hidden, net.inputs), net.outputs = w1.shape, len(w2)
        if factors:
            _set(net.gain, _FACTORS, factors, lambda slot: tensors[slot].data_ptr())
            net.gain.level, net.gain.levels = level, len(tensors[factors[0]])
        if rounding:
            net.units, net.output_units = kernels.pointer(rounding.units), rounding.output_units or 0
    return call


def _set(to: Any, names: Sequence[str], slots: Sequence[int], value: Callable[[int], int | None]) -> None:
    for name, slot in zip(names, slots, strict=True):
        setattr(to, name, value(slot))


class _Networks(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, plan: _Plan, index: Tensor | None, *given: Tensor) -> tuple[Tensor, ...]:
        rows = {slot for slots in plan.parts for slot in slots}
        tensors = [kernels.in_rows(t) if i in rows else t.contiguous() for i, t in enumerate(given)]
        index = None if index is None else index.contiguous()
        n = len(tensors[plan.parts[0][0]]) if index is None else len(index)
        call = _filled(plan, index, tensors, n)
        nets = call.network[: call.networks]
        rounds = zip(nets, plan.roundings, strict=True)
        rounded = [net.hidden * (net.inputs + net.outputs) if rounding else 0 for net, rounding in rounds]
        active = tensors[0].new_empty(n * sum(net.hidden for net in nets) + sum(rounded))
        outputs = tuple(active.new_empty(n, net.outputs) for net in nets)
        at = active.data_ptr()
        for net, y, weights in zip(nets, outputs, rounded, strict=True):
            net.active, net.y = at, y.data_ptr()
            net.taken1, net.taken2 = net.w1, net.w2
            at += 4 * n * net.hidden
            if weights:
                net.rounded1 = net.taken1 = at
                net.rounded2 = net.taken2 = at + 4 * net.hidden * net.inputs
            at += 4 * weights
        kernels.run("gspc_mlp_forward", call, active)
        ctx.save_for_backward(index, active, *tensors)
        ctx.plan, ctx.call, ctx.given = plan, call, [t if t.is_leaf else None for t in given]
        return outputs

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        _, _, *tensors = ctx.saved_tensors
        call, nets = ctx.call, ctx.call.network[: ctx.call.networks]
        given = [kernels.in_rows(grad) for grad in grads]
        adding = _adding(ctx.plan, tensors)
        found, returned = _gradients(ctx.plan, ctx.given, tensors, ctx.needs_input_grad[2:], adding)
        call.slices = min(max(-(-call.n // ROWS_OF_SLICE), 1), MOST_SLICES)
        floats, hidden = sum(_weights_of(net) for net in nets) * call.slices, sum(net.hidden for net in nets)
        scratch = tensors[0].new_empty(floats + (call.n + call.slices) * hidden)
        call.partial = scratch.data_ptr()
        at = call.partial + 4 * floats
        for number, (net, grad) in enumerate(zip(nets, given, strict=True)):
            net.by_y, net.by_y_stride, net.by_hidden = grad.data_ptr(), grad.stride(0), at
            net.gain.sums = at + 4 * call.n * net.hidden
            at += 4 * (call.n + call.slices) * net.hidden
            _point_to(net, number, ctx.plan, found, ctx.needs_input_grad[2:])
            net.adds = ctx.plan.weights[number][0] in adding
        kernels.run("gspc_mlp_backward", call, scratch)
        return None, None, *returned


def _weights_of(net: Any) -> int:
    return int(net.hidden * (net.inputs + 1) + net.outputs * (net.hidden + 1))


def _adding(plan: _Plan, tensors: Sequence[Tensor]) -> set[int]:
    """The weights whose gradients another call of this pass has written, so that these are added to them; of
    networks without a gain that share none of their weights."""
    uses = Counter(slot for slots in plan.weights for slot in slots)
    found: set[int] = set()
    for slots, factors in zip(plan.weights, plan.factors, strict=True):
        if not factors and all(uses[slot] == 1 and kernels.written(tensors[slot]) for slot in slots):
            found |= set(slots)
    return found


def _gradients(
    plan: _Plan,
    given: Sequence[Tensor | None],
    tensors: Sequence[Tensor],
    needed: Sequence[bool],
    adding: set[int],
) -> tuple[list[Tensor | None], list[Tensor | None]]:
    """Room for the gradients, those of weights and factors whether needed or not; and what autograd gets of
    it. `given` are the leaves among the arguments, which may be what `tensors` are."""
    always = {slot for slots in (*plan.weights, *plan.factors) for slot in slots}
    always -= {slots[_FACTORS.index("rate_weight")] for slots in plan.factors if slots}
    found: list[Tensor | None] = [None] * len(tensors)
    returned: list[Tensor | None] = [None] * len(tensors)
    for slot, (leaf, tensor, need) in enumerate(zip(given, tensors, needed, strict=True)):
        if slot in adding:
            found[slot] = tensor.grad
        elif need or slot in always:
            room, passes = kernels.room_for_gradient(tensor if leaf is None else leaf, tensor)
            found[slot], returned[slot] = room, room if need and passes else None
    return found, returned


def _point_to(
    net: Any, number: int, plan: _Plan, found: Sequence[Tensor | None], needed: Sequence[bool]
) -> None:
    for part, slot in zip(net.parts, plan.parts[number], strict=False):
        part.by = kernels.pointer(found[slot]) if needed[slot] else None
    _set(
        net,
        [f"by_{name}" for name in _WEIGHTS],
        plan.weights[number],
        lambda slot: kernels.pointer(found[slot]),
    )
    for name, slot in zip(_FACTORS, plan.factors[number], strict=False):
        if name != "rate_weight":
            setattr(net.gain, f"by_{name}", kernels.pointer(found[slot]))
