"""One predicate for what a scene may hold: encoder, core, reader, decoded scenes and renderer agree."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import synthetic
from rendering_scenes import random_scene
from stored_chunks import cameras_chunk, heads_chunk
from test_bitstream import core_value, page_limit
from test_codec_damage import head_change, index_of, rebuilt

from gspc.codec import decode, encode
from gspc.codec import stream as coding
from gspc.errors import BitstreamError, InputError
from gspc.format import describe, limits, usable
from gspc.format.scene import QuantizedScene
from gspc.rendering import Renderer, read_scene, write_scene
from gspc.scene import Camera, DecodedScene

SCENE = synthetic.tiny(12, levels=1)
NAN, INF = float("nan"), float("inf")


@pytest.fixture(scope="module")
def stream() -> bytes:
    return encode(SCENE)


@pytest.fixture
def core_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scenes reach the core unchecked."""
    monkeypatch.setattr(coding, "_unusable", lambda scene: None)


def with_steps(scene: QuantizedScene, steps: tuple[float, ...]) -> QuantizedScene:
    attributes = zip(scene.shape.attributes, steps, strict=True)
    changed = tuple(replace(attribute, step_base=step) for attribute, step in attributes)
    return replace(scene, shape=replace(scene.shape, attributes=changed))


def refusal(action: Callable[[], Any]) -> str | None:
    """What an action says when it refuses, None when it does not."""
    try:
        action()
    except (BitstreamError, InputError) as error:
        assert "\n" not in str(error)
        return str(error)
    return None


def agree(problem: str | None, *refusals: str | None) -> None:
    for said in refusals:
        if problem is None:
            assert said is None
        else:
            assert said is not None, problem
            assert said.endswith(problem) or f"{problem}; " in said, (said, problem)


def drawn(scene: DecodedScene) -> None:
    """What was decoded is a file, comes back, and every camera of it draws finite pixels or says why not."""
    back = read_scene(write_scene(scene))
    renderer = Renderer(back)
    for camera in back.cameras:
        assert np.isfinite(renderer.render(camera)).all()


def pose(rotation: Any = None, translation: Any = (0.25, -0.5, 3.0)) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, :3] = np.eye(3) if rotation is None else rotation
    matrix[:3, 3] = translation
    return matrix


def camera(**changes: Any) -> Camera:
    plain = Camera("view.png", 64, 48, 50.0, 51.0, 32.0, 24.0, pose())
    return replace(plain, **changes)


C, S = np.cos(1.0), np.sin(1.0)
TURNED = np.array([[C, 0, -S], [0, 1, 0], [S, 0, C]])
NAME, SIZE, FOCAL = "its name", "its width and height", "its focal lengths"
CENTER, ROTATION, MOVE = "its principal point", "its pose has no rotation", "its pose moves"

CAMERAS = [
    ({"name": ""}, None),
    ({"name": "x" * 1024}, None),
    ({"name": "x" * 1025}, NAME),
    ({"name": "あ" * 341}, None),  # 1,023 bytes
    ({"name": "あ" * 342}, NAME),  # 342 characters, 1,026 bytes
    ({"name": "🌍 ü/é.png"}, None),
    ({"name": "\u202eright-to-left"}, None),  # escaped where it is printed
    ({"name": "a\x1b]0;title\x07"}, NAME),
    ({"name": "two\nlines"}, NAME),
    ({"name": "\x7f"}, NAME),
    ({"name": "\x9b31m"}, NAME),
    ({"name": "\x00"}, NAME),
    ({"width": 1, "height": 1}, None),
    ({"width": 16384, "height": 1}, None),
    ({"width": 0}, SIZE),
    ({"height": 0}, SIZE),
    ({"fx": 2.0**-10, "fy": 2.0**30}, None),
    ({"fx": 2.0**-10.1}, FOCAL),
    ({"fy": 2.0**30.1}, FOCAL),
    *[({"fx": value}, FOCAL) for value in (-5.0, 0.0, -0.0, 1e-300, 1e39, 1e300, INF, NAN)],
    *[({"fy": value}, FOCAL) for value in (-5.0, 0.0, NAN)],
    ({"cx": 2.0**24, "cy": -(2.0**24)}, None),
    *[({"cx": value}, CENTER) for value in (2.0**24.1, -1e39, 1e300, INF, NAN)],
    ({"cy": NAN}, CENTER),
    ({"world_to_camera": pose(TURNED)}, None),
    ({"world_to_camera": pose(TURNED + 1e-5)}, None),  # not packed as a rotation, still one
    ({"world_to_camera": pose(TURNED * 1.0004)}, None),
    ({"world_to_camera": pose(TURNED * 1.001)}, ROTATION),
    ({"world_to_camera": pose(TURNED * 2)}, ROTATION),
    ({"world_to_camera": pose(-np.eye(3))}, ROTATION),
    ({"world_to_camera": pose(np.diag([1.0, 1.0, -1.0]))}, ROTATION),  # a reflection
    ({"world_to_camera": pose(np.zeros((3, 3)))}, ROTATION),
    ({"world_to_camera": pose(np.ones((3, 3)))}, ROTATION),
    ({"world_to_camera": pose(np.full((3, 3), 1e308))}, ROTATION),
    ({"world_to_camera": pose(np.full((3, 3), NAN))}, ROTATION),
    ({"world_to_camera": pose(TURNED, (2.0**33, -(2.0**33), 0))}, None),
    *[({"world_to_camera": pose(TURNED, (0, value, 0))}, MOVE) for value in (2.0**33.1, -1e38, INF, NAN)],
]


@pytest.mark.parametrize(("changes", "begins"), CAMERAS)
def test_cameras(stream: bytes, core_alone: None, changes: dict[str, Any], begins: str | None) -> None:
    views = (camera(), camera(**changes))
    problem = usable.cameras_problem(views)
    assert problem is None if begins is None else (problem or "").startswith(f"camera 2: {begins}")
    data = rebuilt(stream, {index_of(stream, "cams"): (b"cams", cameras_chunk(views))})
    written: list[bytes] = []
    agree(
        problem,
        refusal(lambda: written.append(encode(replace(SCENE, cameras=views)))),
        refusal(lambda: decode(data)),
        refusal(lambda: write_scene(replace(random_scene(3), cameras=views))),
    )
    for accepted in (data, *written):
        if problem is None:
            drawn(decode(accepted).scene)


def test_cameras_that_no_stream_can_hold(core_alone: None) -> None:
    """Wider than 16 bits: the writer refuses instead of cutting."""
    for side in ({"width": 65536}, {"height": 1 << 20}):
        said = refusal(lambda side=side: encode(replace(SCENE, cameras=(camera(**side),))))
        assert said is not None and said.endswith(f"{SIZE} must be 1 to 65535 pixels")
    wide = camera(width=65535, height=1)
    (back,) = decode(encode(replace(SCENE, cameras=(wide,)))).scene.cameras
    assert (back.width, back.height) == (65535, 1)
    with pytest.raises(InputError, match="65535 x 1 pixels are too many to draw"):
        Renderer(random_scene(3)).render(back)


@pytest.mark.parametrize(
    "changes",
    [
        {"width": -1},
        {"width": 64.5},
        {"width": 1 << 40},
        {"name": "\udcff"},
        {"world_to_camera": np.eye(3)},
        {"world_to_camera": np.full((4, 4), 0.5)},
    ],
)
def test_what_the_binding_could_not_take_is_refused_before(changes: dict[str, Any]) -> None:
    assert refusal(lambda: encode(replace(SCENE, cameras=(camera(**changes),)))) is not None


@pytest.mark.parametrize(
    "name",
    [b"\xff", b"\xc3", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe0\x80\x80", b"a\xe3\x81"],
)
def test_names_that_are_no_text(stream: bytes, name: bytes) -> None:
    problem = usable.name_problem(name)
    assert problem == "its name is not UTF-8 text"
    chunk = cameras_chunk([camera()], names=[name])
    with pytest.raises(BitstreamError, match=problem):
        decode(rebuilt(stream, {index_of(stream, "cams"): (b"cams", chunk)}))


def test_counts(stream: bytes, core_alone: None) -> None:
    views = (camera(),) * 65
    data = rebuilt(stream, {index_of(stream, "cams"): (b"cams", cameras_chunk(views))})
    agree(
        usable.cameras_problem(views),
        refusal(lambda: encode(replace(SCENE, cameras=views))),
        refusal(lambda: decode(data)),
        refusal(lambda: write_scene(replace(random_scene(1), cameras=views))),
    )
    assert usable.cameras_problem(views[:64]) is None
    long = replace(SCENE, metadata={"a": "x" * (1 << 20)})
    assert "metadata is longer than 1 MiB" in (refusal(lambda: encode(long)) or "")


PLACEMENTS = [
    *[
        ("step_base", 42, (value, 0.05, 0.2))
        for value in (2.0**20, 1e-300, 2.0**20.1, 0.0, -1.0, 1e300, NAN, INF)
    ],
    *[("origin", 66, (0.0, value, 0.0)) for value in (2.0**32, -(2.0**32), 2.0**32.1, 1e300, NAN, -INF)],
    *[("voxel_size", 90, value) for value in (2.0**11, 1e-300, 2.0**11.1, 0.0, -1.0, 1e300, NAN, INF)],
    *[("background", 98, (0.0, 1.0, value)) for value in (0.5, 1.5, -0.25, 3e38, NAN, INF)],
]


@pytest.mark.parametrize(("field", "at", "value"), PLACEMENTS)
def test_placement(stream: bytes, core_alone: None, field: str, at: int, value: Any) -> None:
    if field == "step_base":
        scene = with_steps(SCENE, value)
    else:
        scene = replace(SCENE, **{field: np.array(value) if field == "origin" else value})
    steps = [attribute.step_base for attribute in scene.shape.attributes]
    problem = usable.placement_problem(steps, scene.origin, scene.voxel_size, scene.background)
    numbers = np.atleast_1d(value)
    changed = head_change(stream, at, numbers.astype("<f4" if field == "background" else "<f8").tobytes())
    agree(
        problem,
        refusal(lambda: encode(scene)),
        refusal(lambda: decode(changed)),
        refusal(lambda: describe(changed)),
    )
    if problem is None:
        drawn(decode(changed).scene)
        drawn(decode(encode(scene)).scene)


def test_the_largest_of_everything_is_finite(core_alone: None) -> None:
    """All bounds at once: the farthest anchors, the largest values, weights, biases and distances."""
    heads = SCENE.heads
    layers = {
        name: replace(
            layer := getattr(heads, name),
            weight=np.full_like(layer.weight, 127),
            scale=np.full_like(layer.scale, limits.MAX_HEAD_FLOAT),
            bias=np.full_like(layer.bias, limits.MAX_HEAD_FLOAT),
        )
        for name in ("hidden", "opacity", "color", "cov")
    }
    positions = SCENE.positions.copy()
    positions[-1] = (1 << 21) - 1
    far = pose(TURNED, [limits.MAX_TRANSLATION] * 3)
    scene = replace(
        with_steps(SCENE, (float(limits.MAX_STEP),) * 3),
        positions=positions,
        features=np.full_like(SCENE.features, (1 << 23) - 1),
        origin=np.full(3, float(limits.MAX_ORIGIN)),
        voxel_size=float(limits.MAX_VOXEL),
        heads=replace(heads, **layers, distance_scale=float(limits.MAX_HEAD_FLOAT)),
        cameras=(camera(world_to_camera=far), camera()),
    )
    decoded = decode(encode(scene)).scene
    assert np.abs(decoded.anchors).max() <= limits.MAX_ANCHOR
    assert np.abs(decoded.features).max() <= limits.MAX_VALUE
    drawn(decoded)


@pytest.mark.parametrize("value", [2.0**20, -(2.0**20), 2.0**21, 3e38, -3e38, INF, NAN])
@pytest.mark.parametrize("field", ["scale", "bias", "distance_scale"])
def test_heads(stream: bytes, core_alone: None, field: str, value: float) -> None:
    heads = SCENE.heads
    if field == "distance_scale":
        heads = replace(heads, distance_scale=value)
    else:
        values = getattr(heads.cov, field).copy()
        values[1] = value
        heads = replace(heads, cov=replace(heads.cov, **{field: values}))
    data = rebuilt(stream, {index_of(stream, "GHED", 1): (b"GHED", heads_chunk(heads))})
    problem = usable.stored_heads_problem(heads)
    agree(problem, refusal(lambda: encode(replace(SCENE, heads=heads))), refusal(lambda: decode(data)))
    assert (problem is None) == (abs(value) == 2.0**20)
    if problem is None:
        drawn(decode(data).scene)


def test_the_chunks_of_these_tests_are_those_of_the_core(stream: bytes) -> None:
    """With nothing changed they decode to the scene that the core wrote."""
    cams = (b"cams", cameras_chunk(SCENE.cameras))
    heads = (b"GHED", heads_chunk(SCENE.heads))
    data = rebuilt(stream, {index_of(stream, "cams"): cams, index_of(stream, "GHED", 1): heads})
    new, old = decode(data).scene, decode(stream).scene
    assert np.array_equal(new.heads.w_cov, old.heads.w_cov)
    for a, b in zip(new.cameras, old.cameras, strict=True):
        assert replace(a, world_to_camera=None) == replace(b, world_to_camera=None)
        np.testing.assert_allclose(a.world_to_camera, b.world_to_camera, atol=2.0**-21)


def test_encode_asks_before_the_core() -> None:
    """The Python side says the same as the core, in an error of its own."""
    scenes: list[QuantizedScene] = [
        replace(SCENE, cameras=(camera(fx=-5.0),)),
        replace(SCENE, origin=np.array([1e300, 0, 0])),
        replace(SCENE, heads=replace(SCENE.heads, distance_scale=1e300)),
        replace(SCENE, metadata={"a": "\ud800"}),
    ]
    for scene in scenes:
        with pytest.raises(InputError, match=r"^cannot encode this scene of 12 anchors: "):
            encode(scene)


@pytest.mark.parametrize(
    ("page", "python", "core"),
    [
        ("camera name bytes", limits.MAX_NAME_BYTES, "kMaxNameBytes"),
        ("camera sides", limits.MAX_SIDE, "kMaxSide"),
        ("focal lengths", limits.MAX_FOCAL, "kMaxFocal"),
        ("principal point", limits.MAX_CENTER, "kMaxCenter"),
        ("camera translation", limits.MAX_TRANSLATION, "kMaxTranslation"),
        ("origin", limits.MAX_ORIGIN, "kMaxOrigin"),
        ("voxel size", limits.MAX_VOXEL, "kMaxVoxel"),
        ("Q0", limits.MAX_STEP, "kMaxStep"),
        ("head floats", limits.MAX_HEAD_FLOAT, "kMaxHeadFloat"),
    ],
)
def test_bounds_are_the_same_everywhere(page: str, python: int, core: str) -> None:
    assert page_limit(page) == python == core_value(core)


def test_bounds_without_a_row() -> None:
    root = Path(__file__).parent.parent
    text = (root / "kernels/codec/format/limits.hpp").read_text()
    assert limits.MIN_FOCAL == 2.0**-10 and "kMinFocal = 1.0 / (1 << 10);" in text
    assert limits.MAX_ROTATION_ERROR == 1e-3 and "kMaxRotationError = 1e-3;" in text
    assert core_value("kMaxMemory") == limits.MAX_MEMORY
    page = (root / "man/pcgs.5").read_text()
    assert f"(4 GiB, {limits.MAX_MEMORY} bytes, by default)" in page
    assert re.search(r"2\^-10", page) and "up to 0.001" in page
    assert struct.calcsize("H") == 2 and limits.MAX_SIDE == (1 << 16) - 1


def test_cameras_in_files() -> None:
    """Plain values and back; model.pt once held poses as tensors."""
    torch = pytest.importorskip("torch")
    view = camera(world_to_camera=pose(TURNED))
    plain = view.to_plain()
    for rows in (plain["world_to_camera"], torch.from_numpy(view.world_to_camera)):
        back = Camera.from_plain(plain | {"world_to_camera": rows})
        assert replace(back, world_to_camera=None) == replace(view, world_to_camera=None)
        assert np.array_equal(back.world_to_camera, view.world_to_camera)
    with pytest.raises(ValueError, match="4x4"):
        Camera.from_plain(plain | {"world_to_camera": [[1.0]]})
