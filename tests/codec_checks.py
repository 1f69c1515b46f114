"""What tests of the codec share: a scene held against the symbols decoded from its stream."""

from __future__ import annotations

import numpy as np

from gspc.format.scene import QuantizedScene, Symbols


def coarser(k: np.ndarray, times: int) -> np.ndarray:
    """Symbols `times` levels before those of k."""
    for _ in range(times):
        k = (k + 1) // 3
    return k


def rows_in_scene(scene: QuantizedScene, symbols: Symbols) -> np.ndarray:
    """Index in the scene of each decoded anchor."""
    where = {tuple(p): i for i, p in enumerate(scene.positions.tolist())}
    return np.array([where[tuple(p)] for p in symbols.positions.tolist()], dtype=np.int64)


def assert_symbols(scene: QuantizedScene, symbols: Symbols, level: int) -> None:
    """All anchors alive at `level` are there, with the scene's symbols brought to that level."""
    rows = rows_in_scene(scene, symbols)
    mask = np.where(scene.gaussian_level <= level, scene.gaussian_level, 0)
    assert sorted(rows) == np.flatnonzero(mask.any(axis=1)).tolist()
    times = [a.step_level(scene.levels) - a.step_level(level) for a in scene.shape.attributes]
    np.testing.assert_array_equal(symbols.gaussian_level, mask[rows])
    np.testing.assert_array_equal(symbols.features, coarser(scene.features, times[0])[rows])
    np.testing.assert_array_equal(symbols.scaling, coarser(scene.scaling, times[1])[rows])
    alive = (mask > 0)[:, :, None]
    np.testing.assert_array_equal(symbols.offsets, (coarser(scene.offsets, times[2]) * alive)[rows])
