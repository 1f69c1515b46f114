"""Photographs that may show the same things, told by their features, for photographs that lie in no order.

Each photograph becomes one vector, its VLAD (Jegou et al., "Aggregating local descriptors into a compact
image representation", CVPR 2010, section 3): features go to the nearest of a few words, and what they differ
from their words by is summed for each word. Photographs with similar vectors are worth matching. The words
come from the photographs themselves, so nothing has to be downloaded.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gspc.scene import F32

WORDS = 64
ROUNDS = 8  # of k-means
SAMPLED = 20_000  # features that words are learned from


def similar_pairs(features: Sequence[NDArray[np.uint8]], most: int) -> list[tuple[int, int]]:
    """Pairs of photographs, lower number first, in which one is among the `most` that are most similar to the
    other; `features` are descriptors [n, D] of each, of which there may be none."""
    described = [index for index, rows in enumerate(features) if len(rows)]
    if len(described) < 2:
        return []
    generator = np.random.default_rng(0)
    words = _words([_unit(features[index]) for index in described], generator)
    vectors = np.stack([_vlad(_unit(features[index]), words) for index in described])
    alike = vectors @ vectors.T
    np.fill_diagonal(alike, -np.inf)
    count = min(most, len(described) - 1)
    nearest = np.argpartition(-alike, count - 1, axis=1)[:, :count]
    found = {
        (min(described[row], described[other]), max(described[row], described[other]))
        for row, others in enumerate(nearest.tolist())
        for other in others
    }
    return sorted(found)


def _unit(rows: NDArray[np.uint8]) -> F32:
    values = rows.astype(np.float32)
    return values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-6)


def _words(features: Sequence[F32], generator: np.random.Generator) -> F32:  # [W, D]
    """Centers of clusters of features, by k-means on some of each photograph's."""
    each = max(1, SAMPLED // len(features))
    some = np.concatenate([rows[generator.permutation(len(rows))[:each]] for rows in features])
    words = some[generator.permutation(len(some))[:WORDS]]
    for _ in range(ROUNDS):
        nearest = _nearest(some, words)
        sums = np.zeros_like(words)
        np.add.at(sums, nearest, some)
        counts = np.bincount(nearest, minlength=len(words))[:, None]
        words = np.where(counts > 0, sums / np.maximum(counts, 1), words).astype(np.float32)
    return words


def _nearest(rows: F32, words: F32) -> NDArray[np.int64]:  # [n, D], [W, D] -> [n]
    return np.asarray((rows @ words.T - (words * words).sum(axis=1) / 2).argmax(axis=1))


def _vlad(rows: F32, words: F32) -> F32:  # [n, D], [W, D] -> [W D]
    """Sums of differences from words, each of length one, so that no word that repeats outweighs the others
    (intra-normalization, Arandjelovic and Zisserman, CVPR 2013)."""
    nearest = _nearest(rows, words)
    sums = np.zeros_like(words)
    np.add.at(sums, nearest, rows - words[nearest])
    sums /= np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-6)
    vector = sums.reshape(-1)
    return np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-6), np.float32)
