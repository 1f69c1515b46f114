"""One slice of a stream in readable Python: its state, its parts and the coding order (pcgs(5), CODING
ORDER)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gspc import _codec
from gspc.errors import BitstreamError
from gspc.format import ChunkInfo, HeaderInfo, SliceInfo, limits
from gspc.format.grid import GridSpec
from gspc.format.scene import I32, U8, Bool, IntegerNetwork, Networks, QuantizedHeads
from gspc.reference import mixtures
from gspc.reference import networks as nets
from gspc.reference.binary import BinaryDecoder, ExpGolombModel, models
from gspc.reference.positions import decode_positions
from gspc.reference.rans import Decoder as LaneDecoder
from gspc.reference.rans import mixture_support

I64 = NDArray[np.int64]
U64 = NDArray[np.uint64]
MAX_SYMBOL = (1 << 23) - 1


FEATURES, SCALING, OFFSETS = range(3)


@dataclass(frozen=True)
class Model:
    """What tables are computed from."""

    header: HeaderInfo
    grid: GridSpec
    grid_signs: tuple[Bool, ...]
    networks: Networks
    heads: QuantizedHeads

    @property
    def context_planes(self) -> slice:
        """Which planes of the grid the contexts read."""
        return slice(0, len(self.grid.planes) - self.header.pool_planes)

    @property
    def pool_planes(self) -> slice:
        """Which planes the pool reads."""
        own = self.header.pool_planes
        return slice(len(self.grid.planes) - own if own else 0, len(self.grid.planes))

    def context(self, positions: I32, planes: slice) -> I64:
        """Context values of some planes at positions [N, 3]."""
        part = GridSpec(self.grid.box_low, self.grid.box_size, self.grid.planes[planes])
        return nets.grid_context(positions, part, self.grid_signs[planes])

    def refined(self, attribute: int) -> bool:
        """Whether later levels refine the features, scaling or offsets."""
        return bool(self.header.refined >> attribute & 1)

    def step_level(self, attribute: int, level: int) -> int:
        """The level whose step the attribute has at `level`."""
        last = self.header.refined >> 4
        return (min(level, last) if last else level) if self.refined(attribute) else 1


@dataclass
class SliceState:
    """Anchors of one slice in order of appearance."""

    keys: U64
    positions: I32  # [n, 3]
    mask: U8  # [n, K]
    context: I64  # [n, C]
    means: I32  # [n, F + Z + 3K]
    steps: U8  # [n, 3]
    offset_scales: I64  # [n, 3K]
    features: I32  # [n, F]
    scaling: I32  # [n, Z]
    offsets: I32  # [n, K, 3]

    @staticmethod
    def empty(model: Model) -> SliceState:
        f, z, k = model.header.features, model.header.scales, model.header.offsets
        c = 4 * len(model.grid.planes[model.context_planes])

        def zeros(dtype: type, *shape: int) -> NDArray:
            return np.zeros((0, *shape), dtype=dtype)

        return SliceState(
            keys=zeros(np.uint64),
            positions=zeros(np.int32, 3),
            mask=zeros(np.uint8, k),
            context=zeros(np.int64, c),
            means=zeros(np.int32, f + z + 3 * k),
            steps=zeros(np.uint8, 3),
            offset_scales=zeros(np.int64, 3 * k),
            features=zeros(np.int32, f),
            scaling=zeros(np.int32, z),
            offsets=zeros(np.int32, k, 3),
        )


@dataclass
class Parts:
    """The coders of one slice and level."""

    positions: bytes
    masks: BinaryDecoder
    escapes: BinaryDecoder
    lanes: LaneDecoder
    escape_model: ExpGolombModel = field(default_factory=ExpGolombModel)


def read_masks(coder: BinaryDecoder, mask: U8, old: int, level: int) -> None:
    """Fills in which Gaussians appear: of older anchors, then of the fresh ones, which have one at least."""
    k_count = mask.shape[1]
    # Older anchors: by slot, how many appear before it, how many were alive. Fresh: by slot, how many are
    # alive before it, whether the slot is alive in the anchor before.
    older = [[models(4) for _ in range(4)] for _ in range(k_count)]
    fresh = [[models(2) for _ in range(8)] for _ in range(k_count)]
    for n in range(old):
        before, now = int(np.count_nonzero(mask[n])), 0
        for k in range(k_count):
            if not mask[n, k] and coder.bit(older[k][min(now, 3)][4 * before // (k_count + 1)]):
                mask[n, k] = level
                now += 1
    for n in range(old, len(mask)):
        now = 0
        for k in range(k_count):
            last = int(n > old and mask[n - 1, k] != 0)
            certain = now == 0 and k == k_count - 1
            if certain or coder.bit(fresh[k][min(now, 7)][last]):
                mask[n, k] = level
                now += 1


def read_gaussian(parts: Parts, tables: U8) -> I32:
    """A run of Gaussian symbols, shaped like its tables, with its escapes."""
    flat = np.ascontiguousarray(tables).reshape(-1)
    symbols, escaped = parts.lanes.gaussian(flat)
    for i in escaped:
        support = _codec.gaussian_support(int(flat[i]))
        symbols[i] = read_escape(parts, -support, support)
    return np.array(symbols, dtype=np.int32).reshape(tables.shape)


def read_mixtures(parts: Parts, run: mixtures.Mixtures) -> I32:
    """A run of symbols under mixtures, likewise."""
    fields = run.rows()
    symbols, escaped = parts.lanes.mixture(*fields)
    for i in escaped:
        scale0, scale1, mean0, mean1 = (int(values[i]) for values in fields[:4])
        symbols[i] = read_escape(parts, *mixture_support((scale0, scale1), (mean0, mean1)))
    return np.array(symbols, dtype=np.int32).reshape(run.weights.shape)


def read_escape(parts: Parts, low: int, high: int) -> int:
    """A symbol beyond low..high."""
    below = parts.escapes.digits(1)
    more = parts.escapes.number(parts.escape_model)
    symbol = low - 1 - more if below else high + 1 + more
    if abs(symbol) > MAX_SYMBOL:
        raise BitstreamError("an escaped symbol is beyond 23 bits")
    return symbol


def read_positions(
    model: Model, state: SliceState, data: bytes, interval: tuple[int, int], fresh: int
) -> U64:
    """Sorted Morton keys of the fresh anchors."""
    known = np.sort(state.keys).tolist()
    priors, bits = _codec.position_priors(), model.header.position_bits
    return np.array(decode_positions(data, known, interval, bits, fresh, priors), dtype=np.uint64)


PositionReader = Callable[[Model, SliceState, bytes, tuple[int, int], int], U64]


def append_anchors(model: Model, state: SliceState, keys: U64) -> None:
    """Room for fresh anchors, with what their position alone predicts."""
    positions = np.asarray(_codec.morton_positions(keys), dtype=np.int32)
    context = model.context(positions, model.context_planes)
    means, offset_scales = nets.center_outputs(model.networks, context)
    new: dict[str, np.ndarray] = {
        "keys": keys,
        "positions": positions,
        "context": context,
        "steps": nets.step_indices(model.networks, context),
        "means": means,
        "offset_scales": offset_scales,
    }
    for name, values in vars(state).items():
        shape = (len(keys), *values.shape[1:])
        rows = new.get(name, np.zeros(shape, dtype=values.dtype))
        setattr(state, name, np.concatenate([values, rows.reshape(shape).astype(values.dtype)]))


def read_trits(
    model: Model,
    parts: Parts,
    attribute: int,
    network: IntegerNetwork | None,
    k: I32,
    chosen: Bool,
    *,
    context: I64,
    step: U8,
    scales: I64,
    level: int,
) -> None:
    """Refines the chosen ones of k [n, m] from `level` - 1 to `level`; scales are of this level."""
    trits: Any
    if model.header.gaussian_trits(attribute):
        gaussians = nets.gaussian_tables(scales, step, level)
        trits = parts.lanes.trits(mixtures.gaussian_trit_tables(k[chosen], gaussians[chosen]))
    elif network is None:
        raise BitstreamError("a trit network is missing")
    elif model.header.trit_model != 2:
        tables = nets.trit_tables(network, context, k, step, level)
        trits = parts.lanes.trits(tables[chosen])
    else:
        outputs = nets.trit_outputs(network, context, k, step, level)
        trits = read_mixtures(parts, mixtures.trit_gaussians(*outputs).where(chosen))
        if np.abs(trits).max(initial=0) > 1:
            raise BitstreamError("a trit is beyond -1..1")
    k[chosen] = 3 * k[chosen] + np.array(trits, dtype=np.int32)
    if np.abs(k).max(initial=0) > MAX_SYMBOL:
        raise BitstreamError("a refined symbol is beyond 23 bits")


def refine(model: Model, state: SliceState, parts: Parts, level: int, old: int) -> None:
    """Trits of the older anchors: of features, scaling, offsets, as far as they are refined."""
    networks, f = model.networks, model.header.features
    context = state.context[:old]
    scales = nets.scales(networks, context, level)
    offsets = state.offsets[:old].reshape(old, -1)
    alive = (state.mask[:old] > 0) & (state.mask[:old] < level)
    everything = np.ones((old, f + model.header.scales), dtype=np.bool_)
    for attribute, network, k, chosen, z in (
        (FEATURES, networks.trit_features, state.features[:old], everything[:, :f], scales[:, :f]),
        (SCALING, networks.trit_scaling, state.scaling[:old], everything[:, f:], scales[:, f:]),
        (OFFSETS, networks.trit_offsets, offsets, np.repeat(alive, 3, axis=1), state.offset_scales[:old]),
    ):
        if model.step_level(attribute, level) == level and k.shape[1]:
            step = state.steps[:old, attribute]
            read_trits(
                model,
                parts,
                attribute,
                network,
                k,
                chosen,
                context=context,
                step=step,
                scales=z,
                level=level,
            )


def read_features(model: Model, state: SliceState, parts: Parts, tables: U8, level: int, old: int) -> None:
    """Fresh features, chunk by chunk."""
    f, chunks = model.header.features, model.header.chunks
    k, means, step = state.features[old:], state.means[old:, :f], state.steps[old:, FEATURES]
    bounds = mixtures.chunk_bounds(f, chunks) if chunks else [(0, f)]
    begin, end = bounds[0]
    k[:, begin:end] = read_gaussian(parts, tables[:, begin:end])
    for network, (begin, end) in zip(model.networks.chunks, bounds[1:], strict=True):
        own = slice(begin, end)
        at = model.step_level(FEATURES, level)
        run = mixtures.chunk_mixtures(
            network, tables[:, own], means[:, own], k[:, :begin], step, level, step_level=at
        )
        k[:, own] = read_mixtures(parts, run)


def decode_slice_level(
    model: Model,
    state: SliceState,
    parts: Parts,
    level: int,
    interval: tuple[int, int],
    fresh: int,
    *,
    positions: PositionReader = read_positions,
) -> None:
    """One level of one slice, in coding order."""
    old, f = len(state.keys), model.header.features
    append_anchors(model, state, positions(model, state, parts.positions, interval, fresh))
    read_masks(parts.masks, state.mask, old, level)
    if old:
        refine(model, state, parts, level, old)
    scales, steps = nets.scales(model.networks, state.context[old:], level), state.steps
    at = [model.step_level(attribute, level) for attribute in range(3)]
    features = nets.gaussian_tables(scales[:, :f], steps[old:, FEATURES], at[FEATURES])
    read_features(model, state, parts, features, level, old)
    scaling = nets.gaussian_tables(scales[:, f:], steps[old:, SCALING], at[SCALING])
    state.scaling[old:] = read_gaussian(parts, scaling)
    offsets = nets.gaussian_tables(state.offset_scales, steps[:, OFFSETS], at[OFFSETS])
    appearing = state.mask == level
    state.offsets[appearing] = read_gaussian(parts, offsets.reshape(state.offsets.shape)[appearing])
    parts.masks.check_end("masks")
    parts.escapes.check_end("escapes")
    if not parts.lanes.finished():
        raise BitstreamError("the lanes do not end where their symbols do")


def slice_parts(data: bytes, chunk: ChunkInfo, info: SliceInfo) -> Parts:
    """The four byte strings of a slice's payload."""
    at = chunk.offset + limits.CHUNK_HEADER_BYTES
    payload = data[at : at + chunk.length]
    sizes = (info.positions, info.masks, info.escapes, info.symbols)
    at = _header_bytes(payload)
    pieces = []
    for size in sizes:
        pieces.append(payload[at : at + size])
        at += size
    return Parts(pieces[0], BinaryDecoder(pieces[1]), BinaryDecoder(pieces[2]), LaneDecoder(pieces[3]))


def _header_bytes(payload: bytes) -> int:
    """Length of the six numbers at the start of a slice."""
    at = 0
    for _ in range(6):
        while payload[at] >= 0x80:
            at += 1
        at += 1
    return at
