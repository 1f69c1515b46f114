"""Cameras placed by a splat's geometry: where they stand, what they cover, how they renew."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from splat_scenes import random_splats
from teaching_scenes import ball, front, splats_at, surroundings, tints

from gspc.errors import InputError
from gspc.scene import Camera
from gspc.splats import SplatRenderer, Splats, to_frame, transform
from gspc.splats.teaching import Lesson, Teacher, between, lesson, starting_gaussians, unit_splats
from gspc.splats.teaching.coverage import Account, Choice
from gspc.splats.teaching.fresh import Jitter
from gspc.splats.teaching.looking import looking_at


def taught(splats: Splats) -> Lesson:
    return lesson(unit_splats(splats))


@cache
def of_ball() -> Lesson:
    return taught(ball())


@cache
def of_front() -> Lesson:
    return taught(front())


def centers(found: Lesson) -> np.ndarray:
    return np.array([camera.center for camera in found.cameras])


def everything(found: Lesson) -> range:
    return range(len(found.cameras))


def test_an_object_is_seen_from_all_around() -> None:
    found = of_ball()
    assert found.arrangement == "object"
    places = centers(found)
    assert np.linalg.norm(places, axis=1).min() > 1  # none within the ball
    for axis in range(3):
        assert places[:, axis].min() < -1 and places[:, axis].max() > 1
    covered = found.coverage(everything(found))
    assert covered.by_one > 0.98 and covered.by_several > 0.95


def test_what_was_photographed_from_one_side_is_seen_from_there() -> None:
    found = of_front()
    assert found.arrangement == "one-sided"
    first = centers(found)[:40]  # before those added for what lies behind
    assert (first[:, 2] < 0.3).mean() > 0.9


def test_surroundings_are_seen_from_within() -> None:
    found = taught(surroundings())
    assert found.arrangement == "inside-out"
    assert np.median(np.linalg.norm(centers(found), axis=1)) < 5
    gazes = np.array([camera.world_to_camera[2, :3] for camera in found.cameras])
    assert np.linalg.norm(gazes.mean(axis=0)) < 0.4  # in all directions
    assert found.coverage(everything(found)).by_several > 0.95


def test_gaussians_apart_from_the_scene_get_cameras_of_their_own() -> None:
    """A small thing far off to one side, which no camera around the middle shows well."""
    body = ball()
    aside = np.random.default_rng(1).normal(0, 0.05, (300, 3)) + np.array([9.0, 0, 0])
    small = splats_at(aside, 0.01, tints(aside))
    both = replace(
        body,
        **{
            name: np.concatenate([getattr(body, name), getattr(small, name)])
            for name in ("means", "quats", "log_scales", "logits", "sh")
        },
    )
    found = taught(both)
    covered = found.coverage(everything(found))
    assert covered.by_one > 0.97 and covered.hidden < 0.02


def test_what_lies_within_matter_counts_as_hidden() -> None:
    body = ball(6000)
    random = np.random.default_rng(0)
    core = random.normal(0, 0.03, (4000, 3))
    both = splats_at(np.concatenate([body.means, core]), 0.04, tints(np.concatenate([body.means, core])))
    opaque = replace(both, logits=np.full(both.count, 8, np.float32))
    found = taught(opaque)
    covered = found.coverage(everything(found))
    assert 0.1 < covered.hidden < 0.9
    assert covered.by_one > 0.9  # of the rest


def test_placing_does_not_depend_on_units_or_place() -> None:
    """Rounding decides between cameras that are as good as one another; all else stays."""
    plain, place = of_ball(), np.array([5.0, -2.0, 1.0])
    moved = taught(transform(ball(), scale=1e-3, translation=place))
    assert moved.arrangement == plain.arrangement and len(moved.cameras) == len(plain.cameras)
    assert moved.coverage(everything(moved)).by_several == pytest.approx(1, abs=0.02)
    wanted, found = centers(plain), (centers(moved) - place) / 1e-3
    np.testing.assert_allclose(found[:8], wanted[:8], atol=1e-2)
    distances = [np.sort(np.linalg.norm(places, axis=1)) for places in (wanted, found)]
    np.testing.assert_allclose(*distances, rtol=0.1)


def test_placing_is_the_same_every_time() -> None:
    one, other = of_front(), taught(front())
    assert [camera.name for camera in one.cameras] == [camera.name for camera in other.cameras]
    np.testing.assert_array_equal(centers(one), centers(other))


def test_given_cameras_are_kept_and_blind_ones_left_out() -> None:
    unit = unit_splats(ball())
    size, field = (40, 30), 0.9
    there = looking_at("there", np.array([0, 0, -3.0]), np.zeros(3), size, field)
    away = looking_at("away", np.array([0, 0, -3.0]), np.array([0, 0, -9.0]), size, field)
    found = lesson(unit, (there, away))
    assert (found.arrangement, found.cameras, found.blind) == ("given", (there,), ("away",))
    assert 1.5 < found.depths[0] < 3.2
    assert found.coverage([0]).hidden == 0


def test_the_view_of_a_teacher_is_the_splat_in_users_coordinates() -> None:
    splats = random_splats(500)
    camera = looking_at("a", np.array([0.5, -1, -9.0]), np.zeros(3), (64, 48), 0.8)
    view = Teacher.of(unit_splats(splats), (0.0, 0.0, 0.0)).view(camera)
    wanted = np.clip(SplatRenderer(splats).render(camera), 0, 1)
    assert np.abs(view.load() / 255 - wanted).max() < 0.02
    assert view.alpha is not None and view.alpha().shape == (48, 64)
    assert 0 < view.alpha().mean() < 255


def test_axes_of_other_formats_are_turned() -> None:
    """The same scene told in other axes has the same cameras."""
    plain, turned = of_front(), taught(to_frame(front(), "RUB"))
    np.testing.assert_allclose(centers(turned), centers(plain), atol=1e-5)


def jittered(iteration: int, seed: int = 3, number: int = 5) -> Camera:
    camera = looking_at("x", np.array([0, 0, -4.0]), np.zeros(3), (40, 30), 0.9)
    return Jitter(seed, 0.2).camera(camera, number, 4.0, iteration)


def test_fresh_cameras_are_others_each_time_and_the_same_again() -> None:
    poses = [jittered(iteration).world_to_camera for iteration in range(20)]
    assert len({pose.tobytes() for pose in poses}) == 20
    np.testing.assert_array_equal(jittered(7).world_to_camera, poses[7])
    assert not np.array_equal(jittered(7, seed=4).world_to_camera, poses[7])
    assert not np.array_equal(jittered(7, number=6).world_to_camera, poses[7])


def test_fresh_cameras_stay_near_and_look_at_the_same() -> None:
    for iteration in range(50):
        camera = jittered(iteration)
        assert 0.05 < np.linalg.norm(camera.center - np.array([0, 0, -4.0])) < 2.2
        pose = camera.world_to_camera
        np.testing.assert_allclose(pose[:3, :3] @ pose[:3, :3].T, np.eye(3), atol=1e-9)
        x, y, z = pose[:3, :3] @ -camera.center
        assert z > 2 and abs(x) < 0.2 * z and abs(y) < 0.2 * z  # the origin stays near the middle
        assert pose[1, 1] > 0.95  # upright


def test_choosing_takes_what_adds_most() -> None:
    seen = np.array([[1, 1, 1, 0], [1, 1, 0, 0], [0, 0, 0, 1]], np.bool_)
    weights = np.array([0.3, 0.3, 0.2, 0.2], np.float32)
    times = np.zeros(4, np.int64)
    choice = Choice(seen, weights, [1.0, 1.0, 1.0], times)
    assert [choice.take() for _ in range(4)] == [0, 2, 1, None]
    assert times.tolist() == [2, 2, 1, 1]
    only = Choice(seen, weights, [1.0, 1.0, 1.0], np.zeros(4, np.int64))
    assert only.take(np.array([False, True, False])) == 1


def test_of_very_many_gaussians_a_sample_is_kept_account_of(monkeypatch: pytest.MonkeyPatch) -> None:
    from gspc.splats.teaching import coverage

    monkeypatch.setattr(coverage, "TRACKED", 100)
    weights = np.random.default_rng(0).uniform(0, 1, 5000).astype(np.float32)
    account = Account.of(weights / weights.sum())
    assert len(account.rows) == len(set(account.rows.tolist())) <= 100
    assert account.weights.sum() == pytest.approx(1)


def test_anchors_start_from_solid_gaussians() -> None:
    body = ball()
    veil = splats_at(np.zeros((1, 3)), 50.0, np.full((1, 3), 0.5))
    faint = splats_at(np.full((40, 3), 9.0), 0.04, np.full((40, 3), 0.5), opacity=0.01)
    parts = [body, veil, faint]
    both = replace(
        body,
        **{
            name: np.concatenate([getattr(part, name) for part in parts])
            for name in ("means", "quats", "log_scales", "logits", "sh")
        },
    )
    points, colors = starting_gaussians(both)
    known = {tuple(row) for row in body.means.tolist()}
    assert 1000 <= len(points) <= body.count and {tuple(row) for row in points.tolist()} <= known
    wanted = {tuple(mean): tint for mean, tint in zip(body.means.tolist(), tints(body.means), strict=True)}
    shown = np.array([wanted[tuple(point)] for point in points.tolist()])
    assert np.abs(colors / 255 - shown).max() < 0.01


@pytest.mark.parametrize(
    ("splats", "problem"),
    [
        (ball(1), "holds 1 Gaussian; a scene to fit has at least 10"),
        (ball(9), "holds 9 Gaussians"),
        (splats_at(np.zeros((40, 3)), 0.1, np.full((40, 3), 0.5)), "all its Gaussians at one place"),
        (replace(ball(40), logits=np.full(40, -30, np.float32)), "all are transparent"),
    ],
)
def test_what_cannot_teach_is_refused(splats: Splats, problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        lesson(unit_splats(splats))


def test_cameras_between_stand_halfway_to_the_nearest_other_one() -> None:
    """On a ring, that is the neighbor; the pictures' size, field and upright stay."""
    angles = np.radians([0, 40, 180, 200, 215])
    places = [4 * np.array([np.sin(angle), 0, -np.cos(angle)]) for angle in angles]
    ring = [looking_at(f"{n}", place, np.zeros(3), (64, 48), 0.7) for n, place in enumerate(places)]
    found = between(ring, [4.0] * len(ring), 2)
    assert [camera.name for camera in found] == ["between_000", "between_001", "between_002"]
    for camera, (one, other) in zip(found, ((0, 1), (2, 3), (4, 3)), strict=True):
        np.testing.assert_allclose(camera.center, (places[one] + places[other]) / 2, atol=1e-12)
        ahead = -camera.center / np.linalg.norm(camera.center)
        np.testing.assert_allclose(camera.world_to_camera[:3, :3] @ ahead, (0, 0, 1), atol=1e-12)
        np.testing.assert_allclose(camera.world_to_camera[1, :3], (0, 1, 0), atol=1e-12)
        assert (camera.width, camera.height, camera.fx) == (64, 48, ring[0].fx)
    assert len({camera.center.tobytes() for camera in between(ring, [4.0] * len(ring), 1)}) == len(ring)
    assert between(ring, [4.0] * len(ring), 0) == between(ring[:1], [4.0], 8) == ()


def test_cameras_that_face_each_other_have_one_between_that_looks_ahead() -> None:
    pair = [
        looking_at("a", np.array([0, 0, -1.0]), np.zeros(3), (64, 48), 0.7),
        looking_at("b", np.array([0, 0, 1.0]), np.zeros(3), (64, 48), 0.7),
    ]
    (camera,) = between(pair, [2.0, 2.0], 1)
    assert np.isfinite(camera.world_to_camera).all()
    np.testing.assert_allclose(camera.world_to_camera[2, :3], (0, 0, 1), atol=1e-12)
