"""The rasterizer where only colors change: new pictures of what is projected already, gradients by colors."""

from __future__ import annotations

import numpy as np
import pytest
from test_raster import ISAS, make_camera, make_scene

from gspc.ops import arrays
from gspc.ops.kernels import kernels
from gspc.scene import F32


def scene_arrays(count: int = 3000, seed: int = 0) -> list[F32]:
    return [part.numpy() for part in make_scene(count, seed)]


def forward(scene: list[F32], width: int = 75, height: int = 53) -> arrays.Raster:
    matrix, intrinsics, width, height, background = make_camera(width, height)
    return arrays.rasterize(*scene, matrix.numpy(), intrinsics, width, height, background)


@pytest.fixture(params=ISAS)
def isa(request: pytest.FixtureRequest):
    kernels().set_isa(request.param)
    yield request.param
    kernels().set_isa("v4")


def test_gradients_by_colors_are_those_of_the_full_way_back(isa: str) -> None:
    scene = scene_arrays()
    drawn = forward(scene)
    incoming = np.random.default_rng(1).normal(size=drawn.image.shape).astype(np.float32)
    full = arrays.rasterize_backward(drawn, *scene, incoming).colors
    alone = arrays.rasterize_backward_colors(drawn, incoming)
    assert np.abs(full).max() > 1
    assert np.abs(alone - full).max() <= 1e-5 * np.abs(full).max()
    assert (alone[drawn.radii == 0] == 0).all()


def test_a_repainted_picture_is_the_one_drawn_anew(isa: str) -> None:
    scene = scene_arrays()
    first = forward(scene)
    colors = np.random.default_rng(2).random(scene[4].shape, dtype=np.float32)
    anew = forward([*scene[:4], colors])
    again = arrays.repaint(first, colors)
    assert not np.array_equal(first.image, anew.image)
    assert np.array_equal(again.image, anew.image) and np.array_equal(again.alpha, anew.alpha)
    incoming = np.ones_like(anew.image)
    found, expected = (arrays.rasterize_backward(one, *scene[:4], colors, incoming) for one in (again, anew))
    assert np.array_equal(found.scales, expected.scales)


def test_nothing_to_draw() -> None:
    empty = [part[:0] for part in scene_arrays(1)]
    drawn = forward(empty)
    assert arrays.rasterize_backward_colors(drawn, np.ones_like(drawn.image)).shape == (0, 3)
    assert np.array_equal(arrays.repaint(drawn, empty[4]).image, drawn.image)


def test_other_shapes_are_refused() -> None:
    drawn = forward(scene_arrays(5))
    with pytest.raises(ValueError, match="colors"):
        arrays.repaint(drawn, np.zeros((4, 3), np.float32))
    with pytest.raises(ValueError, match="grad_image"):
        arrays.rasterize_backward_colors(drawn, np.zeros((2, 2, 3), np.float32))
    with pytest.raises(ValueError, match="same Gaussians"):
        kernels().raster_repaint(drawn.state, np.zeros((4, 3), np.float32))
    with pytest.raises(ValueError, match="grad_image"):
        kernels().raster_backward_colors(drawn.state, np.zeros((2, 2, 3), np.float32))


def test_memory_is_counted() -> None:
    """The way back keeps to the budget of the picture."""
    scene = scene_arrays(3000)
    matrix, intrinsics, width, height, background = make_camera(300, 200)
    view = (matrix.numpy(), intrinsics, width, height, background)
    needed = forward(scene, 300, 200).state.bytes
    drawn = arrays.rasterize(*scene, *view, budget=needed)
    with pytest.raises(arrays.OverBudget):
        arrays.rasterize_backward_colors(drawn, np.ones_like(drawn.image))
    drawn = arrays.rasterize(*scene, *view, budget=2 * needed)
    assert arrays.rasterize_backward_colors(drawn, np.ones_like(drawn.image)).shape == (3000, 3)
