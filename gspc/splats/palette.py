"""Codebooks for SOG: one of 256 numbers, and a palette of at most 65,536 sets of harmonics."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from gspc.scene import F32

BOOK = 256
BINS = 1024  # of the histogram that a codebook starts from, fewer for few values
ROUNDS = 12  # Lloyd iterations; later ones move nothing that could be seen
BOOK_ROUNDS = 100  # in one dimension they are cheap
SAMPLES = 64  # rows looked at per cluster where a group's centers are fitted


def codebook(values: F32) -> tuple[F32, NDArray[np.uint8]]:
    """256 ascending numbers and the nearest one's index for each value, in the values' shape.

    Starts where a quantizer of least error is dense, in proportion to the cube root of the values' density
    (Panter and Dite 1951), and goes on with Lloyd's iterations: of sorted values a cluster is a run.
    """
    ordered = np.sort(values, axis=None).astype(np.float64)
    sums = np.concatenate([[0.0], np.cumsum(ordered)])
    counts, ends = np.histogram(ordered, max(1, min(BINS, len(ordered) // 16)))
    share = np.concatenate([[0.0], np.cumsum(np.cbrt(counts))])
    book = np.interp((np.arange(BOOK) + 0.5) / BOOK * share[-1], share, ends)
    for _ in range(BOOK_ROUNDS):
        edges = np.searchsorted(ordered, (book[1:] + book[:-1]) / 2)
        bounds = np.concatenate([[0], edges, [len(ordered)]])
        sizes = np.diff(bounds)
        means = (sums[bounds[1:]] - sums[bounds[:-1]]) / np.maximum(sizes, 1)
        book = np.where(sizes > 0, means, book)
    found = book.astype(np.float32)
    return found, np.searchsorted((found[1:] + found[:-1]) / 2, values).astype(np.uint8)


def palette(rows: F32) -> tuple[F32, NDArray[np.int64]]:  # [M, D] -> [P, D], [M]
    """Typical rows and the number of the one that stands for each row.

    As many as SOG's own tools take: 1,024 times the power of two below M / 1,024, at most 65,536, and never
    more than M. Found in two steps, coarse groups and then clusters inside each: that takes M sqrt(P) steps
    where one flat search would take M P, for an error a few percent larger.
    """
    wanted = 1024 * 2 ** min(int(math.log2(max(len(rows) / 1024, 1))), 6)
    wanted = min(wanted, len(rows))
    groups = max(1, math.isqrt(wanted) // 2)
    coarse = _nearest(rows, _centers(rows, groups))
    order = np.argsort(coarse, kind="stable")
    sizes = np.bincount(coarse, minlength=groups)
    shares = _shares(sizes, wanted)
    centers, labels, start = [], np.empty(len(rows), np.int64), 0
    total = 0
    for size, share in zip(sizes, shares, strict=True):
        members = order[start : start + size]
        start += size
        if size == 0:
            continue
        found = _centers(rows[members], share)
        labels[members] = total + _nearest(rows[members], found)
        centers.append(found)
        total += share
    return np.concatenate(centers), labels


def _shares(sizes: NDArray[np.int64], wanted: int) -> NDArray[np.int64]:
    """Clusters per group, in proportion to its rows, at least one for each that has any."""
    shares = np.minimum(np.maximum(sizes * wanted // sizes.sum(), (sizes > 0).astype(np.int64)), sizes)
    while shares.sum() > wanted:  # the ones given for free are taken from the largest group
        shares[shares.argmax()] -= 1
    return shares


def _centers(rows: F32, count: int) -> F32:
    """k-means of a sample of the rows, the same every time."""
    random = np.random.default_rng(0)
    if len(rows) > SAMPLES * count:
        rows = rows[random.choice(len(rows), SAMPLES * count, replace=False)]
    centers = rows[random.choice(len(rows), count, replace=False)].astype(np.float32)
    for _ in range(ROUNDS if count > 1 else 1):
        labels = _nearest(rows, centers)
        sizes = np.bincount(labels, minlength=count)
        order = np.argsort(labels, kind="stable")
        filled = np.flatnonzero(sizes)
        starts = (np.cumsum(sizes) - sizes)[filled]
        sums = np.add.reduceat(rows[order], starts, axis=0)
        centers[filled] = sums / sizes[filled, None]
    return centers


def _nearest(rows: F32, centers: F32) -> NDArray[np.int64]:
    """Index of each row's nearest center; squared distances without the row's own part, in batches."""
    labels = np.empty(len(rows), np.int64)
    half = 0.5 * np.square(centers).sum(axis=1)
    batch = max(1, (1 << 24) // len(centers))
    for start in range(0, len(rows), batch):
        part = slice(start, start + batch)
        labels[part] = (rows[part] @ centers.T - half).argmax(axis=1)
    return labels
