"""One slice of a stream: its bytes, its state, and the order in which both meet (pcgs(5), SLIC and CODING
ORDER)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from gspc.errors import BitstreamError
from gspc.format.shape import ATTRIBUTES, Attribute
from gspc.reference import networks
from gspc.reference.arrays import I32, I64, U8, U64, Bool
from gspc.reference.binary import BinaryDecoder, ExpGolombModel, models
from gspc.reference.mixtures import group_mixtures
from gspc.reference.model import Model
from gspc.reference.morton import morton_positions
from gspc.reference.positions import decode_positions
from gspc.reference.rans import Decoder as LaneDecoder
from gspc.reference.symbol_tables import SymbolTable, gaussian_table
from gspc.reference.trits import Coarse, trit_tables
from gspc.reference.varint import read_varint

MAX_SYMBOL = (1 << 23) - 1

# ---- bytes ----


@dataclass
class Parts:
    """What a SLIC chunk holds. The model of escapes lives as long as the chunk."""

    anchors: int  # that appear
    gaussians: int  # that appear
    positions: bytes
    masks: BinaryDecoder
    escapes: BinaryDecoder
    lanes: LaneDecoder
    escape_model: ExpGolombModel = field(default_factory=ExpGolombModel)

    def check_end(self) -> None:
        """Raises BitstreamError unless every part ends where its contents do; positions check themselves."""
        self.masks.check_end("masks")
        self.escapes.check_end("escapes")
        if not self.lanes.finished():
            raise BitstreamError("the lanes do not end where their symbols do")


def read_parts(payload: bytes) -> Parts:
    """The parts of a SLIC chunk's payload."""
    at = 0
    numbers = []
    for _ in range(6):
        number, at = read_varint(payload, at, "slice")
        numbers.append(number)
    pieces = []
    for size in numbers[2:]:
        pieces.append(payload[at : at + size])
        at += size
    if at > len(payload) or any(payload[at:]):
        raise BitstreamError("slice: its parts do not end where its bytes do")
    anchors, gaussians = numbers[:2]
    positions, masks, escapes, symbols = pieces
    coders = BinaryDecoder(masks), BinaryDecoder(escapes), LaneDecoder(symbols)
    return Parts(anchors, gaussians, positions, *coders)


# ---- state ----


@dataclass
class SliceState:
    """The anchors of one slice at one level, in order of appearance: what was read, and what positions alone
    predict.

    Symbols of offsets are [n, 3K] and 0 where a Gaussian is not alive.
    """

    keys: U64  # [n], Morton
    mask: U8  # [n, K]: 0, or the level at which a Gaussian appears
    symbols: dict[str, I32]  # by attribute, [n, values] at the level decoded last
    positions: I32  # [n, 3]
    context: I64  # [n, C]
    means: I32  # [n, F + Z + 3K]
    steps: U8  # [n, 3]: step indices of features, scaling, offsets
    step_levels: U8  # [n, 3]: the stage whose step their symbols are in
    selective: bool  # refinement is

    @staticmethod
    def of(model: Model, keys: U64, stage: int) -> SliceState:
        """Anchors that appear at `stage`, of which nothing but the keys [n] is known."""
        shape, n = model.shape, len(keys)
        positions = morton_positions(keys)
        context = model.context(positions)
        return SliceState(
            keys=keys,
            mask=np.zeros((n, shape.offsets), np.uint8),
            symbols={a.name: np.zeros((n, a.values), np.int32) for a in shape.attributes},
            positions=positions,
            context=context,
            means=networks.means(model.layers, shape, context),
            steps=networks.step_indices(model.layers, context),
            step_levels=np.tile(np.array([a.step_level(stage) for a in shape.attributes], np.uint8), (n, 1)),
            selective=shape.selective,
        )

    @staticmethod
    def empty(model: Model) -> SliceState:
        """No anchors."""
        return SliceState.of(model, np.zeros(0, np.uint64), 1)

    def append(self, fresh: SliceState) -> None:
        """Anchors that appear, behind those that are there."""
        for name in ("keys", "mask", "positions", "context", "means", "steps", "step_levels"):
            setattr(self, name, np.concatenate([getattr(self, name), getattr(fresh, name)]))
        for name, values in fresh.symbols.items():
            self.symbols[name] = np.concatenate([self.symbols[name], values])


def _spread(attribute: Attribute, anchors: Bool, gaussians: Bool) -> Bool:
    """Which values [n, values] belong to some anchors [n] or, of offsets, Gaussians [n, K]."""
    if attribute.name == "offsets":
        return np.repeat(gaussians, 3, axis=1)
    return np.repeat(anchors[:, None], attribute.values, axis=1)


# ---- reading ----


def read_masks(coder: BinaryDecoder, mask: U8, old: int, level: int) -> None:
    """Fills in which Gaussians appear: of the `old` older anchors, then of the fresh ones, which have one at
    least."""
    _read_older_masks(coder, mask[:old], level)
    _read_fresh_masks(coder, mask[old:], level)


def _read_older_masks(coder: BinaryDecoder, mask: U8, level: int) -> None:
    count = mask.shape[1]
    # Of each Gaussian: how many of the anchor appear before it, how many were alive.
    bits = [[models(4) for _ in range(4)] for _ in range(count)]
    for row in mask:
        before, now = int(np.count_nonzero(row)), 0
        for k in range(count):
            if row[k] == 0 and coder.bit(bits[k][min(now, 3)][4 * before // (count + 1)]):
                row[k] = level
                now += 1


def _read_fresh_masks(coder: BinaryDecoder, mask: U8, level: int) -> None:
    count = mask.shape[1]
    # Of each Gaussian: how many of the anchor appear before it, whether it appears in the anchor before.
    bits = [[models(2) for _ in range(8)] for _ in range(count)]
    last = [0] * count
    for row in mask:
        now = 0
        for k in range(count):
            certain = now == 0 and k == count - 1
            if certain or coder.bit(bits[k][min(now, 7)][last[k]]):
                row[k] = level
                now += 1
        last = [int(value != 0) for value in row]


def read_run(parts: Parts, tables: Sequence[SymbolTable]) -> I32:
    """A run of symbols [n] under their tables, then its escapes."""
    symbols = parts.lanes.run(tables)
    complete = [
        read_escape(parts, table) if symbol is None else symbol
        for symbol, table in zip(symbols, tables, strict=True)
    ]
    return np.array(complete, dtype=np.int32)


def read_escape(parts: Parts, table: SymbolTable) -> int:
    """A symbol beyond those of its table."""
    below = parts.escapes.digits(1)
    more = 1 + parts.escapes.number(parts.escape_model)
    symbol = min(table.symbols) - more if below else max(table.symbols) + more
    if abs(symbol) > MAX_SYMBOL:
        raise BitstreamError("an escaped symbol is beyond 23 bits")
    return symbol


def read_gaussians(parts: Parts, indices: U8) -> I32:
    """A run of symbols [n] under Gaussian tables."""
    return read_run(parts, [gaussian_table(index) for index in indices.tolist()])


def read_choices(model: Model, state: SliceState, coder: BinaryDecoder, old: int, stage: int) -> Bool:
    """Which attributes of the `old` older anchors are refined [old, 3], of those that may be."""
    attributes = model.shape.attributes
    caps = [a.step_level(stage) if a.refined and a.values else 0 for a in attributes]
    any_of = [bool(cap) and coder.digits(1) == 1 for cap in (a.refined and a.values for a in attributes)]
    # By attribute, Gaussians alive, coarseness of the step, the bit of the last anchor, what came of the
    # attribute before.
    bits = [[[[models(3) for _ in range(2)] for _ in range(4)] for _ in range(3)] for _ in attributes]
    found = np.zeros((old, len(attributes)), np.bool_)
    last = [0] * len(attributes)
    alive = np.count_nonzero(state.mask[:old], axis=1)
    for n in range(old):
        before = 2
        for number in range(len(attributes)):
            if not any_of[number] or state.step_levels[n, number] >= caps[number]:
                continue
            coarse = min(max((int(state.steps[n, number]) - 32) // 16, 0), 3)
            model_of = bits[number][min(int(alive[n]), 3) - 1][coarse][last[number]][before]
            before = last[number] = coder.bit(model_of)
            found[n, number] = before
    return found


def _all_chosen(model: Model, old: int, stage: int) -> Bool:
    """What a stage refines where nothing is chosen: every anchor's attributes alike [old, 3]."""
    return np.tile([a.refines_at(stage) and a.values > 0 for a in model.shape.attributes], (old, 1))


def refine(model: Model, state: SliceState, parts: Parts, chosen: Bool, level: int) -> None:
    """Trits of the attributes of older anchors that are chosen [old, 3], attribute by attribute and, of each,
    step by step."""
    stage = model.stages[level - 1]
    steps = state.step_levels[: len(chosen)].copy()
    for number in range(len(ATTRIBUTES)):
        for to in range(2, stage + 1):
            rows = np.flatnonzero(chosen[:, number] & (steps[:, number] == to - 1))
            if len(rows):
                _refine_rows(model, state, parts, rows, number, level, to)


def _refine_rows(
    model: Model, state: SliceState, parts: Parts, rows: I64, number: int, level: int, stage: int
) -> None:
    """One run: an attribute of some anchors, from the step of the stage before to that of `stage`."""
    attribute, context = model.shape.attributes[number], state.context[rows]
    scales = networks.scales(model.layers, model.shape, context, stage)
    alive = (state.mask[rows] > 0) & (state.mask[rows] < level)
    k, chosen = state.symbols[attribute.name][rows], _spread(attribute, np.ones(len(rows), np.bool_), alive)
    coarse = Coarse(stage, context, k, state.steps[rows, number], scales[attribute.name])
    trits = read_run(parts, trit_tables(attribute, model.layers, coarse, chosen))
    if (np.abs(trits) > 1).any():
        raise BitstreamError("a trit is beyond -1..1")
    k[chosen] = 3 * k[chosen] + trits
    if (np.abs(k) > MAX_SYMBOL).any():
        raise BitstreamError("a refined symbol is beyond 23 bits")
    state.symbols[attribute.name][rows] = k
    state.step_levels[rows, number] = stage


def read_appearing(model: Model, state: SliceState, parts: Parts, level: int, old: int) -> None:
    """First symbols: features and scaling of fresh anchors, offsets of all Gaussians that appear."""
    stage = model.stages[level - 1]
    scales = networks.scales(model.layers, model.shape, state.context, stage)
    fresh = np.arange(len(state.keys)) >= old
    for number, attribute in enumerate(model.shape.attributes):
        step, k = state.steps[:, number], state.symbols[attribute.name]
        gaussians = networks.gaussian_indices(scales[attribute.name], step, state.step_levels[:, number])
        if attribute.name == "features":
            read_features(model, state, parts, gaussians[old:], stage, old)
        else:
            chosen = _spread(attribute, fresh, state.mask == level)
            k[chosen] = read_gaussians(parts, gaussians[chosen])


def read_features(model: Model, state: SliceState, parts: Parts, gaussians: U8, stage: int, old: int) -> None:
    """Features of fresh anchors, group by group: the first under their Gaussian tables [n, F], the others
    under mixtures that the channels before predict."""
    number = ATTRIBUTES.index("features")
    k, means, step = state.symbols["features"][old:], state.means[old:], state.steps[old:, number]
    for group, (begin, end) in enumerate(model.shape.group_bounds):
        own = slice(begin, end)
        if group == 0:
            run = read_gaussians(parts, gaussians[:, own].ravel())
        else:
            mixtures = group_mixtures(
                model.layers,
                model.shape,
                group,
                gaussians=gaussians[:, own],
                means=means[:, own],
                earlier=k[:, :begin],
                step=step,
                stage=stage,
            )
            run = read_run(parts, mixtures.tables())
        k[:, own] = run.reshape(len(k), end - begin)


def decode_slice_level(
    model: Model, state: SliceState, parts: Parts, level: int, interval: tuple[int, int]
) -> None:
    """Takes the slice with keys in `interval` from `level` - 1 to `level`. Raises BitstreamError for
    damage."""
    stage, selective = model.stages[level - 1], model.shape.selective
    old, known = len(state.keys), np.sort(state.keys).tolist()
    keys = decode_positions(parts.positions, known, interval, model.position_bits, parts.anchors)
    state.append(SliceState.of(model, np.array(keys, dtype=np.uint64), stage))
    if selective and keys and not parts.gaussians:
        raise BitstreamError("anchors without Gaussians")
    if not selective or parts.gaussians:
        read_masks(parts.masks, state.mask, old, level)
    if np.count_nonzero(state.mask == level) != parts.gaussians:
        raise BitstreamError("the count of Gaussians is not what the masks say")
    if selective and level > 1:
        chosen = read_choices(model, state, parts.masks, old, stage)
    else:
        chosen = _all_chosen(model, old, stage)
    refine(model, state, parts, chosen, level)
    read_appearing(model, state, parts, level, old)
    parts.check_end()
