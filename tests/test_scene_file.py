"""The decoded scene's file: exact bytes back, exact sizes, and one clear error for everything hostile."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys

import numpy as np
import pytest
from rendering_scenes import camera, one_gaussian_scene, random_scene

from gspc.errors import InputError
from gspc.format.limits import MAX_CAMERAS, MAX_METADATA_BYTES, MAX_VALUE
from gspc.format.limits import MAX_SCENE_HEADER as MAX_HEADER
from gspc.rendering import render_view
from gspc.rendering.scene_file import VERSION, read_scene, write_scene
from gspc.scene import DecodedScene


def parts(data: bytes) -> tuple[dict, bytes]:
    length = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def assemble(header: dict | bytes, body: bytes, pad: int = 8) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    text += b" " * (-len(text) % pad)
    return len(text).to_bytes(8, "little") + text + body


def equal(a: DecodedScene, b: DecodedScene) -> None:
    for key in ("anchors", "features", "log_scales", "offsets", "gaussian_mask"):
        left, right = getattr(a, key), getattr(b, key)
        assert left.dtype == right.dtype and left.shape == right.shape
        assert left.tobytes() == right.tobytes()
    for field in dataclasses.fields(a.heads):
        assert np.array_equal(getattr(a.heads, field.name), getattr(b.heads, field.name)), field.name
    assert (a.level, a.levels, a.background) == (b.level, b.levels, b.background)
    assert a.residuals == b.residuals
    assert dict(a.metadata) == dict(b.metadata)
    assert len(a.cameras) == len(b.cameras)
    for left, right in zip(a.cameras, b.cameras, strict=True):
        assert np.array_equal(left.world_to_camera, right.world_to_camera)
        assert dataclasses.replace(left, world_to_camera=None) == dataclasses.replace(
            right, world_to_camera=None
        )


@pytest.mark.parametrize("anchors", [0, 1, 2, 50])
def test_round_trip_is_exact(anchors: int) -> None:
    scene = random_scene(anchors)
    data = write_scene(scene)
    equal(scene, read_scene(data))
    assert write_scene(read_scene(data)) == data


@pytest.mark.parametrize("residuals", [0, 3, 8])
def test_residuals(residuals: int) -> None:
    scene = dataclasses.replace(random_scene(3), residuals=residuals)
    equal(scene, read_scene(write_scene(scene)))


def test_files_without_residuals_have_none() -> None:
    """As gspc wrote them before there were any."""
    data = changed_metadata("scene", lambda value: value.pop("residuals"))
    assert read_scene(data).residuals == 0


def test_size_is_header_plus_tensors() -> None:
    scene = random_scene(50, features=8, offsets=4, hidden=6)
    header, body = parts(write_scene(scene))
    floats = 50 * (3 + 8 + 6 + 12) + 18 * 12 + 18 + (4 + 12 + 28) * (6 + 1)
    assert len(body) == 4 * floats + 50 * 4
    assert header["__metadata__"]["version"] == str(VERSION)


def test_awkward_values_survive() -> None:
    scene = random_scene(3)
    scene.features[0, :4] = [0.0, -0.0, 1e-45, MAX_VALUE]
    view = camera('Ünïcode "quoted"\\name.png', cx=1 / 3, fx=np.pi)
    scene = dataclasses.replace(scene, cameras=(view,), background=(0.1, 1 / 3, 1.0), metadata={"a": "ü\n\0"})
    equal(scene, read_scene(write_scene(scene)))


def test_the_safetensors_package_agrees() -> None:
    library = pytest.importorskip("safetensors.numpy")
    scene = random_scene(5)
    data = write_scene(scene)
    tensors = library.load(data)
    assert np.array_equal(tensors["offsets"], scene.offsets)
    assert np.array_equal(tensors["gaussian_mask"], scene.gaussian_mask)
    assert np.array_equal(tensors["heads.w_cov"], scene.heads.w_cov)
    equal(scene, read_scene(library.save(tensors, metadata=parts(data)[0]["__metadata__"])))


def test_unaligned_bytes_are_read() -> None:
    scene = random_scene(4)
    header, body = parts(write_scene(scene))
    data = assemble(json.dumps(header).encode() + b" ", body, pad=1)
    for shift in range(1, 4):
        shifted = memoryview(b"x" * shift + data)[shift:]
        equal(scene, read_scene(shifted))
        assert read_scene(shifted).features.flags.aligned


def test_every_truncation_is_an_error() -> None:
    data = write_scene(one_gaussian_scene())
    for end in range(0, len(data), 3):
        with pytest.raises(InputError, match="pipe"):
            read_scene(data[:end], "pipe")
    with pytest.raises(InputError, match="1 bytes follow its end"):
        read_scene(data + b"\0")


def test_flipped_header_bits_never_escape() -> None:
    data = bytearray(write_scene(one_gaussian_scene()))
    length = int.from_bytes(data[:8], "little")
    for index in range(8 + length):
        for bit in (0, 3, 7):
            data[index] ^= 1 << bit
            try:
                read_scene(data)
            except InputError as error:
                assert "\n" not in str(error)
            data[index] ^= 1 << bit


def changed_header(**changes) -> bytes:
    header, body = parts(write_scene(random_scene(4)))
    for key, value in changes.items():
        name = key.replace("__", ".")
        if value is None:
            del header[name]
        else:
            header[name] = {**header.get(name, {}), **value}
    return assemble(header, body)


def changed_metadata(key: str, edit) -> bytes:
    header, body = parts(write_scene(random_scene(4)))
    value = json.loads(header["__metadata__"][key])
    edit(value)
    header["__metadata__"][key] = json.dumps(value)
    return assemble(header, body)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "ends inside its header"),
        (b"\xff" * 8 + b"{}", "header length makes no sense"),
        ((MAX_HEADER + 1).to_bytes(8, "little") + b"{" + b" " * MAX_HEADER, "header length makes no sense"),
        (assemble(b"[" * 100_000, b""), "header is no JSON"),
        (assemble(b"{\xff\xff}", b""), "header is no JSON"),
        (assemble(b'{"a":1,"a":1}', b""), "header is no JSON"),
        (assemble(b"[]", b""), "header is no object"),
        (assemble({"x": {}}, b""), "of another kind"),
        (assemble({"__metadata__": {"format": "pt"}}, b""), "of another kind"),
        (changed_header(anchors=None), "'anchors' is missing"),
        (changed_header(features=None), "'features' is missing"),
        (changed_header(anchors={"dtype": "F64"}), "'anchors' is not F32"),
        (changed_header(gaussian_mask={"dtype": "U8"}), "'gaussian_mask' is not BOOL"),
        (changed_header(anchors={"shape": [5, 3]}), "another shape"),
        (changed_header(heads__w1={"shape": [1, 1]}), "another shape"),
        (changed_header(features={"shape": [4, -8]}), "makes no sense"),
        (changed_header(features={"shape": [4, True]}), "makes no sense"),
        (changed_header(features={"shape": [4, 2.0]}), "makes no sense"),
        (changed_header(features={"shape": [4, 0]}), "no features"),
        (changed_header(features={"shape": [2**62, 8]}), "another shape"),
        (changed_header(features={"data_offsets": [0, 2**63]}), "ends inside"),
        (changed_header(features={"data_offsets": [-128, 0]}), "ends inside"),
        (changed_header(features={"data_offsets": [0, 128]}), "overlap"),
        (changed_header(features={"data_offsets": [0, 4]}), "takes 4 bytes, not 128"),
        (changed_header(features={"data_offsets": "ab"}), "has no place"),
        (
            changed_header(extra={"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}),
            "unknown tensor 'extra'",
        ),
        (changed_metadata("scene", lambda value: value.update(level=4)), "level makes no sense"),
        (changed_metadata("scene", lambda value: value.update(level=0)), "level makes no sense"),
        (changed_metadata("scene", lambda value: value.update(level="1")), "level makes no sense"),
        (changed_metadata("scene", lambda value: value.update(residuals=9)), "residuals makes no sense"),
        (changed_metadata("scene", lambda value: value.update(residuals=-1)), "residuals makes no sense"),
        (changed_metadata("scene", lambda value: value.update(residuals=True)), "residuals makes no sense"),
        (changed_metadata("scene", lambda value: value.update(background=[1])), "background is no color"),
        (
            changed_metadata("scene", lambda value: value.update(background=[1, 0, float("nan")])),
            "is no number",
        ),
        (changed_metadata("scene", lambda value: value.update(distance_scale=10**400)), "is no number"),
        (changed_metadata("scene", lambda value: value.update(metadata={"a": 1})), "metadata is no text"),
        (
            changed_metadata("cameras", lambda value: value.extend(value * MAX_CAMERAS)),
            "more than 64 cameras",
        ),
        (changed_metadata("cameras", lambda value: value.append(3)), "camera is no object"),
        (changed_metadata("cameras", lambda value: value[0].update(name=3)), "camera has no name"),
        (changed_metadata("cameras", lambda value: value[0].update(size=[0, 5])), "width and height"),
        (changed_metadata("cameras", lambda value: value[0].update(size=[10**9, 5])), "width and height"),
        (changed_metadata("cameras", lambda value: value[0].update(intrinsics=[0, 1, 1, 1])), "focal length"),
        (changed_metadata("cameras", lambda value: value[0].update(intrinsics=[1, 1, 1])), "no intrinsics"),
        (changed_metadata("cameras", lambda value: value[0].update(world_to_camera=[[1]])), "no 4x4 matrix"),
        (
            changed_metadata("cameras", lambda value: value[0]["world_to_camera"][0].__setitem__(0, 5)),
            "has no rotation",
        ),
        (
            changed_metadata("cameras", lambda value: value[0]["world_to_camera"][3].__setitem__(0, 1)),
            "does not end with 0 0 0 1",
        ),
    ],
)
def test_hostile_files_are_refused(data: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        read_scene(data, "scene.safetensors")
    assert str(caught.value).startswith("scene.safetensors: ")
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 3


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_numbers_must_be_finite(value: float) -> None:
    scene = random_scene(4)
    scene.offsets[1, 2, 0] = value
    header, body = parts(write_scene(random_scene(4)))
    begin = header["offsets"]["data_offsets"][0]
    body = body[:begin] + np.float32(value).tobytes() + body[begin + 4 :]
    for action in (lambda: write_scene(scene), lambda: read_scene(assemble(header, body))):
        with pytest.raises(InputError, match="'offsets' holds numbers that are not finite"):
            action()


def test_masks_hold_zeros_and_ones() -> None:
    data = bytearray(write_scene(random_scene(4)))
    data[-1] = 2
    with pytest.raises(InputError, match="bytes other than 0 and 1"):
        read_scene(data)


def test_newer_versions_say_update() -> None:
    header, body = parts(write_scene(random_scene(4)))
    header["__metadata__"]["version"] = "2"
    with pytest.raises(InputError, match="version 2, this gspc reads version 1; update gspc"):
        read_scene(assemble(header, body))


def test_too_many_cameras_are_not_written() -> None:
    scene = dataclasses.replace(random_scene(1), cameras=(camera(),) * (MAX_CAMERAS + 1))
    with pytest.raises(InputError, match="more than 64 cameras"):
        write_scene(scene)


@pytest.mark.parametrize("text", ["\x7f", "ü", "中", "\\", '"', "\x01"])
def test_as_much_metadata_as_a_stream_holds_is_written(text: str) -> None:
    """Whatever its letters: escaped twice as JSON, a byte of a stream's metadata may become seven."""
    largest = text * ((MAX_METADATA_BYTES - 10) // len(json.dumps(text, ensure_ascii=False).encode()[1:-1]))
    scene = dataclasses.replace(random_scene(1), metadata={"a": largest})
    assert read_scene(write_scene(scene)).metadata == {"a": largest}


def test_damaged_bytes_are_refused_or_harmless() -> None:
    """A scene that is accepted, whatever happened to its bytes, can be drawn."""
    rng = np.random.default_rng(0)
    original = write_scene(random_scene(3, cameras=1))
    accepted = 0
    for _ in range(400):
        data = bytearray(original)
        for index in rng.integers(0, len(data), rng.integers(1, 4)):
            data[index] = rng.integers(0, 256)
        try:
            scene = read_scene(data)
        except InputError:
            continue
        accepted += 1
        for view in scene.cameras:
            if view.width * view.height < 1 << 16:
                assert np.isfinite(render_view(scene, view)).all()
    assert accepted > 50


def test_no_torch() -> None:
    code = "import gspc.rendering.scene_file, sys; assert not {'torch', 'safetensors'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
