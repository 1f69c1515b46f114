"""The shape of a stream is the same class on both sides of the language border."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gspc import _codec
from gspc.codec.core import shape_from_core, shape_to_core
from gspc.format import check
from gspc.format.grid import GridPlane, GridSpec
from gspc.format.limits import CHUNK_HEADER_BYTES
from gspc.format.shape import ALL_LEVELS, NEVER, TRIT_MODELS, Attribute, Groups, Pool, StreamShape, TritModel

GOLDEN = sorted((Path(__file__).parent / "golden").glob("*.pcgs"))
GRID = GridSpec((0, 0, 0), (256, 256, 256), (GridPlane(0, 8, 10), GridPlane(1, 16, 10), GridPlane(2, 16, 10)))


def attribute(
    name: str, values: int, until: int = ALL_LEVELS, model: TritModel = "learned", hidden: int = 4
) -> Attribute:
    return Attribute(name, values, until, model, hidden, 0.25)


SHAPE = StreamShape(
    attributes=(attribute("features", 5), attribute("scaling", 6), attribute("offsets", 9)),
    steps_hidden=3,
    trunk_hidden=7,
    heads_hidden=4,
    residual_hidden=2,
    groups=Groups(2, 3),
    pool=Pool(6, 5, 1),
    grid=GRID,
)


def changed(index: int, **values: object) -> StreamShape:
    """SHAPE with another attribute at `index`."""
    attributes = list(SHAPE.attributes)
    attributes[index] = replace(attributes[index], **values)  # type: ignore[arg-type]
    return replace(SHAPE, attributes=tuple(attributes))


PLAIN = replace(SHAPE, pool=None, residual_hidden=0)
WRONG = {
    "features": changed(0, values=257),
    "no-features": replace(
        PLAIN, attributes=(attribute("features", 0, NEVER, hidden=0), *PLAIN.attributes[1:]), groups=None
    ),
    "offsets": changed(2, values=0),
    "offsets-of-two-axes": changed(2, values=8),
    "many-offsets": changed(2, values=99),
    "scales": changed(1, values=3),
    "steps-hidden": replace(SHAPE, steps_hidden=0),
    "trunk-hidden": replace(SHAPE, trunk_hidden=513),
    "heads-hidden": replace(SHAPE, heads_hidden=-1),
    "no-planes": replace(PLAIN, grid=replace(GRID, planes=())),
    "last-level": changed(0, refined_until=9),
    "negative-level": changed(0, refined_until=-1),
    "trit-hidden": changed(1, hidden=513),
    "network-of-unrefined": changed(1, refined_until=NEVER),
    "network-of-gaussian": changed(2, trit_model="gaussian"),
    "missing-network": changed(2, hidden=0),
    "one-group": replace(SHAPE, groups=Groups(1, 3)),
    "many-groups": replace(SHAPE, groups=Groups(6, 3)),
    "group-hidden": replace(SHAPE, groups=Groups(2, 513)),
    "pool": replace(SHAPE, pool=Pool(257, 5, 1)),
    "pool-hidden": replace(SHAPE, pool=Pool(6, 0, 1)),
    "pool-planes": replace(SHAPE, pool=Pool(6, 5, 3)),
    "residual-without-pool": replace(SHAPE, pool=None),
    "residual-without-features": replace(
        SHAPE, attributes=(attribute("features", 0, NEVER, hidden=0), *SHAPE.attributes[1:]), groups=None
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_both_sides_refuse_the_same_with_the_same_words(name: str) -> None:
    error = WRONG[name].error()
    assert error is not None
    assert shape_to_core(WRONG[name]).error() == error


@pytest.mark.parametrize("shape", [SHAPE, PLAIN], ids=["predictive", "plain"])
@pytest.mark.parametrize("levels", [1, 2, 8])
def test_both_sides_have_the_same_layers(shape: StreamShape, levels: int) -> None:
    assert shape.error() is None and shape_to_core(shape).error() is None
    layers = [(layer.name, layer.inputs, layer.outputs, layer.variants) for layer in shape.layers(levels)]
    assert shape_to_core(shape).layers(levels) == layers
    assert shape_to_core(shape).context_size == shape.context_size
    assert shape_from_core(shape_to_core(shape)) == shape


@pytest.mark.parametrize("until", [ALL_LEVELS, NEVER, 2, 8])
@pytest.mark.parametrize("model", TRIT_MODELS)
def test_both_sides_refine_at_the_same_levels(until: int, model: TritModel) -> None:
    mine = attribute("scaling", 6, until, model)
    core = _codec.Attribute(6, until, model, 4, 0.25)
    for level in range(1, 9):
        assert core.step_level(level) == mine.step_level(level)
        assert core.refines_at(level) == mine.refines_at(level)
    assert core.wants_network == mine.wants_network


def test_when_levels_refine() -> None:
    assert [attribute("scaling", 6, 2).refines_at(level) for level in (1, 2, 3)] == [False, True, False]
    assert [attribute("scaling", 6, 2).refinement(level) for level in (1, 2, 3)] == [1, 3, 3]
    assert [attribute("scaling", 6, NEVER).refinement(level) for level in (1, 2, 3)] == [1, 1, 1]
    assert [attribute("scaling", 6, ALL_LEVELS).refinement(level) for level in (1, 2, 3)] == [1, 3, 9]


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_headers_keep_their_bytes(path: Path) -> None:
    data = path.read_bytes()
    info = check(data)
    chunk = info.chunks[1]
    start = chunk.offset + CHUNK_HEADER_BYTES
    payload = data[start : start + chunk.length]
    header = _codec.StreamHeader.from_bytes(payload)
    assert shape_from_core(header.shape) == info.header.shape
    assert header.to_bytes() == payload


def test_headers_that_this_format_has_no_code_for() -> None:
    for shape, message in (
        (changed(2, trit_model="unbounded"), "no code for these trit models"),
        (changed(2, refined_until=2), "the same last refined level"),
    ):
        assert shape_to_core(shape).error() is None
        assert message in (_codec.StreamHeader(shape_to_core(shape)).error() or "")
