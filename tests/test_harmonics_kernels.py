"""The harmonics' kernels against the readable basis of gspc.splats.harmonics."""

from __future__ import annotations

import numpy as np
import pytest

from gspc.ops import arrays
from gspc.ops.kernels import kernels
from gspc.splats.harmonics import basis, sphere

COUNT = 1300  # more than two batches of the kernels
CENTER = np.array([0.3, -0.2, 0.9])
DEGREES = (0, 1, 2, 3)


def gaussians(degree: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Means [M, 3], harmonics [M, C, 3], and the basis [M, C] towards CENTER in double precision."""
    random = np.random.default_rng(degree)
    means = random.normal(size=(COUNT, 3)).astype(np.float32)
    sh = random.normal(size=(COUNT, (degree + 1) ** 2, 3)).astype(np.float32)
    rays = means.astype(np.float64) - CENTER
    return means, sh, basis(rays / np.linalg.norm(rays, axis=1, keepdims=True), degree)


@pytest.mark.parametrize("degree", DEGREES)
def test_colors(degree: int) -> None:
    means, sh, values = gaussians(degree)
    expected = 0.5 + np.einsum("mc,mcj->mj", values, sh)
    np.testing.assert_allclose(arrays.harmonic_colors(means, sh, CENTER), expected, atol=2e-5)


@pytest.mark.parametrize("degree", DEGREES)
def test_gradient_is_that_of_the_colors(degree: int) -> None:
    """Also by a finite difference, which is exact for a linear function but for rounding."""
    means, sh, values = gaussians(degree)
    by_colors = np.random.default_rng(9).normal(size=(COUNT, 3)).astype(np.float32)
    found = arrays.harmonic_gradient(means, CENTER, by_colors, sh.shape[1])
    np.testing.assert_allclose(found, values[:, :, None] * by_colors[:, None], atol=2e-5)
    moved = sh.copy()
    moved[:, -1, 1] += 0.5
    change = arrays.harmonic_colors(means, moved, CENTER) - arrays.harmonic_colors(means, sh, CENTER)
    np.testing.assert_allclose((change * by_colors).sum(axis=1) / 0.5, found[:, -1, 1], atol=1e-4)


@pytest.mark.parametrize("degree", DEGREES)
def test_a_correction_changes_colors_by_what_is_asked_and_harmonics_by_the_least(degree: int) -> None:
    means, sh, values = gaussians(degree)
    random = np.random.default_rng(5)
    error = random.normal(size=(COUNT, 3)).astype(np.float32)
    pixels = random.uniform(0, 3, COUNT).astype(np.float32)
    changed = sh.copy()
    arrays.correct_harmonics(changed, means, CENTER, error, pixels, few=0.1, largest=0.5)
    wanted = np.clip(error / (pixels + np.float32(0.1))[:, None], -0.5, 0.5)
    assert (np.abs(wanted) == 0.5).any()
    before = arrays.harmonic_colors(means, sh, CENTER)
    np.testing.assert_allclose(arrays.harmonic_colors(means, changed, CENTER) - before, wanted, atol=3e-5)
    least = values[:, :, None] * (wanted / np.square(values).sum(axis=1, keepdims=True))[:, None]
    np.testing.assert_allclose(changed - sh, least, atol=3e-5)


@pytest.mark.parametrize("degree", DEGREES)
@pytest.mark.parametrize("views", [1, 3, 20])
def test_least_squares(degree: int, views: int) -> None:
    """Against numpy's solution of the same normal equations, with views that see nothing."""
    random = np.random.default_rng(views)
    directions = sphere(views)[random.permutation(views)][:, None] + random.normal(0, 0.2, (views, COUNT, 3))
    directions /= np.linalg.norm(directions, axis=2, keepdims=True)
    weights = random.uniform(size=(views, COUNT)) * (random.uniform(size=(views, COUNT)) < 0.8)
    colors = random.uniform(size=(views, COUNT, 3))
    ridge = np.linspace(1e-3, 1e-2, (degree + 1) ** 2)
    found = arrays.fit_harmonics(*(a.astype(np.float32) for a in (directions, weights, colors, ridge)))
    values = basis(directions.astype(np.float32).astype(np.float64), degree)
    normal = np.einsum("vm,vmc,vmk->mck", weights, values, values) + np.diag(ridge)
    target = np.einsum("vm,vmc,vmj->mcj", weights, values, colors - 0.5)
    np.testing.assert_allclose(found, np.linalg.solve(normal, target), atol=2e-3, rtol=1e-4)


def test_threads_change_nothing() -> None:
    means, sh, _ = gaussians(3)
    before = kernels().max_threads()
    found = []
    try:
        for threads in (1, 3):
            kernels().set_threads(threads)
            found.append(arrays.harmonic_colors(means, sh, CENTER))
    finally:
        kernels().set_threads(before)
    np.testing.assert_array_equal(*found)


def test_wrong_shapes_are_refused() -> None:
    means, sh, _ = gaussians(3)
    with pytest.raises(ValueError, match="C of 1, 4, 9 or 16"):
        arrays.harmonic_colors(means, sh[:, :5], CENTER)
    with pytest.raises(ValueError, match="means"):
        arrays.harmonic_colors(means[:-1], sh, CENTER)
    with pytest.raises(ValueError, match="error"):
        arrays.correct_harmonics(sh, means, CENTER, sh[:, 0, :2], means[:, 0], few=0.1, largest=1)
