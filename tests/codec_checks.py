"""What tests of the codec share: a scene held against the symbols decoded from its stream."""

from __future__ import annotations

import numpy as np

from gspc.format.scene import QuantizedScene, Symbols


def coarser(k: np.ndarray, times: int) -> np.ndarray:
    """Symbols `times` levels before those of k."""
    for _ in range(times):
        k = (k + 1) // 3
    return k


def step_levels(scene: QuantizedScene, level: int, *, everything: bool = False) -> np.ndarray:
    """The stage [N, 3] whose step anchors' attributes have at `level`; everything: that of the scene's
    symbols."""
    stages = scene.stages or tuple(range(1, scene.levels + 1))
    first = np.where(scene.gaussian_level > 0, scene.gaussian_level, scene.levels).min(axis=1)
    found = np.zeros((len(first), 3), np.int64)
    for (n, number), _ in np.ndenumerate(found):
        attribute = scene.shape.attributes[number]
        start = attribute.step_level(stages[first[n] - 1])
        if everything or scene.refined_at is None:
            found[n, number] = attribute.step_level(stages[level - 1]) if attribute.values else start
            continue
        come = scene.refined_at[n, number, start - 1 :]
        found[n, number] = start + np.count_nonzero((come > 0) & (come <= level))
    return found


def rows_in_scene(scene: QuantizedScene, symbols: Symbols) -> np.ndarray:
    """Index in the scene of each decoded anchor."""
    where = {tuple(p): i for i, p in enumerate(scene.positions.tolist())}
    return np.array([where[tuple(p)] for p in symbols.positions.tolist()], dtype=np.int64)


def assert_symbols(scene: QuantizedScene, symbols: Symbols, level: int) -> None:
    """All anchors alive at `level` are there, with the scene's symbols brought to that level."""
    rows = rows_in_scene(scene, symbols)
    mask = np.where(scene.gaussian_level <= level, scene.gaussian_level, 0)
    assert sorted(rows) == np.flatnonzero(mask.any(axis=1)).tolist()
    reached, finest = step_levels(scene, level)[rows], step_levels(scene, scene.levels, everything=True)[rows]
    np.testing.assert_array_equal(symbols.step_levels, reached)
    np.testing.assert_array_equal(symbols.gaussian_level, mask[rows])
    for times in range(8):
        at = [finest[:, number] - reached[:, number] == times for number in range(3)]
        features, scaling, offsets = (coarser(k, times)[rows] for k in scene.symbols)
        alive = np.repeat(mask[rows] > 0, 3, axis=1)
        np.testing.assert_array_equal(symbols.features[at[0]], features[at[0]])
        np.testing.assert_array_equal(symbols.scaling[at[1]], scaling[at[1]])
        got = symbols.offsets.reshape(len(rows), offsets.shape[1])
        np.testing.assert_array_equal(got[at[2]], (offsets * alive)[at[2]])
