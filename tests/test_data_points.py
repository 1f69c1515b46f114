"""Points to start from: cleaned, left out where no camera sees them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gspc.data.demo import demo_cameras
from gspc.data.points import Cloud, starting_points
from gspc.data.report import Notes

CAMERAS = demo_cameras(12, 64, 48)


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
    assert len(found.positions) == 0 and found.origin == "random"
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
    assert "only 4 points; starting from random points, too" in notes.lines[0].text
