"""Symbols of generated scenes, drawn from the very distributions that their networks predict."""

from __future__ import annotations

import numpy as np

from gspc.format.shape import Attribute, StreamShape
from gspc.reference import networks
from gspc.reference.mixtures import Mixtures, group_mixtures
from gspc.reference.networks import Layers
from gspc.reference.trits import Coarse, gaussian_trits, learned_trits, unbounded_trits


def _gaussian(rng: np.random.Generator, tables: np.ndarray) -> np.ndarray:
    sigma = 2.0 ** (-3 + tables / 12)
    return np.rint(rng.standard_normal(tables.shape, dtype=np.float32) * sigma).astype(np.int32)


def _trits(rng: np.random.Generator, tables: np.ndarray) -> np.ndarray:
    zero = 1 / (1 + np.exp(-((tables // 64).astype(np.float32) - 32) / 4))
    plus = 1 / (1 + np.exp(-((tables % 64).astype(np.float32) - 32) / 8))
    sign = np.where(rng.random(tables.shape, dtype=np.float32) < plus, 1, -1)
    return np.where(rng.random(tables.shape, dtype=np.float32) < zero, 0, sign).astype(np.int32)


def _mixtures(rng: np.random.Generator, run: Mixtures) -> np.ndarray:
    second = rng.random(run.weights.shape, dtype=np.float32) < run.weights / 256
    mean, scale = (np.where(second, pair[1], pair[0]) for pair in (run.means, run.scales))
    sigma = 2.0 ** (-3 + scale / 12)
    return np.rint(mean / 16 + sigma * rng.standard_normal(mean.shape)).astype(np.int32)


def _refined(rng: np.random.Generator, attribute: Attribute, layers: Layers, coarse: Coarse) -> np.ndarray:
    """Symbols [n, values] after refinement."""
    if attribute.trit_model == "gaussian":
        trits = _trits(rng, gaussian_trits(coarse))
    elif attribute.trit_model == "learned":
        trits = _trits(rng, learned_trits(attribute, layers, coarse))
    else:
        trits = np.clip(_mixtures(rng, unbounded_trits(attribute, layers, coarse)), -1, 1)
    return 3 * coarse.k + trits


def _features(
    rng: np.random.Generator,
    layers: Layers,
    shape: StreamShape,
    tables: np.ndarray,
    means: np.ndarray,
    step: np.ndarray,
    level: int,
) -> np.ndarray:
    """Symbols [n, F] of features that appear at `level`."""
    k = np.zeros((len(tables), 0), np.int32)
    for group, (begin, end) in enumerate(shape.group_bounds):
        own = tables[:, begin:end]
        if group == 0:
            drawn = _gaussian(rng, own)
        else:
            predicted = group_mixtures(
                layers,
                shape,
                group,
                gaussians=own,
                means=means[:, begin:end],
                earlier=k,
                step=step,
                stage=level,
            )
            drawn = _mixtures(rng, predicted)
        k = np.concatenate([k, drawn], axis=1)
    return k


def draw_symbols(
    rng: np.random.Generator,
    layers: Layers,
    shape: StreamShape,
    context: np.ndarray,
    mask: np.ndarray,
    levels: int,
) -> dict[str, np.ndarray]:
    """Symbols [N, values] of each attribute at the finest level, given the context [N, C] and the level at
    which each Gaussian [N, K] appears."""
    count = len(mask)
    first = np.where(mask > 0, mask, levels + 1).min(axis=1)
    steps, means = networks.step_indices(layers, context), networks.means(layers, shape, context)
    k = {a.name: np.zeros((count, a.values), np.int32) for a in shape.attributes}
    offsets = shape.attributes[2]
    if not offsets.refined:
        scales = networks.scales(layers, shape, context, 1)["offsets"]
        tables = networks.gaussian_indices(scales, steps[:, 2], 1)
        k["offsets"] = _gaussian(rng, tables) * np.repeat(mask > 0, 3, axis=1)
    for level in range(1, levels + 1):
        old, fresh = np.flatnonzero(first < level), np.flatnonzero(first == level)
        scales = networks.scales(layers, shape, context, level)
        for number, attribute in enumerate(shape.attributes):
            if not (len(old) and attribute.refines_at(level) and attribute.values):
                continue
            name = attribute.name
            coarse = Coarse(level, context[old], k[name][old], steps[old, number], scales[name][old])
            refined = _refined(rng, attribute, layers, coarse)
            alive = np.repeat((mask[old] > 0) & (mask[old] < level), 3, axis=1)
            k[name][old] = refined * alive if name == "offsets" else refined
        tables = {
            a.name: networks.gaussian_indices(scales[a.name], steps[:, number], a.step_level(level))
            for number, a in enumerate(shape.attributes)
        }
        features = tables["features"][fresh]
        k["features"][fresh] = _features(rng, layers, shape, features, means[fresh], steps[fresh, 0], level)
        k["scaling"][fresh] = _gaussian(rng, tables["scaling"][fresh])
        if offsets.refined:
            appear = np.repeat(mask == level, 3, axis=1)
            k["offsets"][appear] = _gaussian(rng, tables["offsets"][appear])
    return k
