"""Points to start from: cleaned, replaced where no camera sees them, and random ones in view."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gspc.data.demo import demo_cameras, look_at
from gspc.data.points import RANDOM_POINTS, Cloud, random_points, seen_by, starting_points
from gspc.data.report import Notes
from gspc.scene import Camera

CAMERAS = demo_cameras(12, 64, 48)


def outward(count: int = 12) -> list[Camera]:
    """Cameras in a room that look at its walls."""
    angles = np.linspace(0, 2 * np.pi, count, endpoint=False)
    around = np.stack([np.cos(angles), np.sin(angles), np.zeros(count)], 1)
    return [
        replace(CAMERAS[index], world_to_camera=look_at(around[index], 3 * around[index]))
        for index in range(count)
    ]


def cloud(positions: np.ndarray) -> Cloud:
    return Cloud(positions, np.full((len(positions), 3), 9, np.uint8), "points.bin")


def test_sound_points_are_kept_as_they_are() -> None:
    notes, given = Notes(), cloud(np.random.default_rng(0).normal(0, 0.3, (500, 3)))
    assert starting_points(given, CAMERAS, notes) is given and notes.lines == []


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e10])
def test_points_that_are_none_are_dropped(value: float) -> None:
    notes, given = Notes(), cloud(np.random.default_rng(0).normal(0, 0.3, (500, 3)))
    given.positions[[3, 7], 1] = value
    found = starting_points(given, CAMERAS, notes)
    np.testing.assert_array_equal(found.positions, np.delete(given.positions, [3, 7], 0))
    assert len(found.colors) == 498
    assert "points.bin: 2 of 500 points left out" in notes.lines[0].text and notes.lines[0].warning


@pytest.mark.parametrize("given", [None, cloud(np.zeros((0, 3))), cloud(np.full((2, 3), np.nan))])
def test_no_points_start_at_random(given: Cloud | None) -> None:
    notes = Notes()
    found = starting_points(given, CAMERAS, notes)
    assert len(found.positions) == RANDOM_POINTS and found.origin == "random"
    assert "starting from random points" in notes.lines[-1].text


def test_points_that_no_camera_sees() -> None:
    notes, given = Notes(), cloud(np.random.default_rng(0).normal(0, 0.3, (500, 3)))
    found = starting_points(
        replace(given, positions=given.positions + np.array([0, 0, 500.0])), CAMERAS, notes
    )
    assert found.origin == "random" and notes.lines[0].warning
    assert "no camera sees any of its 500 points" in notes.lines[0].text
    given.positions[:480, 2] += 500
    assert starting_points(given, CAMERAS, notes) is given
    assert "the cameras see 4 % of its points only" in notes.lines[-1].text


def test_few_points_are_warned_of() -> None:
    notes = Notes()
    assert len(starting_points(cloud(np.zeros((4, 3))), CAMERAS, notes).positions) == 4
    assert "only 4 points to start from" in notes.lines[0].text


@pytest.mark.parametrize("cameras", [CAMERAS, outward()], ids=["object", "room"])
@pytest.mark.parametrize("scale", [1.0, 1e-3, 1e4])
def test_random_points_are_in_view(cameras: list[Camera], scale: float) -> None:
    """In scenes that cameras stand around, and in those that they stand in, in any unit."""
    scaled = []
    for camera in cameras:
        pose = camera.world_to_camera.copy()
        pose[:3, 3] *= scale
        scaled.append(replace(camera, world_to_camera=pose))
    positions, colors = random_points(scaled, 2000)
    assert positions.shape == colors.shape == (2000, 3)
    assert (seen_by(positions, scaled) > 0).mean() > 0.95
    np.testing.assert_array_equal(positions, random_points(scaled, 2000)[0])
