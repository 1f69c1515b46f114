"""The canonical frame: the same numbers whatever coordinates a reconstruction came out in."""

from __future__ import annotations

import struct
from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from stream_bytes import index_of, replaced
from synthetic import tiny

from gspc.codec import decode, encode
from gspc.data.demo import demo_cameras
from gspc.data.frame import FAR, FEW, GRAIN, canonical
from gspc.data.start import prepared
from gspc.errors import BitstreamError, InputError
from gspc.format import describe
from gspc.pipeline import inspect
from gspc.rendering import Renderer
from gspc.rendering.scene_file import read_scene, write_scene
from gspc.scene import Camera, Frame, SceneData, View

GENERATOR = np.random.default_rng(3)
POINTS = GENERATOR.normal(0, 0.4, (400, 3))
MOVES = {
    "ten thousandth": Frame(1e-4),
    "million": Frame(1e6),
    "turned": Frame(1.0, Rotation.from_euler("xyz", (20, -130, 70), degrees=True).as_matrix()),
    "utm": Frame(1.0, translation=np.array([500_123.4, 4_501_234.5, 312.0])),
    "all": Frame(37.5, Rotation.random(random_state=1).as_matrix(), np.array([-7e5, 5e6, 1e3])),
}


def scene_of(cameras: list[Camera], points: np.ndarray) -> SceneData:
    views = tuple(View(camera, lambda: np.zeros((48, 64, 3), np.uint8)) for camera in cameras)
    return SceneData(
        "frames", views[1:], views[:1], points, np.zeros((len(points), 3), np.uint8), (0.0, 0.0, 0.0)
    )


SCENE = scene_of(demo_cameras(12, 64, 48), POINTS)


def moved(scene: SceneData, frame: Frame) -> SceneData:
    def view(one: View) -> View:
        return replace(one, camera=frame.camera_to_user(one.camera))

    return replace(
        scene,
        train=tuple(view(one) for one in scene.train),
        test=tuple(view(one) for one in scene.test),
        points=frame.to_user(scene.points),
    )


@pytest.mark.parametrize("name", MOVES)
def test_same_numbers_in_any_coordinates(name: str) -> None:
    """Equal to the last bit, but for a few that fall on the other side of a multiple of the grain."""
    plain, other = canonical(SCENE).scene, canonical(moved(SCENE, MOVES[name])).scene
    assert np.abs(plain.points - other.points).max() <= GRAIN
    assert (plain.points != other.points).mean() < 0.01
    for one, two in zip(plain.views, other.views, strict=True):
        np.testing.assert_allclose(
            one.camera.world_to_camera, two.camera.world_to_camera, rtol=0, atol=8 * GRAIN
        )


@pytest.mark.parametrize("name", MOVES)
def test_the_frame_leads_back(name: str) -> None:
    scene = moved(SCENE, MOVES[name])
    framed = canonical(scene)
    size = framed.frame.scale
    np.testing.assert_allclose(
        framed.frame.to_user(framed.scene.points), scene.points, rtol=0, atol=2 * GRAIN * size
    )
    for own, given in zip(framed.scene.train, scene.train, strict=True):
        back = framed.frame.camera_to_user(own.camera)
        np.testing.assert_allclose(back.center, given.camera.center, rtol=1e-12, atol=2 * GRAIN * size)
        np.testing.assert_allclose(
            back.world_to_camera[:3, :3], given.camera.world_to_camera[:3, :3], atol=1e-5
        )


def test_working_distance_is_one_and_down_is_y() -> None:
    framed = canonical(SCENE).scene
    centers = np.stack([view.camera.center for view in framed.train])
    assert 0.5 < np.median(np.linalg.norm(centers, axis=1)) < 2
    # The demo's cameras are held level: its true vertical is found although they look down from all sides.
    down = canonical(SCENE).frame.rotation.T @ (0, 0, -1)
    np.testing.assert_allclose(down, (0, 1, 0), atol=1e-9)


def test_walls_lie_along_the_axes() -> None:
    """A room of four walls, turned by any angle about the vertical."""
    along, up = GENERATOR.uniform(-1, 1, 2000), GENERATOR.uniform(-0.4, 0.4, 2000)
    side = np.sign(GENERATOR.normal(size=2000)) * 0.8
    walls = np.where(
        np.arange(2000)[:, None] % 2, np.stack([along, side, up], 1), np.stack([side, along, up], 1)
    )
    for degrees in (0, 17, 44, 80):
        turn = Rotation.from_euler("z", degrees, degrees=True).as_matrix()
        rotation = canonical(scene_of(demo_cameras(12, 64, 48), walls @ turn.T)).frame.rotation
        angle = np.degrees(np.arctan2((turn.T @ rotation)[1, 0], (turn.T @ rotation)[0, 0])) % 90
        assert min(angle, 90 - angle) < 0.3


def test_forward_facing_cameras_take_the_mean_down() -> None:
    """All look one way: their right sides do not span the ground."""
    tilt = Rotation.from_euler("x", 20, degrees=True).as_matrix()
    cameras = []
    for step in range(12):
        pose = np.eye(4)
        pose[:3, :3] = tilt
        pose[:3, 3] = (0.1 * step, 0, 4)
        cameras.append(replace(SCENE.train[0].camera, name=f"{step}.png", world_to_camera=pose))
    rotation = canonical(scene_of(cameras, POINTS)).frame.rotation
    np.testing.assert_allclose(rotation[:, 1], tilt[1], atol=1e-9)


def test_points_that_start_no_anchors() -> None:
    """Behind all cameras, or far beyond what they look at; the frame is that of the others."""
    unseen, far = np.array([[0.0, 0.0, 1e5]]), SCENE.train[0].camera
    ahead = far.center + 1e4 * far.world_to_camera[2, :3]
    plain = canonical(SCENE)
    more = canonical(
        replace(
            SCENE,
            points=np.concatenate([POINTS, unseen, ahead[None]]),
            colors=np.zeros((len(POINTS) + 2, 3), np.uint8),
        )
    )
    assert (more.unseen - plain.unseen, more.far) == (1, 1)
    assert len(more.scene.points) == len(plain.scene.points)
    assert "1 points beyond 64" in more.notes()[-1]
    assert more.frame.scale == pytest.approx(plain.frame.scale, rel=0.02)
    assert np.linalg.norm(more.scene.points, axis=1).max() < FAR


def test_cameras_on_one_spot() -> None:
    """A tripod: positions differ by less than anything, depths of the points still say how far things are."""
    base = SCENE.train[0].camera
    cameras = []
    for step in range(12):
        pose = base.world_to_camera.copy()
        pose[:3, 3] += 1e-6 * step
        cameras.append(replace(base, name=f"{step}.png", world_to_camera=pose))
    frame = canonical(scene_of(cameras, POINTS)).frame
    assert 1 < frame.scale < 10


@pytest.mark.parametrize("count", [0, 1, 4, FEW - 1])
def test_few_points_are_joined_by_random_ones(count: int) -> None:
    scene = scene_of(demo_cameras(12, 64, 48), 0.2 * POINTS[:count])
    framed = prepared(scene)
    assert len(framed.scene.points) == framed.random + count and framed.random > 10_000
    assert "random points start" in framed.notes()[-1]


# The frame in files.


def test_a_stream_keeps_its_frame() -> None:
    frame = MOVES["all"]
    scene = tiny()
    scene = replace(scene, frame=frame)
    data = encode(scene)
    assert len(data) - len(encode(replace(scene, frame=Frame()))) >= 64
    found = decode(data).scene
    np.testing.assert_allclose(found.frame.rotation, frame.rotation, atol=1e-15)
    assert found.frame.scale == frame.scale
    np.testing.assert_array_equal(found.frame.translation, frame.translation)
    for own, user in zip(scene.cameras, found.cameras, strict=True):
        np.testing.assert_allclose(user.center, frame.to_user(own.center), rtol=1e-6)


def test_the_identity_takes_no_bytes() -> None:
    assert not any(chunk.tag == "fram" for chunk in describe(encode(tiny())).chunks)


def test_the_frame_changes_no_picture() -> None:
    """What a camera of the user's coordinates sees is what the same camera saw in the scene's own."""
    plain = decode(encode(tiny())).scene
    framed = decode(encode(replace(tiny(), frame=MOVES["turned"]))).scene
    before = Renderer(plain).render(plain.cameras[0])
    after = Renderer(framed).render(framed.cameras[0])
    assert np.abs(before - after).max() < 1e-3
    assert np.ptp(before) > 0.1  # there is something to see


def test_a_decoded_scene_keeps_its_frame() -> None:
    scene = decode(encode(replace(tiny(), frame=MOVES["utm"]))).scene
    back = read_scene(write_scene(scene))
    assert back.frame.to_plain() == scene.frame.to_plain()


@pytest.mark.parametrize(
    ("frame", "says"),
    [
        (Frame(0.0), "scale"),
        (Frame(float("nan")), "scale"),
        (Frame(1e12), "scale"),
        (Frame(rotation=np.diag([1.0, 1.0, -1.0])), "rotation"),
        (Frame(translation=np.array([0.0, 1e10, 0.0])), "translation"),
    ],
)
def test_unusable_frames_are_refused_alike(frame: Frame, says: str) -> None:
    with pytest.raises(InputError, match=says):
        encode(replace(tiny(), frame=frame))
    scene = replace(decode(encode(tiny())).scene, frame=frame)
    with pytest.raises(InputError, match=says):
        write_scene(scene)


def test_the_chunk_is_eight_doubles() -> None:
    """Scale, unit quaternion wxyz, translation (pcgs(5), fram)."""
    data = encode(replace(tiny(), frame=Frame(2.5, MOVES["turned"].rotation, np.array([1.0, 2.0, 3.0]))))
    chunk = describe(data).chunks[index_of(data, "fram")]
    start = chunk.offset + 24
    scale, *rest = struct.unpack("<8d", data[start : start + 64])
    assert (chunk.length, scale, rest[4:]) == (64, 2.5, [1.0, 2.0, 3.0])
    quaternion = Rotation.from_matrix(MOVES["turned"].rotation).as_quat(scalar_first=True, canonical=True)
    np.testing.assert_allclose(rest[:4], quaternion, atol=1e-14)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ((0.0, 1, 0, 0, 0, 0, 0, 0), "scale"),
        ((float("inf"), 1, 0, 0, 0, 0, 0, 0), "scale"),
        ((1.0, 1, 1, 0, 0, 0, 0, 0), "unit quaternion"),
        ((1.0, float("nan"), 0, 0, 0, 0, 0, 0), "unit quaternion"),
        ((1.0, 1, 0, 0, 0, 0, 5e9, 0), "translation"),
    ],
)
def test_damaged_frames_in_streams(values: tuple[float, ...], says: str) -> None:
    data = encode(replace(tiny(), frame=MOVES["utm"]))
    with pytest.raises(BitstreamError, match=says):
        decode(replaced(data, index_of(data, "fram"), struct.pack("<8d", *values)))


def test_inspection_counts_in_the_users_units() -> None:
    scene = tiny()
    data = encode(replace(scene, frame=Frame(40.0)))
    plain, framed = (dict(inspect(one).facts)["positions"] for one in (encode(scene), data))
    assert plain.endswith(f"voxel size {scene.voxel_size:g}")
    assert framed.endswith(f"voxel size {40 * scene.voxel_size:g}")
