"""Camera paths: around what cameras look at, through key poses, from files."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rendering_scenes import camera, look_at, random_scene

from gspc.errors import InputError, UsageError
from gspc.format.usable import camera_problem
from gspc.pipeline.camera_paths import camera_path
from gspc.rendering import paths
from gspc.scene import Camera

CENTER = np.array([3.0, 1.0, -2.0])
NO_POINTS = np.zeros((0, 3))


def ring(count: int = 12, first: float = 0.0, last: float = 2 * math.pi, height: float = 1.0) -> list[Camera]:
    """Cameras on (part of) a circle of radius 4 around CENTER, `height` above it; up is +y."""
    angles = np.linspace(first, last, count, endpoint=last - first < 6)
    return [
        look_at(f"{i}", CENTER + np.array([4 * math.sin(a), height, 4 * math.cos(a)]), CENTER, 64, 48, 50.0)
        for i, a in enumerate(angles)
    ]


def places(found: tuple[Camera, ...]) -> np.ndarray:
    return np.stack([one.center for one in found]) - CENTER


def looks_at_center(found: tuple[Camera, ...]) -> None:
    for one in found:
        assert camera_problem(one) is None
        seen = one.world_to_camera[:3] @ [*CENTER, 1]
        np.testing.assert_allclose(seen[:2], 0, atol=1e-6)
        assert seen[2] > 0
        assert -one.world_to_camera[1, 1] > 0  # the picture's up is the scene's


def test_orbit_goes_around_at_the_height_of_the_cameras() -> None:
    found = paths.orbit(ring(), NO_POINTS, 36)
    looks_at_center(found)
    away = places(found)
    np.testing.assert_allclose(away[:, 1], 1, atol=1e-6)
    np.testing.assert_allclose(np.hypot(away[:, 0], away[:, 2]), 4, atol=1e-6)
    turns = np.unwrap(np.arctan2(away[:, 0], away[:, 2]))
    np.testing.assert_allclose(np.abs(np.diff(turns)), 2 * math.pi / 36, atol=1e-6)
    assert [one.name for one in found[:2]] == ["orbit_00000", "orbit_00001"]
    assert (found[0].width, found[0].height, found[0].fx) == (64, 48, 50.0)


def test_spiral_covers_all_heights_in_two_turns() -> None:
    cameras = [*ring(height=0.0), *ring(height=4.0)]
    found = paths.spiral(cameras, NO_POINTS, 80)
    looks_at_center(found)
    away = places(found)
    elevations = np.degrees(np.arctan2(away[:, 1], np.hypot(away[:, 0], away[:, 2])))
    assert elevations.min() < 5 and elevations.max() > 40
    turns = np.unwrap(np.arctan2(away[:, 0], away[:, 2]))
    assert abs(turns[-1] - turns[0]) == pytest.approx(2 * 2 * math.pi * 79 / 80, abs=1e-6)
    assert elevations[0] == pytest.approx(elevations[1], abs=1)  # it begins and ends gently: it can be looped


@pytest.mark.parametrize("path", [paths.orbit, paths.spiral])
def test_one_sided_cameras_are_not_left(path: Any) -> None:
    found = path(ring(9, -0.5, 0.5), NO_POINTS, 40)
    looks_at_center(found)
    away = places(found)
    angles = np.arctan2(away[:, 0], away[:, 2])
    assert angles.min() == pytest.approx(-0.5, abs=0.02)
    assert angles.max() == pytest.approx(0.5, abs=0.02)


def test_parallel_cameras_look_at_the_points_in_front() -> None:
    cameras = [replace(camera(f"{x}"), world_to_camera=_shifted(x)) for x in (-1.0, 0.0, 1.0)]
    points = np.array([[0.0, 0.0, 6.0], [0.1, 0.0, 7.0], [0.0, 0.2, 8.0], [0.0, 0.0, -3.0]])
    np.testing.assert_allclose(paths.attention(cameras, points), [0, 0, 7])
    np.testing.assert_allclose(paths.attention(cameras, NO_POINTS), [0, 0, 1])
    (one, *_) = paths.orbit(cameras[:1], points, 5)
    assert camera_problem(one) is None


def _shifted(x: float) -> np.ndarray:
    pose = np.eye(4)
    pose[0, 3] = -x
    return pose


def test_cameras_straight_above_have_a_path() -> None:
    above = look_at("top", CENTER + np.array([1e-9, 5, 0]), CENTER, 64, 48, 50.0)
    for one in paths.orbit([above], NO_POINTS, 7) + paths.spiral([above], NO_POINTS, 7):
        assert camera_problem(one) is None


def test_curves_go_through_their_keys() -> None:
    keys = ring(5, 0, 2.5)
    found = paths.through(keys, 9)
    for key, one in zip(keys, found[::2], strict=True):
        np.testing.assert_allclose(one.world_to_camera, key.world_to_camera, atol=1e-9)
        assert one.fx == pytest.approx(key.fx)
    assert all(camera_problem(one) is None for one in found)
    middle = places(found)[1]
    assert np.linalg.norm(middle) == pytest.approx(math.sqrt(17), rel=0.05)


def test_closed_curves_have_no_seam() -> None:
    keys = ring(6)
    found = paths.through(keys, 60, loop=True)
    steps = np.diff(places((*found, found[0])), axis=0)
    lengths = np.linalg.norm(steps, axis=1)
    assert lengths.max() < 1.35 * lengths.min()
    turns = [
        (a.world_to_camera[:3, :3] @ b.world_to_camera[:3, :3].T).trace()
        for a, b in zip(found, (*found[1:], found[0]), strict=True)
    ]
    assert min(turns) > 1 + 2 * math.cos(0.2)
    np.testing.assert_allclose(found[10].world_to_camera, keys[1].world_to_camera, atol=1e-9)


def test_half_turns_of_keys() -> None:
    """Rotations whose quaternions have a small real part, and signs that must be chosen."""
    keys = [look_at(f"{a}", [0, 0, 0], [math.sin(a), 0, math.cos(a)], 8, 8, 9.0) for a in (3.0, 3.3, -2.5)]
    found = paths.through(keys, 21)
    forward = np.stack([one.world_to_camera[2, :3] for one in found])
    assert (np.sum(forward[1:] * forward[:-1], axis=1) > math.cos(0.1)).all()
    with pytest.raises(InputError, match="two key poses"):
        paths.through(keys[:1], 5)


SCENE = random_scene(cameras=4)


def test_paths_of_a_scene() -> None:
    assert len(camera_path(SCENE, "orbit")) == 150
    assert len(camera_path(SCENE, "spiral", frames=7)) == 7
    with pytest.raises(InputError, match="suggests no cameras"):
        camera_path(replace(SCENE, cameras=()), "orbit")
    with pytest.raises(UsageError, match="--frames 0"):
        camera_path(SCENE, "orbit", frames=0)
    with pytest.raises(UsageError, match="nosuch: no such file; give orbit, spiral"):
        camera_path(SCENE, "nosuch")


def test_key_poses_from_a_file(tmp_path: Path) -> None:
    keys = [one.to_plain() for one in ring(4)]
    file = tmp_path / "keys.json"
    file.write_text(json.dumps(keys))
    found = camera_path(SCENE, str(file), frames=4)
    np.testing.assert_allclose(found[3].world_to_camera, keys[3]["world_to_camera"], atol=1e-9)
    assert (found[0].width, found[0].height) == (64, 48)
    file.write_text(json.dumps({"keys": keys, "loop": True}))
    assert np.linalg.norm(camera_path(SCENE, str(file), frames=8)[7].center - ring(4)[0].center) < 4
    for key in keys:
        del key["size"], key["intrinsics"]
    file.write_text(json.dumps(keys))
    like = paths.typical(SCENE.cameras)
    assert camera_path(SCENE, str(file))[0].width == like.width
    with pytest.raises(InputError, match="need a size"):
        camera_path(replace(SCENE, cameras=()), str(file))


def test_key_poses_in_words(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    key = {"position": [3, 2, -2], "look_at": [3, 1, 2], "up": [0, 1, 0], "field_of_view": 90}
    file.write_text(json.dumps([key, key | {"position": [4, 2, -2]}]))
    first, last = camera_path(SCENE, str(file), frames=2)
    np.testing.assert_allclose(first.center, [3, 2, -2], atol=1e-9)
    np.testing.assert_allclose(last.center, [4, 2, -2], atol=1e-9)
    assert first.fx == pytest.approx(first.width / 2)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("[1, 2]", "key pose 0 has neither"),
        ('[{"position": [1, 2], "look_at": [0, 0, 0]}]', "key pose 0 has neither"),
        ('[{"position": [1, 2, "x"], "look_at": [0, 0, 0]}]', "key pose 0 has neither"),
        ('[{"position": [1e400, 2, 0], "look_at": [0, 0, 0]}]', "must be numbers up to"),
        ('[{"position": [1, 2, 0], "look_at": [1e308, -1e308, 0]}]', "must be numbers up to"),
        ('[{"position": [1, 2, 0], "look_at": [0, 0, 0], "up": [0, NaN, 0]}]', "must be numbers up to"),
        ('[{"position": [1, 2, 0], "look_at": [0, 0, 0], "field_of_view": 180}]', "field_of_view 180"),
        ('[{"world_to_camera": [[1, 0], [0, 1]]}]', "key pose 0 has neither"),
        ("[]", "two key poses"),
    ],
)
def test_files_that_are_no_path(tmp_path: Path, text: str, problem: str) -> None:
    file = tmp_path / "keys.json"
    file.write_text(text)
    with pytest.raises(InputError, match=problem) as raised:
        camera_path(SCENE, str(file))
    assert str(raised.value).startswith(str(file))
